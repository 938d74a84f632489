"""Answers that Ollama gave, replayed over HTTP and read by the provider of its own interface."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2re_eval.errors import NotFound, TruncatedResponse
from p2re_eval.providers.event_readers import LineReader
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.ollama import OllamaProvider
from p2re_eval.providers.ollama_answer import OllamaStream
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

WIRE = Path(__file__).parents[2] / ".." / "shared" / "data" / "wire_dev.jsonl"
CALL = Call(provider="ollama", model="m", url="http://localhost:11434/api/chat")


def _rows(endpoint):
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [row for row in rows if row["endpoint"] == endpoint]


def _body(row) -> bytes:
    response = row["response"]
    if response["body"] is None:
        return base64.b64decode(response["body_b64"])
    return response["body"].encode()


ROWS = _rows("ollama.chat")
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no recorded traffic at {WIRE}")
ANSWERED = [row for row in ROWS if row["status"] == 200]
STREAMS = [_body(row) for row in ANSWERED if row["stream"]]


def _complete(row, context, serving, http_reply):
    """The provider's completion of this row, and the pieces it handed out."""
    kind = "application/x-ndjson" if row["stream"] else "application/json"
    headers = {
        name: value
        for name, value in row["response"]["headers"].items()
        if name not in {"content-length", "content-encoding", "transfer-encoding", "connection"}
    }
    reply = http_reply(_body(row), status=row["status"], headers={"content-type": kind, **headers})
    pieces: list[str] = []

    async def respond(request, writer):
        assert request.startswith(b"POST /api/chat ")
        assert json.loads(request.partition(b"\r\n\r\n")[2])["stream"] is row["stream"]
        writer.write(reply)

    async def run():
        provider = OllamaProvider(context)
        async with serving(respond) as base_url:
            model = ModelSettings(
                provider="ollama",
                name=row["request"]["body"]["model"],
                base_url=base_url,
                stream=row["stream"],
            )
            messages = (Message(role="user", content="x"),)
            prompt = RenderedPrompt(name="x", messages=messages, model=model)
            try:
                return await provider.complete(prompt, on_text=pieces.append)
            finally:
                await provider.close()

    return asyncio.run(run()), pieces


@pytest.mark.parametrize("row", ANSWERED, ids=lambda row: row["id"])
def test_recorded_answer_is_read_like_its_json(row, context, serving, http_reply):
    """Text, thinking, tool calls, finish reason, usage and model are those of the lines."""
    lines = [json.loads(line) for line in _body(row).decode().splitlines() if line]
    messages = [line["message"] for line in lines]
    calls = [call for message in messages for call in message.get("tool_calls", [])]
    completion, pieces = _complete(row, context, serving, http_reply)
    text = "".join(message["content"] for message in messages)
    assert completion.text == text
    thinking = "".join(message.get("thinking", "") for message in messages)
    assert (completion.reasoning or "") == thinking
    assert [(c.id, c.name, json.loads(c.arguments)) for c in completion.tool_calls] == [
        (call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
    ]
    last = lines[-1]
    assert completion.raw_finish_reason == last["done_reason"] == "stop"
    assert completion.finish_reason == ("tool_calls" if calls else "stop")
    assert completion.usage.input_tokens == last["prompt_eval_count"]
    assert completion.usage.output_tokens == last["eval_count"]
    assert (completion.usage.cached_tokens, completion.usage.reasoning_tokens) == (None, None)
    assert (completion.model, completion.response_id) == (last["model"], None)
    assert completion.refusal is None
    if row["stream"]:
        assert "".join(pieces) == text
        assert completion.time_to_first_token_ns is not None


def test_recorded_refusal_becomes_its_error(context, serving, http_reply):
    """A model that was not pulled."""
    row = next(row for row in ROWS if row["status"] == 404)
    with pytest.raises(NotFound, match=r"model 'nonexistent-model:latest' not found; check"):
        _complete(row, context, serving, http_reply)


def test_every_recorded_row_of_a_chat_is_claimed():
    """5 answers, of which 2 are streams, and a refusal. The two rows of /api/generate are not: that
    interface completes a text, and a prompt here is a chat."""
    assert (len(ANSWERED), len(STREAMS), len(ROWS)) == (5, 2, 6)
    assert len(_rows("ollama.generate")) == 2


def _read(pieces) -> OllamaStream:
    reader, stream = LineReader(), OllamaStream(CALL)
    events = [event for piece in pieces for event in reader.feed(piece)]
    for event in [*events, *reader.end()]:
        try:
            stream.add(json.loads(event.data))
        except ValueError:
            assert event.cut
    return stream


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lines_read_the_same_wherever_the_network_cuts_them(data):
    """Any cuts give the same completion."""
    body = data.draw(st.sampled_from(STREAMS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert _read(pieces).completion() == _read([body]).completion()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_lines_that_stop_before_the_last_are_never_a_whole_answer(data):
    """Cut off before the line that says done it raises, and keeps the text that arrived."""
    body = data.draw(st.sampled_from(STREAMS)).rstrip()
    whole = _read([body]).completion()
    stream = _read([body[: data.draw(st.integers(0, len(body) - 1))]])
    with pytest.raises(TruncatedResponse) as caught:
        stream.completion()
    assert whole.text.startswith(caught.value.partial or "")
