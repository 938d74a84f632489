"""Answers that Google's services gave, replayed over HTTP and read by the gemini provider."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2re_eval.errors import (
    InvalidRequest,
    NotFound,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    TruncatedResponse,
)
from p2re_eval.providers.event_readers import EventReader
from p2re_eval.providers.gemini import GeminiProvider
from p2re_eval.providers.generate_answer import GenerateStream
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

DATA = Path(__file__).parents[2] / ".." / "shared" / "data"
WIRE = DATA / "wire_dev.jsonl"
POSTED = DATA / "errors_posted.jsonl"
CALL = Call(provider="gemini", model="m", url="https://api.example/v1beta/models/m:x")


def _rows():
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [row for row in rows if row["endpoint"] == "generateContent"]


def _posted():
    if not POSTED.exists():
        return []
    rows = [json.loads(line) for line in POSTED.read_text("utf-8").splitlines()]
    return [row for row in rows if row["provider"] in {"gemini", "vertex"}]


def _body(row) -> bytes:
    response = row["response"]
    if response["body"] is None:
        return base64.b64decode(response["body_b64"])
    return response["body"].encode()


ROWS = _rows()
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no recorded traffic at {WIRE}")
ANSWERED = [row for row in ROWS if row["status"] == 200]
REFUSED = [row for row in ROWS if row["status"] != 200]
STREAMS = [_body(row) for row in ANSWERED if row["stream"]]
REFUSALS = {400: InvalidRequest, 404: NotFound}


def _complete(row, context, serving, http_reply):
    """The provider's completion of this row, the pieces it handed out, and what it asked."""
    kind = "text/event-stream" if row["stream"] else "application/json"
    headers = {
        name: value
        for name, value in row["response"]["headers"].items()
        if name not in {"content-length", "content-encoding", "transfer-encoding", "connection"}
    }
    reply = http_reply(_body(row), status=row["status"], headers={"content-type": kind, **headers})
    name = row["request"]["url"].rpartition("/models/")[2].partition(":")[0]
    pieces: list[str] = []
    asked: list[bytes] = []

    async def respond(request, writer):
        asked.append(request)
        writer.write(reply)

    async def run():
        provider = GeminiProvider(context)
        async with serving(respond) as base_url:
            model = ModelSettings(
                provider="gemini", name=name, base_url=base_url, stream=row["stream"]
            )
            messages = (Message(role="user", content="x"),)
            prompt = RenderedPrompt(name="x", messages=messages, model=model)
            try:
                return await provider.complete(prompt, on_text=pieces.append)
            finally:
                await provider.close()

    return asyncio.run(run()), pieces, asked[0]


def _expected(row):
    """An independent reading of the recorded bytes, whole or line by line."""
    body = _body(row).decode()
    chunks = (
        [json.loads(body)]
        if not row["stream"]
        else [
            json.loads(line[len("data:") :])
            for line in body.splitlines()
            if line.startswith("data:")
        ]
    )
    found = {"text": "", "thoughts": "", "calls": [], "finish": None, "usage": {}}
    for chunk in chunks:
        found["usage"] |= chunk.get("usageMetadata", {})
        found["model"], found["id"] = chunk["modelVersion"], chunk["responseId"]
        candidate = chunk["candidates"][0]
        found["finish"] = candidate.get("finishReason", found["finish"])
        for part in candidate["content"]["parts"]:
            if "text" in part:
                found["thoughts" if part.get("thought") else "text"] += part["text"]
            if "functionCall" in part:
                found["calls"].append(part["functionCall"])
    return found


