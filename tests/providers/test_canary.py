"""A key that must never show, through every adapter and every way to fail.

The service does its worst: it repeats the request's headers in bodies, headers, streams and
redirects. Errors, their causes, reprs, partial answers and logs are searched for the key.
"""

from __future__ import annotations

import asyncio
import json
import logging
import traceback

import pytest

from p2re_eval.errors import ProviderError
from p2re_eval.plugins import Plugins
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

CANARY = "cAnArY-0a1b2c3d4e5f-tHaT-mUsT-nOt-ShOw"
ADAPTERS = ("openai", "openai-responses", "openai-completions", "azure", "anthropic", "gemini")
ADAPTERS += ("vertex", "ollama", "cohere", "bedrock")
"""Every adapter; the other services of the table are rows of the first three."""
BASES = {"gemini": "/v1beta", "vertex": "/v1beta", "bedrock": "", "ollama": "", "azure": ""}


def _keys_of(provider) -> list[str]:
    names = provider.requirements().variables
    return [name for name in names if name.endswith(("_KEY", "_TOKEN", "_SESSION_TOKEN"))] + [
        name for name in names if name.startswith(("AWS_BEARER", "GOOGLE_OAUTH"))
    ]


def _echo(request: bytes) -> str:
    """The headers of the request as text, as careless debugging proxies show them."""
    return request.partition(b"\r\n\r\n")[0].decode("latin-1").replace("\r\n", " ")


def _replies(request: bytes, http_reply) -> dict[str, tuple[bytes, bool]]:
    """Every way to fail, and whether the server hangs up afterwards."""
    said = _echo(request)
    error = json.dumps({"error": {"message": said, "type": said[:300]}}).encode()
    lines = {"content-type": "text/event-stream"}
    chunk = {
        "choices": [{"delta": {"content": said}, "text": said}],
        "type": "response.output_text.delta",
        "delta": said,
        "message": {"content": said},
        "candidates": [{"content": {"parts": [{"text": said}]}}],
    }
    begun = f"data: {json.dumps(chunk)}\n\n".encode()
    broken = b"data: {oops " + said.encode() + b"\n\n"
    failed = b"event: error\ndata: " + error + b"\n\n"
    ways = {
        f"{status}": (http_reply(error, status=status), False)
        for status in (400, 401, 403, 404, 429, 500, 529)
    }
    ways |= {
        "page": (http_reply(f"<html><title>{said}</title>".encode(), status=502), False),
        "no json": (http_reply(said.encode()), False),
        "error in 200": (http_reply(error), False),
        "redirect": (http_reply(b"", status=307, headers={"location": f"http://x/{said}"}), False),
        "half": (http_reply(said.encode())[:-3], True),
        "nothing": (b"", True),
        "not http": (f"{said}\r\n\r\n".encode(), True),
        "stream ends": (http_reply(begun, headers=lines), False),
        "stream breaks": (http_reply(begun + broken, headers=lines), False),
        "stream error": (http_reply(begun + failed, headers=lines), False),
        "stream cut": (http_reply(begun * 2, headers=lines)[:-9], True),
    }  # fmt: skip
    return ways


WAYS = list(_replies(b"POST / HTTP/1.1\r\n\r\n", lambda *a, **k: b""))


def _everything(error: BaseException) -> str:
    """All that could be printed of an error and of what led to it."""
    said = ["".join(traceback.format_exception(error))]
    seen: BaseException | None = error
    while seen is not None:
        said += [str(seen), repr(seen), repr(seen.args), repr(vars(seen))]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(said)


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_key_is_nowhere_to_be_seen(name, context, serving, http_reply, monkeypatch, caplog):
    """Whole and streamed, every way to fail: the key is sent, and never seen again."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    provider = Plugins(entry_points=False).providers[name](context)
    for variable in _keys_of(provider):
        monkeypatch.setenv(variable, CANARY)
    sent: list[bytes] = []

    async def ask(address: str, stream: bool) -> None:
        model = ModelSettings(provider=name, name="m", base_url=address, stream=stream)
        messages = (Message(role="user", content="x"),)
        prompt = RenderedPrompt(name="x", messages=messages, model=model)
        provider.check(prompt)
        await provider.complete(prompt)

    async def one(way: str, stream: bool) -> str:
        async def respond(request, writer):
            sent.append(request)
            reply, hangs_up = _replies(request, http_reply)[way]
            writer.write(reply)
            if hangs_up:
                await writer.drain()
                writer.close()

        async with serving(respond) as base_url:
            address = base_url.removesuffix("/v1") + BASES.get(name, "/v1")
            try:
                await ask(address, stream)
            except ProviderError as error:
                return _everything(error)
        pytest.fail(f"'{way}' gave an answer")

    async def run() -> dict[str, str]:
        said = {f"{way} {s}": await one(way, s) for way in WAYS for s in (False, True)}
        await provider.close()
        return said

    said = asyncio.run(run())
    assert all(CANARY.encode() in request for request in sent)
    assert len(sent) == 2 * len(WAYS)
    assert {way: text for way, text in said.items() if CANARY in text} == {}
    assert CANARY not in caplog.text
    assert CANARY not in repr(provider) + repr(provider.requirements()) + repr(vars(provider))
