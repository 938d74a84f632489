"""A service on a bad day: rate-limit storms, overloads, resets, hangs and broken bodies.

Every answer is ``answer N`` to the question number N, so that a wrong or half one shows.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from p2re_eval.clock import SystemClock
from p2re_eval.engine.calls import Answer, Caller, Providers
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import NotRun, ProviderError
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.records import Completion, Message, ModelSettings, RenderedPrompt

TIMEOUT_S = 1.5
KIND_OF = {
    "storm": "rate_limited",
    "limited": "rate_limited",
    "overloaded": "overloaded",
    "unavailable": "overloaded",
    "broken": "server",
    "gateway": "server",
    "quota": "quota_exhausted",
    "reset": "connection",
    "hang_up": "connection",
    "hang": "timeout",
    "page": "malformed",
    "no_choice": "malformed",
    "error_in_200": "overloaded",
    "half": "truncated",
    "silent_end": "truncated",
    "error_in_stream": "overloaded",
}
"""What each way to fail must be called."""
WHOLE = ("limited", "overloaded", "unavailable", "broken", "gateway", "reset", "hang_up", "page")
WHOLE += ("no_choice", "error_in_200", "half")
STREAMED = ("limited", "overloaded", "reset", "half", "silent_end", "error_in_stream")


@dataclass
class Ledger:
    """What the service did: requests by way, the last way of each question, the most at once."""

    ways: Counter[str] = field(default_factory=Counter)
    last: dict[int, str] = field(default_factory=dict)
    now: int = 0
    most: int = 0

    @property
    def requests(self) -> int:
        return self.ways.total()


class BadDay:
    """The server; ``share`` of what lies between two storms goes wrong in some way."""

    def __init__(self, seed: int, *, share: float = 0.12) -> None:
        self.ledger = Ledger()
        self._luck = random.Random(seed)
        self._share = share

    async def __aenter__(self) -> BadDay:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=512)
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _connected(self, reader, writer) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                size = int(re.search(rb"(?i)content-length: *(\d+)", head)[1])
                asked = json.loads(await reader.readexactly(size))
                self.ledger.now += 1
                self.ledger.most = max(self.ledger.most, self.ledger.now)
                try:
                    await self._serve(asked, reader, writer)
                finally:
                    self.ledger.now -= 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _way(self, streams: bool) -> str:
        """A storm is a stretch of the requests; outside of it luck decides."""
        if self.ledger.requests % 900 in range(300, 340):
            return "storm"
        if self._luck.random() < self._share:
            return self._luck.choice(STREAMED if streams else WHOLE)
        rare = self._luck.random()
        return "hang" if rare < 0.003 else "quota" if rare < 0.005 else "good"

    async def _serve(self, asked: dict, reader, writer) -> None:
        number = int(asked["messages"][0]["content"].rpartition(" ")[2])
        streams = bool(asked.get("stream"))
        way = self._way(streams)
        self.ledger.ways[way] += 1
        self.ledger.last[number] = way
        await asyncio.sleep(0.002)
        if way == "hang":
            await reader.read(1)  # until the client has had enough
            raise ConnectionResetError
        if way == "reset":
            writer.transport.abort()
            raise ConnectionResetError
        if way == "hang_up":
            raise ConnectionResetError
        for piece in _reply(way, number, streams, self._luck):
            writer.write(piece)
            await writer.drain()
        if way == "half":
            raise ConnectionResetError


def _reply(way: str, number: int, streams: bool, luck: random.Random) -> list[bytes]:
    refusals = {
        "storm": (429, {"error": {"message": "Rate limit reached"}}),
        "limited": (429, {"error": {"message": "Please try again in 20ms."}}),
        "overloaded": (529, {"type": "error", "error": {"type": "overloaded_error"}}),
        "unavailable": (503, {"error": {"message": "unavailable"}}),
        "broken": (500, {"error": {"message": "The server had an error"}}),
        "gateway": (502, "<html><title>502 Bad Gateway</title></html>"),
        "quota": (429, {"error": {"message": "no money", "code": "insufficient_quota"}}),
        "page": (200, "<html><title>Welcome</title></html>"),
        "no_choice": (200, {"object": "chat.completion"}),
        "error_in_200": (200, {"error": {"message": "overloaded_error", "type": "overloaded"}}),
    }
    if way in refusals:
        status, body = refusals[way]
        text = body if isinstance(body, str) else json.dumps(body)
        more = {"retry-after": f"{luck.random() / 20:.3f}"} if way == "storm" else {}
        return [_head(status, len(text), more), text.encode()]
    if not streams:
        message = {"role": "assistant", "content": f"answer {number}"}
        whole = {"choices": [{"message": message, "finish_reason": "stop"}]}
        text = json.dumps(whole).encode()
        # A retry-after on an answer is no error.
        head = _head(200, len(text), {"retry-after": "9"})
        return [head, text[: len(text) // 2] if way == "half" else text]
    return _streamed(way, number)


def _streamed(way: str, number: int) -> list[bytes]:
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    words = [{"delta": {"content": "answer"}}, {"delta": {"content": f" {number}"}}]
    end = {"delta": {}, "finish_reason": "stop"}
    events = [f"data: {json.dumps({'choices': [choice]})}\n\n" for choice in (*words, end)]
    error = 'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error"}}\n\n'
    whole = {
        "half": events[:1],
        "silent_end": [*events[:2], ""],
        "error_in_stream": [events[0], error, ""],
    }.get(way, [*events, "data: [DONE]\n\n", ""])
    return [head, *(_chunk(event.encode()) for event in whole)]


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def _head(status: int, size: int, more: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"content-length: {size}"]
    lines += [f"{name}: {value}" for name, value in more.items()]
    return "\r\n".join([*lines, "", ""]).encode()


class Counted(OpenAIProvider):
    """The real provider, counting its attempts and how many are in flight."""

    attempts = now = most = 0

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        self.attempts += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().complete(prompt, on_text=on_text, lane=lane)
        finally:
            self.now -= 1


@dataclass(frozen=True)
class Outcome:
    """How the run ended: one answer or error per question, and both sides' counts."""

    answers: list[Answer | ProviderError | NotRun]
    provider: Counted
    ledger: Ledger
    limits: dict


