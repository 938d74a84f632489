"""Streams put together: cuts anywhere, every shape of tool call, endings that are none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2re_eval.errors import MalformedResponse, Overloaded, TruncatedResponse
from p2re_eval.providers.chat_stream import ChatStream
from p2re_eval.providers.event_readers import EventReader
from p2re_eval.providers.http_faults import Call

WIRE = Path(__file__).parents[2] / ".." / "shared" / "data" / "wire_dev.jsonl"
CALL = Call(provider="openai", model="m", url="https://api.example/v1/chat/completions")
EMOJI = (
    'data: {"id":"a","model":"m","choices":[{"delta":{"content":"Grüße 👋"}}]}\r\n\r\n'
    ": keep-alive\r\n\r\n"
    'data: {"choices":[{"delta":{"content":" 世界"},\r\n'
    'data: "finish_reason":"stop"}]}\r\n\r\n'
    "data: [DONE]\r\n\r\n"
).encode()


def _streams():
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [
        row["response"]["body"].encode()
        for row in rows
        if row["endpoint"] == "chat.completions" and row["stream"] and row["status"] == 200
    ]


STREAMS = [EMOJI, *_streams()]


def _read(pieces) -> ChatStream:
    reader, stream = EventReader(), ChatStream(CALL)
    events = [event for piece in pieces for event in reader.feed(piece)]
    for event in [*events, *reader.end()]:
        if event.data == "[DONE]":
            stream.done()
        elif not event.cut:
            stream.add(json.loads(event.data))
    return stream


def _chunk(delta, finish=None, **more):
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}


def _completion(*chunks):
    stream = ChatStream(CALL)
    for chunk in chunks:
        stream.add(chunk)
    return stream.completion()


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
    else:
        with pytest.raises(TruncatedResponse) as caught:
            stream.completion()
        assert whole.text.startswith(caught.value.partial or "")


def test_emoji_in_two_events_and_data_on_two_lines_are_one_text():
    """UTF-8, CRLF, comments and an event of two data lines are read as the standard says."""
    assert _read([EMOJI]).completion().text == "Grüße 👋 世界"


def test_surrogate_halves_in_two_chunks_become_one_character():
    """A service that cuts by UTF-16 units still gives text that can be stored."""
    chunks = (_chunk({"content": "\ud83d"}), _chunk({"content": "\ude00"}, "stop"))
    assert _completion(*chunks).text == "\U0001f600"


def test_streamed_tool_calls_are_joined_by_index():
    """Pieces of two parallel calls, interleaved, become two calls."""
    completion = _completion(
        _chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}),
        _chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g"}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"x":'}}]}),
        _chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]}),
        _chunk({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}, "tool_calls"),
    )
    got = [(call.id, call.name, call.arguments) for call in completion.tool_calls]
    assert got == [("a", "f", '{"x":1}'), ("b", "g", "{}")]


def test_streamed_tool_calls_without_index_or_id_are_told_apart_by_name():
    """Whole calls that share a missing index are several calls, with ids made up in order."""
    completion = _completion(
        _chunk({"tool_calls": [{"id": "", "function": {"name": "f", "arguments": "{}"}}]}),
        _chunk({"tool_calls": [{"id": "", "function": {"name": "g", "arguments": {"a": 1}}}]}),
        _chunk({}, "stop"),
    )
    got = [(call.id, call.name, call.arguments) for call in completion.tool_calls]
    assert got == [("call_0", "f", "{}"), ("call_1", "g", '{"a": 1}')]


def test_streamed_tool_calls_that_all_have_index_zero_are_told_apart_by_id():
    """Some servers number every parallel call 0."""
    completion = _completion(
        _chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]}),
        _chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "g"}}]}, "stop"),
    )
    assert [(call.id, call.name) for call in completion.tool_calls] == [("a", "f"), ("b", "g")]


def test_later_choices_of_a_stream_are_left_out():
    """Only the first choice is the answer."""
    other = {"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "stop"}]}
    assert _completion(other, _chunk({"content": "yes"}, "stop")).text == "yes"


def test_error_inside_a_stream_is_raised():
    """An error object in a chunk is the service's refusal, whatever the status was."""
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    with pytest.raises(Overloaded, match="reported an error: Overloaded"):
        _completion(error)


def test_stream_with_an_end_but_no_choice_is_malformed():
    """[DONE] alone is no answer."""
    stream = ChatStream(CALL)
    stream.done()
    with pytest.raises(MalformedResponse, match="without any choice"):
        stream.completion()


def test_refusal_and_reasoning_are_streamed_too():
    """Every kind of text is kept apart."""
    completion = _completion(
        _chunk({"reasoning_content": "Let me"}),
        _chunk({"reasoning": " think", "refusal": "I can"}),
        _chunk({"refusal": "not."}, "stop"),
    )
    assert (completion.reasoning, completion.refusal) == ("Let me think", "I cannot.")
    assert completion.text == ""


@pytest.mark.parametrize(
    ("finish", "expected"),
    [("STOP", "stop"), ("max_tokens", "length"), ("SAFETY", "content_filter"), (7, "other")],
)
def test_finish_reasons_of_other_services_are_translated(finish, expected):
    """Known words are mapped, unknown ones (numbers too) are ``other`` and kept as they came."""
    completion = _completion(_chunk({"content": "x"}, finish))
    assert completion.finish_reason == expected
    assert completion.raw_finish_reason == str(finish)
