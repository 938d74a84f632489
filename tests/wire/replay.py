"""Recorded responses served over real HTTP on loopback, and asked for by the real adapters."""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from p2re_eval.clock import SystemClock
from p2re_eval.errors import ProviderError
from p2re_eval.interfaces import ProviderContext
from p2re_eval.plugins import Plugins
from p2re_eval.records import Message, ModelSettings, RenderedPrompt
from wire.claims import adapter, asked_model, asked_texts, body_of

Pieces = Callable[[bytes], Iterable[bytes | None]]


class Replay:
    """Serves recorded responses by the row's number in the path; counts what was asked of it.

    ``pieces`` cuts a body into what is sent at a time; a ``None`` among them hangs up.
    """

    def __init__(self, rows: list[dict], pieces: Pieces) -> None:
        self._rows = rows
        self._pieces = pieces
        self.served: Counter[int] = Counter()

    async def __aenter__(self) -> Replay:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connected(self, reader, writer) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = re.search(rb"(?i)content-length: *(\d+)", head)
                await reader.readexactly(int(size[1]) if size else 0)
                number = int(head.split(b"/row-", 1)[1].split(b"/", 1)[0])
                self.served[number] += 1
                await self._reply(self._rows[number], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _reply(self, row: dict, writer) -> None:
        usual = "text/event-stream" if row["stream"] else "application/json"
        left_out = {"content-length", "content-encoding", "transfer-encoding", "connection"}
        headers = {"content-type": usual} | {
            k: v for k, v in row["response"]["headers"].items() if k.lower() not in left_out
        }
        headers["transfer-encoding"] = "chunked"
        lines = [f"HTTP/1.1 {row['status']} X", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        for piece in self._pieces(body_of(row)):
            if piece is None:
                writer.close()
                return
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


def at_random(seed: int) -> Pieces:
    """Pieces of any size up to 4000 bytes."""
    cuts = random.Random(seed)

    def pieces(body: bytes) -> Iterable[bytes]:
        while body:
            size = cuts.randrange(1, max(2, min(len(body), 4000)))
            yield body[:size]
            body = body[size:]

    return pieces


async def outcomes(rows: list[dict], pieces: Pieces | None = None) -> list:
    """For each claimed row the adapter's completion with the pieces it handed out, or its error."""
    factories = Plugins(entry_points=False).providers
    context = ProviderContext(root=Path(), clock=SystemClock())
    providers = {
        name: factories.get(name, factories["openai"])(context)
        for name in {adapter(row)[0] for row in rows} - {""}
    }
    slots = asyncio.Semaphore(16)

    async def one(number: int, row: dict, address: str):
        name, base = adapter(row)
        model = ModelSettings(
            provider=name,
            name=asked_model(row),
            base_url=f"{address}/row-{number}{base}",
            stream=bool(row["stream"]),
        )
        messages = (Message(role="user", content="x"),)
        pieces: list[str] = []
        async with slots:
            try:
                if row["endpoint"] == "embeddings":
                    return await providers[name].embed(model, asked_texts(row))
                prompt = RenderedPrompt(name="x", messages=messages, model=model)
                done = await providers[name].complete(prompt, on_text=pieces.append)
            except ProviderError as error:
                return error
        return done, "".join(pieces)

    async with Replay(rows, pieces or at_random(1)) as replay:
        tasks = [
            one(number, row, replay.address) if adapter(row)[0] else asyncio.sleep(0)
            for number, row in enumerate(rows)
        ]
        found = await asyncio.gather(*tasks)
    await asyncio.gather(*(provider.close() for provider in providers.values()))
    assert all(replay.served[n] == bool(adapter(row)[0]) for n, row in enumerate(rows))
    return found
