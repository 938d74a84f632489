"""Answers that Anthropic's Messages API gave, replayed over HTTP and read by the provider."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from p2re_eval.errors import NotFound, ProviderError, RateLimited
from p2re_eval.providers.anthropic import AnthropicProvider
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
WIRE = DATA / "wire_dev.jsonl"
POSTED = DATA / "errors_posted.jsonl"
OTHER_ENDPOINTS = {
    "count_tokens": "counts tokens; nothing is completed",
    "chat.completions": "the service's OpenAI form, read by the openai provider",
}
FINISH = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length"}


def _read(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def _is_ours(row) -> bool:
    """Anthropic's own rows, and those of gateways on the recording machine that speak its form."""
    return row["endpoint"] == "messages" and row["request"]["url"].partition("?")[0].endswith(
        "/v1/messages"
    )


EVERY = _read(WIRE) if WIRE.exists() else []
pytestmark = pytest.mark.skipif(not EVERY, reason=f"no recorded traffic at {WIRE}")
ROWS = [row for row in EVERY if _is_ours(row)]
ANSWERED = [row for row in ROWS if row["status"] == 200]
REFUSED = [row for row in ROWS if row["status"] != 200]
ERRORS = [row for row in _read(POSTED) if row["provider"] == "anthropic"] if EVERY else []


def _complete(context, serving, reply, *, stream=False, model="claude-x"):
    """The provider's completion of these bytes, and the pieces it handed out."""
    pieces: list[str] = []

    async def respond(request, writer):
        writer.write(reply)

    async def run():
        provider = AnthropicProvider(context)
        async with serving(respond) as base_url:
            settings = ModelSettings(
                provider="anthropic", name=model, base_url=base_url, stream=stream
            )
            messages = (Message(role="user", content="x"),)
            prompt = RenderedPrompt(name="x", messages=messages, model=settings)
            try:
                return await provider.complete(prompt, on_text=pieces.append)
            finally:
                await provider.close()

    return asyncio.run(run()), pieces


def _replay(row, context, serving, http_reply):
    kind = "text/event-stream" if row["stream"] else "application/json"
    left_out = {"content-length", "content-encoding", "transfer-encoding", "connection"}
    headers = {k: v for k, v in row["response"]["headers"].items() if k not in left_out}
    body = row["response"]["body"].encode()
    reply = http_reply(body, status=row["status"], headers={"content-type": kind, **headers})
    return _complete(
        context, serving, reply, stream=row["stream"], model=row["request"]["body"]["model"]
    )


