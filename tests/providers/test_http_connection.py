"""Connections that break, over real sockets: each way has its error and its sentence."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager

import pytest

from p2re_eval.errors import (
    ConnectionFailed,
    InvalidRequest,
    MalformedResponse,
    RateLimited,
    ServerFault,
    TruncatedResponse,
)
from p2re_eval.providers import http
from p2re_eval.providers.openai import OpenAIProvider

OK = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}


def _call(context, serving, ask, reply: bytes, *, hang_up: bool = False, **settings):
    """The completion from a server that answers with these bytes."""

    async def respond(request, writer):
        writer.write(reply)
        if hang_up:
            await writer.drain()
            writer.close()

    async def run():
        provider = OpenAIProvider(context)
        try:
            async with serving(respond) as base_url:
                return await provider.complete(ask(base_url, **settings))
        finally:
            await provider.close()

    return asyncio.run(run())


@asynccontextmanager
async def _listening(talk):
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


def _call_address(context, ask, base_url):
    async def run():
        provider = OpenAIProvider(context)
        try:
            return await provider.complete(ask(base_url))
        finally:
            await provider.close()

    return asyncio.run(run())


def test_refused_connection_may_be_tried_again(context, ask):
    """Nobody listens: a server that starts may come."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ConnectionFailed, match=f"no connection to 127.0.0.1:{port}") as caught:
        _call_address(context, ask, f"http://127.0.0.1:{port}/v1")
    assert caught.value.retryable is True


def test_unknown_name_is_not_tried_again(context, ask, monkeypatch):
    """A name that does not resolve stays wrong."""
    monkeypatch.setenv("P2RE_KEYS", "http://nobody.invalid=")
    with pytest.raises(ConnectionFailed, match=r"nobody\.invalid does not resolve") as caught:
        _call_address(context, ask, "http://nobody.invalid/v1")
    assert caught.value.retryable is False


def test_tls_to_a_plain_server_is_not_tried_again(context, ask):
    """https:// to a server without TLS."""

    async def talk(reader, writer):
        await reader.read(64)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def run():
        provider = OpenAIProvider(context)
        async with _listening(talk) as address:
            try:
                await provider.complete(ask(f"https://{address}/v1"))
            finally:
                await provider.close()

    with pytest.raises(ConnectionFailed, match="no trusted TLS connection") as caught:
        asyncio.run(run())
    assert caught.value.retryable is False


def test_hanging_server_is_given_up_by_the_callers_time_limit(context, ask):
    """The provider has no limit of its own; cancelling closes the connection."""

    async def run():
        provider = OpenAIProvider(context)
        asked, gone = asyncio.Event(), asyncio.Event()

        async def talk(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            while await reader.read(4096):
                pass
            gone.set()
            writer.close()

        async with _listening(talk) as address:
            call = asyncio.create_task(provider.complete(ask(f"http://{address}/v1")))
            await asked.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.wait_for(gone.wait(), 5)
        await provider.close()

    asyncio.run(run())


@pytest.mark.parametrize("lost", [True, False], ids=["cancelled", "receiver raises"])
def test_an_endless_stream_is_closed_when_nobody_wants_more(context, ask, lost):
    """The server notices: its next bytes go nowhere, and it never fills a buffer of ours."""

    async def run():
        provider = OpenAIProvider(context)
        begun, gone = asyncio.Event(), asyncio.Event()
        sent = 0

        async def talk(reader, writer):
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")
            event = json.dumps({"choices": [{"delta": {"content": "x" * 1000}}]}).encode()
            try:
                while True:
                    writer.write(b"data: " + event + b"\n\n")
                    await writer.drain()
                    sent += 1
            except ConnectionError:
                gone.set()

        def receive(piece):
            begun.set()
            if not lost:
                raise KeyError("the receiver broke")

        async with _listening(talk) as address:
            prompt = ask(f"http://{address}/v1", stream=True)
            call = asyncio.create_task(provider.complete(prompt, on_text=receive))
            await begun.wait()
            if lost:
                call.cancel()
            with pytest.raises((asyncio.CancelledError, KeyError)):
                await call
            await asyncio.wait_for(gone.wait(), 5)
        await provider.close()
        return sent

    assert asyncio.run(run()) < 20_000


def test_hang_up_before_the_answer_may_be_tried_again(context, ask, serving):
    """The server takes the request and closes."""
    with pytest.raises(ConnectionFailed, match="hung up before it answered") as caught:
        _call(context, serving, ask, b"", hang_up=True)
    assert caught.value.retryable is True


def test_hang_up_in_the_middle_of_the_body_is_truncated(context, ask, serving, http_reply):
    """What arrived is kept, and is no answer."""
    whole = http_reply(json.dumps(OK).encode())
    with pytest.raises(TruncatedResponse, match="in the middle of its answer") as caught:
        _call(context, serving, ask, whole[:-20], hang_up=True)
    assert caught.value.partial.startswith('{"choices"')


def test_hang_up_in_the_middle_of_a_stream_keeps_the_text(context, ask, serving):
    """The connection breaks, or ends without a finish reason: the text so far is the partial."""
    chunk = b'data: {"choices":[{"delta":{"content":"Half an"}}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
    for length in (b"content-length: 9999\r\n\r\n", b"connection: close\r\n\r\n"):
        with pytest.raises(TruncatedResponse) as caught:
            _call(context, serving, ask, head + length + chunk, hang_up=True, stream=True)
        assert caught.value.partial == "Half an"


def test_stream_that_breaks_after_its_finish_reason_is_whole(context, ask, serving):
    """The answer was complete; only [DONE] got lost."""
    chunk = b'data: {"choices":[{"delta":{"content":"All"},"finish_reason":"stop"}]}\n\n'
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
    completion = _call(context, serving, ask, head + chunk, hang_up=True, stream=True)
    assert completion.text == "All"


def test_stream_asked_but_plain_json_answered(context, ask, serving, http_reply):
    """A server that cannot stream is understood all the same."""
    reply = http_reply(json.dumps(OK).encode())
    assert _call(context, serving, ask, reply, stream=True).text == "hi"


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"{", b"", b'{"choices": "\xff"}'])
def test_body_that_is_no_json_is_malformed(context, ask, serving, http_reply, body):
    """The message shows how it began, and suspects the address."""
    with pytest.raises(MalformedResponse, match="sent no JSON"):
        _call(context, serving, ask, http_reply(body))


