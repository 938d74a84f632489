"""A chat-completions server on loopback with a fixed latency: ``python loopback.py LATENCY_MS``.

It prints its port and serves until its standard input closes. It also counts the most calls it
ever had in flight: ``GET /peak``.
"""

from __future__ import annotations

import asyncio
import json
import sys

_BODY = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1,
        "model": "bench-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "billing"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 60, "completion_tokens": 2, "total_tokens": 62},
    }
).encode()
_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
_ANSWER = _HEAD % len(_BODY) + _BODY


class Counts:
    """How many calls are in flight, and the most there ever were."""

    now = 0
    peak = 0
    total = 0


class Chat(asyncio.Protocol):
    """One connection: whole requests in, the same answer out after the latency."""

    def __init__(self, latency_s: float, counts: Counts) -> None:
        self._latency_s = latency_s
        self._counts = counts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            size = 0
            if (at := head.find(b"content-length:")) >= 0:
                size = int(head[at + 15 :].split(b"\r\n", 1)[0])
            if len(self._buffer) < end + 4 + size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            self._serve(head)

    def _serve(self, head: bytes) -> None:
        if head.startswith(b"get /peak"):
            body = json.dumps([self._counts.peak, self._counts.total]).encode()
            self._transport.write(_HEAD % len(body) + body)
            return
        self._counts.now += 1
        self._counts.total += 1
        self._counts.peak = max(self._counts.peak, self._counts.now)
        asyncio.get_running_loop().call_later(self._latency_s, self._answer)

    def _answer(self) -> None:
        self._counts.now -= 1
        if not self._transport.is_closing():
            self._transport.write(_ANSWER)


async def serve(latency_s: float) -> None:
    """Listen on a free port of the loopback until standard input closes."""
    loop = asyncio.get_running_loop()
    counts = Counts()
    server = await loop.create_server(lambda: Chat(latency_s, counts), "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) / 1000))
