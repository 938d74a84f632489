"""The Responses API: what is sent, and recorded answers read like their JSON."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2re_eval.errors import (
    AuthenticationFailed,
    InvalidRequest,
    ProviderError,
    TruncatedResponse,
    Unsupported,
)
from p2re_eval.providers.event_readers import EventReader
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.responses_answer import ResponseStream, read_response
from p2re_eval.providers.responses_request import responses_body
from p2re_eval.providers.services import service
from p2re_eval.records import ImagePart, Message, TextPart, Tool, ToolCall

WIRE = Path(__file__).parents[2] / ".." / "shared" / "data" / "wire_dev.jsonl"
CALL = Call("openai-responses", "m", "https://api.openai.com/v1/responses")


def _rows():
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [row for row in rows if row["endpoint"] == "responses"]


ROWS = _rows()
ANSWERED = [row for row in ROWS if row["status"] == 200]
REFUSED = [row for row in ROWS if row["status"] != 200]
recorded = pytest.mark.skipif(not ROWS, reason=f"no recorded traffic at {WIRE}")


def _body(row) -> bytes:
    response = row["response"]
    if response["body"] is None:
        return base64.b64decode(response["body_b64"])
    return response["body"].encode()


def _name(row) -> str:
    return f"{row['provider']}-{row['id']}"


def _complete(row, context, ask, serving, http_reply):
    kind = "text/event-stream" if row["stream"] else "application/json"
    reply = http_reply(_body(row), status=row["status"], headers={"content-type": kind})
    pieces: list[str] = []

    async def respond(request, writer):
        assert request.startswith(b"POST /v1/responses HTTP/1.1\r\n")
        writer.write(reply)

    async def run():
        provider = OpenAIProvider(context, service("openai-responses"))
        async with serving(respond) as base_url:
            try:
                prompt = ask(base_url, stream=row["stream"])
                return await provider.complete(prompt, on_text=pieces.append)
            finally:
                await provider.close()

    return asyncio.run(run()), pieces


def _last_response(row):
    body = _body(row).decode()
    if not row["stream"]:
        return json.loads(body)
    lines = [line[5:] for line in body.splitlines() if line.startswith("data:")]
    events = [json.loads(line) for line in lines if line.strip() != "[DONE]"]
    return next(event["response"] for event in events if event["type"] == "response.completed")


@recorded
@pytest.mark.parametrize("row", ANSWERED, ids=_name)
def test_recorded_response_is_read_like_its_json(row, context, ask, serving, http_reply):
    """Text, reasoning, calls, finish, usage, model and id are those of the recorded bytes."""
    completion, pieces = _complete(row, context, ask, serving, http_reply)
    said = _last_response(row)
    texts, calls, thoughts = [], [], []
    for item in said["output"]:
        if item["type"] == "message":
            texts += [part["text"] for part in item["content"] if part["type"] == "output_text"]
        elif item["type"] == "function_call":
            calls.append((item["call_id"], item["name"], item["arguments"]))
        elif item["type"] == "reasoning":
            thoughts += [part["text"] for part in item.get("content") or item["summary"]]
    assert completion.text == "".join(texts)
    assert [(c.id, c.name, c.arguments) for c in completion.tool_calls] == calls
    assert completion.reasoning == ("".join(thoughts) or None)
    assert completion.refusal is None
    assert completion.finish_reason == ("tool_calls" if calls else "stop")
    assert completion.raw_finish_reason == "completed"
    usage = said["usage"]
    assert completion.usage.input_tokens == usage["input_tokens"]
    assert completion.usage.output_tokens == usage["output_tokens"]
    assert completion.usage.cached_tokens == usage["input_tokens_details"]["cached_tokens"]
    assert completion.usage.reasoning_tokens == usage["output_tokens_details"]["reasoning_tokens"]
    assert (completion.model, completion.response_id) == (said["model"], said["id"])
    if row["stream"]:
        assert "".join(pieces) == completion.text


@recorded
@pytest.mark.parametrize("row", REFUSED, ids=_name)
def test_recorded_refusal_becomes_its_error(row, context, ask, serving, http_reply):
    """400 and 401, with the service's words."""
    with pytest.raises(ProviderError) as caught:
        _complete(row, context, ask, serving, http_reply)
    wanted = {400: InvalidRequest, 401: AuthenticationFailed}[row["status"]]
    assert type(caught.value) is wanted


