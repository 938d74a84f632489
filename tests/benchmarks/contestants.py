"""What the corridor is measured against: ``python contestants.py floor|by-hand|sdk-test ...``.

floor: bare sockets and nothing else. by-hand: asyncio.gather with the OpenAI SDK, no harness.
"""

from __future__ import annotations

import asyncio
import json
import sys

QUESTION = "Route this ticket to billing, technical or account: I was charged twice, number "


async def floor(port: int, runs: int, concurrency: int) -> None:
    """Bare asyncio streams, one connection a slot."""
    numbers = iter(range(runs))

    async def worker() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            message = {"role": "user", "content": f"{QUESTION}{number}"}
            body = json.dumps({"model": "bench-1", "messages": [message]}).encode()
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: l\r\ncontent-length: %d\r\n\r\n"
                % len(body)
                + body
            )
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            json.loads(await reader.readexactly(size))
        writer.close()

    await asyncio.gather(*(worker() for _ in range(concurrency)))


async def by_hand(port: int, runs: int, concurrency: int) -> None:
    """What one writes without a harness: gather, a semaphore, the SDK, a check."""
    from openai import AsyncOpenAI

    slots = asyncio.Semaphore(concurrency)
    async with AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none") as client:

        async def one(number: int) -> bool:
            async with slots:
                answer = await client.chat.completions.create(
                    model="bench-1",
                    messages=[{"role": "user", "content": f"{QUESTION}{number}"}],
                )
            return answer.choices[0].message.content == "billing"

        assert all(await asyncio.gather(*(one(number) for number in range(runs))))


if __name__ == "__main__":
    chosen = {"floor": floor, "by-hand": by_hand}[sys.argv[1]]
    asyncio.run(chosen(*(int(argument) for argument in sys.argv[2:5])))
