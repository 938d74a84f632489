"""Real servers on the loopback interface, and prompts that ask them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from p2re_eval.clock import SystemClock
from p2re_eval.interfaces import ProviderContext
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

Respond = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
Serving = Callable[[Respond], AbstractAsyncContextManager[str]]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    """A key that must never show, and no address or proxy of the machine's own."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789abcdef")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test-0123456789abcdef")
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    for name in ("OPENAI_BASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def context(tmp_path):
    return ProviderContext(root=tmp_path, clock=SystemClock())


@pytest.fixture
def ask():
    """Builds a prompt of one user message; keywords are model settings."""

    def build(base_url: str | None = None, *, text: str = "Hello", **settings) -> RenderedPrompt:
        model = {"provider": "openai", "name": "gpt-4o-mini", "base_url": base_url, **settings}
        messages = (Message(role="user", content=text),)
        return RenderedPrompt(name="greet", messages=messages, model=ModelSettings(**model))

    return build


@pytest.fixture
def serving() -> Serving:
    """``async with serving(respond) as base_url``: a socket server that reads one whole request a
    time and lets ``respond(request, writer)`` write whatever it likes."""

    @asynccontextmanager
    async def start(respond: Respond) -> AsyncIterator[str]:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while request := await _request(reader):
                    await respond(request, writer)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        try:
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            server.close()

    return start


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head + await reader.readexactly(length)


@pytest.fixture
def http_reply():
    """Bytes of an HTTP response with a length."""

    def build(body: bytes, *, status: int = 200, headers: dict[str, str] | None = None) -> bytes:
        kept = {"content-type": "application/json", "content-length": str(len(body))}
        kept |= headers or {}
        lines = [f"HTTP/1.1 {status} X", *(f"{k}: {v}" for k, v in kept.items()), "", ""]
        return "\r\n".join(lines).encode() + body

    return build