@recorded
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_stream_cut_anywhere_is_whole_or_truncated(data):
    """Pieces of any size give the same answer; a stream that ends early never gives one."""
    row = data.draw(st.sampled_from([row for row in ANSWERED if row["stream"]]), label="row")
    body = _body(row)
    end = data.draw(st.integers(0, len(body)), label="end")
    step = data.draw(st.integers(1, 4000), label="step")
    reader, stream = EventReader(), ResponseStream(CALL)
    text = ""
    for start in range(0, end, step):
        for event in reader.feed(body[start : min(end, start + step)]):
            text += stream.add(json.loads(event.data) if event.data != "[DONE]" else {})
    whole = "".join(
        part["text"]
        for item in _last_response(row)["output"]
        if item["type"] == "message"
        for part in item["content"]
    )
    assert whole.startswith(text)
    if stream.ended:
        assert stream.completion().text == whole
        return
    with pytest.raises(TruncatedResponse) as caught:
        stream.completion()
    assert caught.value.partial == (text or None)


@pytest.mark.parametrize(
    ("payload", "finish", "raw"),
    [
        ({"status": "completed"}, "stop", "completed"),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
            "max_output_tokens",
        ),
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
            "content_filter",
        ),
        ({"status": "incomplete"}, "other", "incomplete"),
    ],
)
def test_finish_reasons(payload, finish, raw):
    """The status, or why it is incomplete."""
    completion = read_response(CALL, {"output": [], **payload})
    assert (completion.finish_reason, completion.raw_finish_reason) == (finish, raw)


def test_refusal_is_kept_apart_from_text():
    """A part of its own in the message."""
    item = {"type": "message", "content": [{"type": "refusal", "refusal": "I cannot."}]}
    completion = read_response(CALL, {"output": [item], "status": "completed"})
    assert (completion.text, completion.refusal) == ("", "I cannot.")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "error", "code": "server_error", "message": "It broke."},
        {"type": "response.failed", "response": {"error": {"message": "It broke."}}},
    ],
)
def test_error_inside_a_stream_is_an_error(event):
    """After HTTP 200 as before."""
    with pytest.raises(ProviderError, match="It broke"):
        ResponseStream(CALL).add(event)


def test_body_has_the_responses_form(ask):
    """Items for calls and their outputs, parts by direction, the limit under its own name."""
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="user", content=(TextPart(text="see"), ImagePart(url="data:image/png,A"))),
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{}"),)),
        Message(role="tool", content="7", tool_call_id="c"),
    )
    prompt = ask(max_tokens=9, temperature=0).model_copy(
        update={
            "messages": messages,
            "tools": (Tool(name="f"),),
            "output_schema": {"type": "object"},
        }
    )
    image = {"type": "input_image", "image_url": "data:image/png,A", "detail": "auto"}
    parameters = {"type": "object", "properties": {}}
    json_schema = {"name": "greet", "schema": {"type": "object"}, "strict": False}
    assert responses_body(prompt, stream=True) == {
        "model": "gpt-4o-mini",
        "input": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "input_text", "text": "see"}, image]},
            {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "7"},
        ],
        "store": False,
        "temperature": 0.0,
        "max_output_tokens": 9,
        "tools": [
            {"type": "function", "name": "f", "parameters": parameters, "strict": False},
        ],
        "text": {"format": {"type": "json_schema", **json_schema}},
        "stream": True,
    }


@pytest.mark.parametrize("setting", [{"seed": 1}, {"stop": ("a",)}])
def test_what_the_api_lacks_is_said_before_the_call(context, ask, setting):
    """With the way out."""
    provider = OpenAIProvider(context, service("openai-responses"))
    with pytest.raises(Unsupported, match=r"the Responses API takes no '(seed|stop)'; remove it"):
        provider.check(ask(**setting))