async def run(calls: int, *, concurrency: int, seed: int) -> Outcome:
    """So many questions, every third one streamed, as the engine asks them."""
    clock = SystemClock()
    provider = Counted(ProviderContext(root=Path(), clock=clock))
    caller = Caller(
        Providers({"openai": lambda _: provider}, root=Path(), clock=clock),
        clock=clock,
        concurrency=concurrency,
        retry=RetryPolicy(first_delay_s=0.02, longest_delay_s=0.3, random=random.Random(seed)),
    )
    async with BadDay(seed) as service:

        async def ask(number: int) -> Answer | ProviderError | NotRun:
            model = ModelSettings(
                provider="openai",
                name="m",
                base_url=service.address,
                stream=number % 3 == 0,
                timeout_s=TIMEOUT_S,
            )
            messages = (Message(role="user", content=f"question {number}"),)
            try:
                return await caller.call(RenderedPrompt(name="q", messages=messages, model=model))
            except (ProviderError, NotRun) as error:
                return error

        answers = await asyncio.gather(*(ask(number) for number in range(calls)))
        await caller.providers.close()
    return Outcome(list(answers), provider, service.ledger, caller.limits())


def wrong(outcome: Outcome) -> list[str]:
    """Every call that ended in something other than its whole answer or the right error."""
    found = []
    for number, end in enumerate(outcome.answers):
        last = outcome.ledger.last[number]
        if isinstance(end, Answer):
            right = last == "good" and end.completion.text == f"answer {number}"
        else:
            right = getattr(end, "kind", "not_run") == KIND_OF.get(last)
        if not right:
            found.append(f"{number}: after '{last}': {end!r}")
    return found