@pytest.mark.parametrize("row", ANSWERED, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_answer_is_read_like_its_json(row, context, serving, http_reply):
    """Text, tool calls, finish reason, usage, model and id are those of the recorded bytes."""
    expected = _expected(row)
    completion, pieces, _ = _complete(row, context, serving, http_reply)
    assert completion.text == expected["text"]
    assert (completion.reasoning or "") == expected["thoughts"]
    assert completion.refusal is None
    got = [(c.id, c.name, json.loads(c.arguments)) for c in completion.tool_calls]
    assert got == [
        (c.get("id", f"call_{n}"), c["name"], c["args"]) for n, c in enumerate(expected["calls"])
    ]
    assert completion.raw_finish_reason == str(expected["finish"])
    assert expected["finish"] in {"STOP", 1}
    assert completion.finish_reason == ("tool_calls" if expected["calls"] else "stop")
    usage = expected["usage"]
    assert completion.usage.input_tokens == usage["promptTokenCount"]
    assert completion.usage.output_tokens == usage["totalTokenCount"] - usage["promptTokenCount"]
    assert completion.usage.reasoning_tokens == usage.get("thoughtsTokenCount")
    assert completion.usage.cached_tokens == usage.get("cachedContentTokenCount")
    assert (completion.model, completion.response_id) == (expected["model"], expected["id"])
    assert completion.raw["usageMetadata"] == usage
    if row["stream"]:
        assert "".join(pieces) == expected["text"]
        assert completion.time_to_first_token_ns is not None


@pytest.mark.parametrize("row", REFUSED, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_refusal_becomes_its_error(row, context, serving, http_reply):
    """A status other than 200 raises the kind of error it stands for, with the service's words."""
    with pytest.raises(ProviderError) as caught:
        _complete(row, context, serving, http_reply)
    assert type(caught.value) is REFUSALS[row["status"]]
    assert caught.value.status == row["status"]
    assert caught.value.retryable is False
    assert json.loads(_body(row))["error"]["message"][:60] in str(caught.value)


KINDS = {
    "resource_exhausted_multi_quota": QuotaExhausted,
    "resource_exhausted_json_array": RateLimited,
    "double_encoded": RateLimited,
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("posted", _posted(), ids=lambda row: row["kind"])
def test_posted_error_is_named_and_retried_where_that_helps(
    posted, stream, context, serving, http_reply
):
    """Errors that users posted: a quota of the day is exhausted, others pass."""
    url = "https://x/v1beta/models/m:generateContent"
    response = {"headers": {}, "body": json.dumps(posted["body"])}
    row = {"request": {"url": url}, "response": response, "status": 429, "stream": stream}
    with pytest.raises(ProviderError) as caught:
        _complete(row, context, serving, http_reply)
    assert type(caught.value) is KINDS[posted["kind"]]
    assert caught.value.retryable is (posted["retryable"] is True)


def test_every_recorded_row_is_claimed():
    """No row of the form is left out: 17 answers, of which 7 are streams, and 5 refusals."""
    assert (len(ANSWERED), len(STREAMS), len(REFUSED)) == (17, 7, 5)


@pytest.mark.parametrize("stream", [False, True])
def test_address_is_the_one_that_was_recorded(stream, context, serving, http_reply):
    """The same path and query as the services' own clients use."""
    row = next(r for r in ANSWERED if r["stream"] is stream and r["provider"] == "gemini")
    _, _, asked = _complete(row, context, serving, http_reply)
    path = row["request"]["url"].partition("/v1beta")[2]
    assert asked.split(b" ")[1].decode() == f"/v1{path}"


def _read(pieces) -> GenerateStream:
    reader, stream = EventReader(), GenerateStream(CALL)
    events = [event for piece in pieces for event in reader.feed(piece)]
    for event in [*events, *reader.end()]:
        if not event.cut:
            stream.add(json.loads(event.data))
    return stream


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stream_reads_the_same_wherever_the_network_cuts_it(data):
    """Any cuts, in the middle of a character or of CRLF too, give the same completion."""
    body = data.draw(st.sampled_from(STREAMS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert _read(pieces).completion() == _read([body]).completion()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_stream_that_stops_before_its_end_is_never_a_whole_answer(data):
    """Cut off before the finish reason it raises, and keeps the text that arrived."""
    body = data.draw(st.sampled_from(STREAMS))
    whole = _read([body]).completion()
    stream = _read([body[: data.draw(st.integers(0, len(body) - 1))]])
    if stream.ended:
        assert stream.completion().text == whole.text
        return
    with pytest.raises(TruncatedResponse) as caught:
        stream.completion()
    assert whole.text.startswith(caught.value.partial or "")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_connection_lost_in_a_stream_keeps_the_text_so_far(share, context, serving, http_reply):
    """Over HTTP: a promised length that never comes is an error with what had arrived."""
    row = next(r for r in ANSWERED if r["id"] == "25811dd9ae7b")
    body = _body(row)

    async def respond(request, writer):
        head, _, _ = http_reply(body, headers={"content-type": "text/event-stream"}).partition(
            b"\r\n\r\n"
        )
        writer.write(head + b"\r\n\r\n" + body[: int(len(body) * share)])
        await writer.drain()
        writer.close()

    async def run():
        provider = GeminiProvider(context)
        async with serving(respond) as base_url:
            model = ModelSettings(provider="gemini", name="m", base_url=base_url, stream=True)
            messages = (Message(role="user", content="x"),)
            with pytest.raises(TruncatedResponse) as caught:
                await provider.complete(RenderedPrompt(name="x", messages=messages, model=model))
            await provider.close()
        return caught.value

    error = asyncio.run(run())
    assert _expected(row)["text"].startswith(error.partial)
    assert len(error.partial) > 100


def test_connection_lost_after_the_finish_reason_loses_nothing(context, serving, http_reply):
    """The service's last word had arrived."""
    row = next(r for r in ANSWERED if r["id"] == "25811dd9ae7b")
    head, _, body = http_reply(_body(row) + b"....").partition(b"\r\n\r\n")

    async def respond(request, writer):
        writer.write(head.replace(b"application/json", b"text/event-stream") + b"\r\n\r\n")
        writer.write(body.removesuffix(b"...."))
        await writer.drain()
        writer.close()

    async def run():
        provider = GeminiProvider(context)
        async with serving(respond) as base_url:
            model = ModelSettings(provider="gemini", name="m", base_url=base_url, stream=True)
            messages = (Message(role="user", content="x"),)
            prompt = RenderedPrompt(name="x", messages=messages, model=model)
            completion = await provider.complete(prompt)
            await provider.close()
        return completion

    assert asyncio.run(run()).text == _expected(row)["text"]