def _expected_whole(message):
    """An independent reading of a whole message."""
    blocks = message["content"]
    text = "".join(b["text"] for b in blocks if b["type"] == "text")
    thinking = "".join(b["thinking"] for b in blocks if b["type"] == "thinking") or None
    calls = [(b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"]
    return text, thinking, calls, message["stop_reason"], message["usage"], message


def _expected_stream(body: str):
    """The same of a stream, read line by line."""
    text, thinking, calls, stop, usage, message = "", "", {}, None, {}, {}
    for line in body.splitlines():
        if not line.startswith("data:"):
            continue
        event = json.loads(line[5:])
        delta = event.get("delta") or {}
        if event["type"] == "message_start":
            message, usage = event["message"], dict(event["message"]["usage"])
        elif event["type"] == "content_block_start":
            block = event["content_block"]
            if block["type"] == "tool_use":
                calls[event["index"]] = [block["id"], block["name"], ""]
        elif event["type"] == "message_delta":
            stop = delta["stop_reason"]
            usage |= event["usage"]
        elif event.get("index") in calls:
            calls[event["index"]][2] += delta.get("partial_json", "")
        text += delta.get("text", "")
        thinking += delta.get("thinking", "")
    read = [(given, name, json.loads(written or "{}")) for given, name, written in calls.values()]
    return text, thinking or None, read, stop, usage, message


def test_every_row_of_the_service_is_claimed_or_named():
    """13 rows are replayed; 3 count tokens, 1 is in OpenAI's form; a look-alike is OpenAI's own."""
    rest = [row for row in EVERY if row["provider"] == "anthropic" and not _is_ours(row)]
    assert {row["endpoint"] for row in rest} == set(OTHER_ENDPOINTS)
    assert (len(ANSWERED), len(REFUSED), len(rest)) == (11, 2, 4)
    alike = [row for row in EVERY if row["endpoint"] == "messages" and not _is_ours(row)]
    assert [row["request"]["url"][:31] for row in alike] == ["https://api.openai.com/v1/threa"]


@pytest.mark.parametrize("row", ANSWERED, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_message_is_read_like_its_json(row, context, serving, http_reply):
    """Text, reasoning, tool calls, stop reason, usage, model and id are those of the bytes."""
    body = row["response"]["body"]
    expected = _expected_stream(body) if row["stream"] else _expected_whole(json.loads(body))
    completion, pieces = _replay(row, context, serving, http_reply)
    text, thinking, calls, stop, usage, message = expected
    assert completion.text == text
    assert completion.reasoning == thinking
    assert completion.refusal is None
    got = [(c.id, c.name, json.loads(c.arguments)) for c in completion.tool_calls]
    assert got == calls
    assert completion.raw_finish_reason == stop
    assert completion.finish_reason == FINISH[stop]
    cached, written = usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]
    assert completion.usage.input_tokens == usage["input_tokens"] + cached + written
    assert completion.usage.output_tokens == usage["output_tokens"]
    assert completion.usage.cached_tokens == cached
    assert completion.model == message["model"]
    assert completion.response_id == message["id"]
    assert completion.raw["stop_reason"] == stop
    if row["stream"]:
        assert "".join(pieces) == text
        assert completion.time_to_first_token_ns is not None


def test_recorded_tools_of_the_service_are_no_calls_of_ours(context, serving, http_reply):
    """What the service ran itself is in the raw message, whole, and not among the tool calls."""
    row = next(row for row in ANSWERED if row["id"] == "4fe4e8cc8184")
    completion, _ = _replay(row, context, serving, http_reply)
    assert completion.tool_calls == ()
    ran = [b["input"]["command"] for b in completion.raw["content"] if "input" in b]
    assert ran == ["create", "view", "view"]
    assert completion.raw["container"]["id"] == "container_011CaNRJmpe9Tf6C69Paxy7b"


def test_recorded_prompt_cache_is_part_of_the_input(context, serving, http_reply):
    """1165 tokens written to the cache and 4 others are 1169 tokens of input."""
    row = next(row for row in ANSWERED if row["id"] == "635053a22b3a")
    completion, _ = _replay(row, context, serving, http_reply)
    assert completion.usage.input_tokens == 1169
    assert completion.rate_limit["anthropic-ratelimit-requests-remaining"] == "3999"


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: row["id"])
def test_recorded_refusal_is_its_error(row, context, serving, http_reply):
    """An unknown model is NotFound, with the service's words."""
    with pytest.raises(ProviderError) as caught:
        _replay(row, context, serving, http_reply)
    assert type(caught.value) is NotFound
    assert json.loads(row["response"]["body"])["error"]["message"] in str(caught.value)
    assert caught.value.retryable is False


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: row["kind"])
def test_posted_error_is_retried_where_that_helps(row, context, serving, http_reply):
    """Errors that users posted, whole or inside a stream, have their kind and hint."""
    if row.get("stream"):
        reply = http_reply(row["raw"].encode(), headers={"content-type": "text/event-stream"})
    else:
        headers = {k: v for k, v in row["headers"].items() if k != "content-length"}
        body = json.dumps(row["body"]).encode()
        reply = http_reply(body, status=row["status"], headers=headers)
    with pytest.raises(ProviderError) as caught:
        _complete(context, serving, reply, stream=bool(row.get("stream")))
    assert caught.value.retryable is row["retryable"]
    expected = "rate_limited" if row["status"] == 429 else "overloaded"
    assert caught.value.kind == expected
    if "headers_without" in row["kind"]:
        assert type(caught.value) is RateLimited
        assert caught.value.retry_after_s == 1.0