def test_damaged_event_is_malformed_and_keeps_the_text(context, ask, serving, http_reply):
    """A complete event that is no JSON."""
    body = b'data: {"choices":[{"delta":{"content":"So far"}}]}\n\ndata: {oops\n\n'
    reply = http_reply(body, headers={"content-type": "text/event-stream"})
    with pytest.raises(MalformedResponse, match="oops") as caught:
        _call(context, serving, ask, reply, stream=True)
    assert caught.value.partial == "So far"


def test_answer_without_http_is_malformed(context, ask, serving):
    """Some other protocol listens there."""
    with pytest.raises(MalformedResponse, match="does not speak HTTP"):
        _call(context, serving, ask, b"220 smtp.example ready\r\n\r\n", hang_up=True)


def test_huge_answer_is_refused_before_it_fills_the_memory(
    context, ask, serving, http_reply, monkeypatch
):
    """Streamed or not, and of an error too."""
    monkeypatch.setattr(http, "LARGEST_REPLY", 100_000)
    body = json.dumps({"choices": [], "filler": "x" * 200_000}).encode()
    with pytest.raises(MalformedResponse, match="more than 97 KiB"):
        _call(context, serving, ask, http_reply(body))
    events = b"data: {}\n\n" * 20_000
    with pytest.raises(MalformedResponse, match="more than 97 KiB"):
        _call(context, serving, ask, http_reply(events), stream=True)


def test_compressed_answer_is_read_and_damaged_one_is_malformed(context, ask, serving, http_reply):
    """gzip bodies are unpacked on the way."""
    import gzip

    packed = gzip.compress(json.dumps(OK).encode())
    headers = {"content-encoding": "gzip"}
    assert _call(context, serving, ask, http_reply(packed, headers=headers)).text == "hi"
    with pytest.raises(MalformedResponse, match="cannot be decompressed"):
        _call(context, serving, ask, http_reply(b"not gzip at all", headers=headers))


def test_redirect_is_not_followed_with_the_key(context, ask, serving, http_reply):
    """A redirect is a wrong base_url, and the key stays here."""
    reply = http_reply(b"", status=307, headers={"location": "https://elsewhere.example/v1"})
    with pytest.raises(InvalidRequest, match=r"redirects to https://elsewhere\.example/v1"):
        _call(context, serving, ask, reply)


@pytest.mark.parametrize(("status", "kind"), [(429, RateLimited), (500, ServerFault)])
def test_status_with_and_without_retry_after(context, ask, serving, http_reply, status, kind):
    """The hint is kept where there is one."""
    for headers, wait in (({"Retry-After": "2"}, 2.0), ({}, None)):
        with pytest.raises(kind) as caught:
            _call(context, serving, ask, http_reply(b"{}", status=status, headers=headers))
        assert caught.value.retryable is True
        assert caught.value.retry_after_s == wait
        assert caught.value.status == status


def test_connection_is_kept_for_the_next_call(context, ask, serving, http_reply):
    """Two calls, one connection."""
    ports = set()

    async def respond(request, writer):
        ports.add(writer.get_extra_info("peername")[1])
        writer.write(http_reply(json.dumps(OK).encode()))

    async def run():
        provider = OpenAIProvider(context)
        async with serving(respond) as base_url:
            await provider.complete(ask(base_url))
            await provider.complete(ask(base_url))
            await provider.close()

    asyncio.run(run())
    assert len(ports) == 1


def test_proxy_of_the_environment_is_used_but_not_for_loopback(
    context, ask, serving, http_reply, monkeypatch
):
    """HTTP_PROXY receives calls to other hosts; this machine is reached directly."""
    monkeypatch.setenv("P2RE_KEYS", "http://models.invalid=")
    seen = []

    async def respond(request, writer):
        seen.append(request.split(b"\r\n")[0])
        writer.write(http_reply(json.dumps(OK).encode()))

    async def run():
        provider = OpenAIProvider(context)
        async with serving(respond) as base_url:
            monkeypatch.setenv("http_proxy", base_url.removesuffix("/v1"))
            await provider.complete(ask("http://models.invalid/v1"))
            await provider.complete(ask(base_url))
            await provider.close()

    asyncio.run(run())
    assert seen[0] == b"POST http://models.invalid/v1/chat/completions HTTP/1.1"
    assert seen[1] == b"POST /v1/chat/completions HTTP/1.1"
