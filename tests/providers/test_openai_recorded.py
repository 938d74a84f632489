"""Answers that real services gave, replayed over HTTP and read by the openai provider."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    InvalidRequest,
    NotFound,
    ProviderError,
    RateLimited,
)
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.services import SERVICES
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
WIRE = DATA / "wire_dev.jsonl"


def _rows():
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [row for row in rows if _is_chat_completions(row)]


def _is_chat_completions(row) -> bool:
    """Writer's ``/chat`` has the form too; Cohere's has its own."""
    return row["endpoint"] == "chat.completions" or (row["provider"], row["endpoint"]) == (
        "writer",
        "chat",
    )


def _service(row):
    """The row of the table that the recorded service has."""
    names = {service.name: service for service in SERVICES}
    others = {"azure-openai": "azure", "bedrock": "bedrock-mantle", "localhost": "vllm"}
    name = others.get(row["provider"], row["provider"])
    return names.get(f"{name}-openai") or names[name]


ROWS = _rows()
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no recorded traffic at {WIRE}")
ANSWERED = [row for row in ROWS if row["status"] == 200]
REFUSED = [row for row in ROWS if row["status"] != 200]
REFUSALS = {400: InvalidRequest, 401: AuthenticationFailed, 404: NotFound, 429: RateLimited}


def _body(row) -> bytes:
    response = row["response"]
    if response["body"] is None:
        return base64.b64decode(response["body_b64"])
    return response["body"].encode()


def _prompt(row, base_url) -> RenderedPrompt:
    asked = row["request"]["body"]
    model = ModelSettings(
        provider="openai", name=asked["model"], base_url=base_url, stream=row["stream"]
    )
    return RenderedPrompt(name="x", messages=(Message(role="user", content="x"),), model=model)


def _complete(row, context, serving, http_reply):
    """The provider's completion of this row, and the pieces it handed out."""
    kind = "text/event-stream" if row["stream"] else "application/json"
    headers = {
        name: value
        for name, value in row["response"]["headers"].items()
        if name not in {"content-length", "content-encoding", "transfer-encoding", "connection"}
    }
    reply = http_reply(_body(row), status=row["status"], headers={"content-type": kind, **headers})
    pieces: list[str] = []

    async def respond(request, writer):
        writer.write(reply)

    async def run():
        provider = OpenAIProvider(context, _service(row))
        async with serving(respond) as base_url:
            try:
                return await provider.complete(_prompt(row, base_url), on_text=pieces.append)
            finally:
                await provider.close()

    return asyncio.run(run()), pieces


def _expected_whole(payload):
    """An independent reading of a whole answer: text, calls, finish, usage, model, id."""
    choice = payload["choices"][0]
    content = choice["message"].get("content") or ""
    if isinstance(content, list):
        content = "".join(p["text"] for p in content if p["type"] == "text")
    calls = [
        (c["id"], c["function"]["name"], c["function"]["arguments"])
        for c in choice["message"].get("tool_calls") or []
    ]
    usage = payload.get("usage") or {}
    tokens = (usage.get("prompt_tokens"), usage.get("completion_tokens"))
    finish = choice["finish_reason"] or None
    return content, calls, finish, tokens, payload["model"] or None, payload.get("id") or None


def _expected_stream(body: bytes):
    """The same of a stream, read line by line."""
    text, finish, model, answer_id, tokens, calls = "", None, None, None, (None, None), {}
    for line in body.decode().splitlines():
        if not line.startswith("data:") or line[5:].strip() == "[DONE]":
            continue
        chunk = json.loads(line[5:])
        model, answer_id = chunk.get("model") or model, chunk.get("id") or answer_id
        usage = chunk.get("usage") or (chunk.get("x_groq") or {}).get("usage")
        if usage:
            tokens = (usage["prompt_tokens"], usage["completion_tokens"])
        for choice in chunk["choices"]:
            delta = choice["delta"]
            content = delta.get("content") or ""
            if isinstance(content, list):
                content = "".join(p["text"] for p in content if p["type"] == "text")
            text += content
            finish = choice.get("finish_reason") or finish
            for called in delta.get("tool_calls") or []:
                kept = calls.setdefault(called.get("index", len(calls)), ["", "", ""])
                kept[0] = kept[0] or called.get("id") or ""
                kept[1] = kept[1] or called["function"].get("name") or ""
                kept[2] += called["function"].get("arguments") or ""
    return text, [tuple(c) for c in calls.values()], finish, tokens, model, answer_id


@pytest.mark.parametrize("row", ANSWERED, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_answer_is_read_like_its_json(row, context, serving, http_reply):
    """Text, tool calls, finish reason, usage, model and id are those of the recorded bytes."""
    body = _body(row)
    expected = _expected_stream(body) if row["stream"] else _expected_whole(json.loads(body))
    completion, pieces = _complete(row, context, serving, http_reply)
    text, calls, finish, tokens, model, answer_id = expected
    assert completion.text == text
    got = [(c.id, c.name, c.arguments) for c in completion.tool_calls]
    wanted = [(given or f"call_{n}", name, args) for n, (given, name, args) in enumerate(calls)]
    assert got == wanted
    assert completion.raw_finish_reason == finish
    unsaid = "tool_calls" if calls else "other"
    assert completion.finish_reason == {None: unsaid, "eos": "stop"}.get(finish, finish)
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == tokens
    assert completion.model == model
    assert completion.response_id == answer_id
    assert (completion.raw["choices"][0]["finish_reason"] or None) == finish
    if row["stream"]:
        assert "".join(pieces) == text
        assert completion.time_to_first_token_ns is not None


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_refusal_becomes_its_error(row, context, serving, http_reply):
    """A status other than 200 raises the kind of error it stands for, with the service's words."""
    with pytest.raises(ProviderError) as caught:
        _complete(row, context, serving, http_reply)
    assert type(caught.value) is REFUSALS[row["status"]]
    assert caught.value.status == row["status"]
    said = json.loads(_body(row))["error"]["message"]
    assert " ".join(said.split())[:60] in str(caught.value)
    assert caught.value.retryable is (row["status"] == 429)


def test_recorded_rate_limits_are_kept(context, serving, http_reply):
    """The service's rate-limit headers come with the completion."""
    row = next(row for row in ANSWERED if row["id"] == "a952545b8679")
    completion, _ = _complete(row, context, serving, http_reply)
    assert completion.rate_limit["x-ratelimit-remaining-requests"] == "3999"


def test_recorded_reasoning_and_details_are_kept(context, serving, http_reply):
    """Reasoning under either name, cached and reasoning tokens are read."""
    by_id = {row["id"]: row for row in ANSWERED}
    groq, _ = _complete(by_id["ab13b2e7079e"], context, serving, http_reply)
    assert groq.reasoning == "Simple."
    assert groq.usage.reasoning_tokens == 3
    deepseek, _ = _complete(by_id["870917c053b5"], context, serving, http_reply)
    assert deepseek.reasoning is not None
    assert deepseek.reasoning.startswith("The user wants to play a dice game.")
    assert deepseek.usage.cached_tokens == 512
