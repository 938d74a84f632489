"""Streamed messages: cut anywhere, truncated, with thinking, tools, pings and errors inside."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from p2re_eval.errors import (
    ContentFiltered,
    MalformedResponse,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    TruncatedResponse,
)
from p2re_eval.providers.anthropic import AnthropicProvider
from p2re_eval.providers.event_readers import EventReader
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.messages_answer import read_message
from p2re_eval.providers.messages_stream import MessagesStream

WIRE = Path(__file__).parents[2] / ".." / "shared" / "data" / "wire_dev.jsonl"
CALL = Call(provider="anthropic", model="m", url="https://api.example/v1/messages")
EVENTS = (
    {"type": "message_start", "message": {"id": "msg_1", "model": "m", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Grüße "}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "👋 世界"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn"},
        "usage": {"input_tokens": 3, "output_tokens": 9},
    },
    {"type": "message_stop"},
)


def _bytes(events, *, end="\r\n") -> bytes:
    lines = [
        f"event: {e['type']}{end}data: {json.dumps(e, ensure_ascii=False)}{end}{end}"
        for e in events
    ]
    return f": hello{end}{end}{''.join(lines)}".encode()


def _streams():
    if not WIRE.exists():
        return []
    rows = [json.loads(line) for line in WIRE.read_text("utf-8").splitlines()]
    return [
        row["response"]["body"].encode()
        for row in rows
        if row["endpoint"] == "messages" and row["stream"] and row["status"] == 200
    ]


STREAMS = [_bytes(EVENTS), *_streams()]


def _read(pieces) -> MessagesStream:
    reader, stream = EventReader(), MessagesStream(CALL)
    events = [event for piece in pieces for event in reader.feed(piece)]
    for event in [*events, *reader.end()]:
        if not event.cut:
            stream.add(json.loads(event.data))
    return stream


def _completion(*events, **options):
    stream = MessagesStream(CALL, **options)
    for event in events:
        stream.add(event)
    return stream.completion()


def _block(index, *deltas, **begun):
    start = {"type": "content_block_start", "index": index, "content_block": begun}
    made = [{"type": "content_block_delta", "index": index, "delta": d} for d in deltas]
    return [start, *made, {"type": "content_block_stop", "index": index}]


def _stop(reason, **usage):
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": usage}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_messages_stream_reads_the_same_wherever_the_network_cuts_it(data):
    """Any cuts, in the middle of a character or of CRLF too, give the same completion."""
    body = data.draw(st.sampled_from(STREAMS))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=12)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert _read(pieces).completion() == _read([body]).completion()


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_messages_stream_that_stops_early_is_never_a_whole_answer(data):
    """Cut off before the stop reason it raises, and keeps the text that arrived."""
    body = data.draw(st.sampled_from(STREAMS))
    whole = _read([body]).completion()
    stream = _read([body[: data.draw(st.integers(0, len(body) - 1))]])
    if stream.ended:
        assert stream.completion() == whole
    else:
        with pytest.raises(TruncatedResponse) as caught:
            stream.completion()
        assert whole.text.startswith(caught.value.partial or "")


def test_streamed_and_whole_message_are_the_same():
    """The raw message of a stream is the one the service would have sent in one piece."""
    completion = _read([_bytes(EVENTS)]).completion()
    assert completion.text == "Grüße 👋 世界"
    assert completion.raw == {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "model": "m",
        "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "Grüße 👋 世界"}],
        "usage": {"input_tokens": 3, "output_tokens": 9},
    }


def test_missing_message_stop_is_no_fault():
    """The stop reason says that the answer is whole; what comes after it is ceremony."""
    assert _completion(*EVENTS[:-1]).text == "Grüße 👋 世界"


def test_missing_stop_reason_is_a_truncated_stream():
    """A block that ended is not an answer that ended."""
    with pytest.raises(TruncatedResponse) as caught:
        _completion(*EVENTS[:-2])
    assert caught.value.partial == "Grüße 👋 世界"


def test_thinking_is_reasoning_and_keeps_its_signature():
    """Thinking is never part of the text; redacted thinking stays in the raw message."""
    completion = _completion(
        *_block(
            0,
            {"type": "thinking_delta", "thinking": "Let me "},
            {"type": "thinking_delta", "thinking": "see."},
            {"type": "signature_delta", "signature": "c2ln"},
            type="thinking",
            thinking="",
            signature="",
        ),
        *_block(1, type="redacted_thinking", data="xyz"),
        *_block(2, {"type": "text_delta", "text": "42"}, type="text", text=""),
        _stop("end_turn", output_tokens=20, output_tokens_details={"thinking_tokens": 12}),
    )
    assert (completion.text, completion.reasoning) == ("42", "Let me see.")
    assert completion.usage.reasoning_tokens == 12
    assert completion.raw["content"][0] == {
        "type": "thinking",
        "thinking": "Let me see.",
        "signature": "c2ln",
    }
    assert completion.raw["content"][1] == {"type": "redacted_thinking", "data": "xyz"}


def test_parallel_tools_in_pieces_keep_the_arguments_as_written():
    """Pieces are joined by block; a call without arguments is called with an empty object."""
    f = _block(
        1,
        {"type": "input_json_delta", "partial_json": ""},
        {"type": "input_json_delta", "partial_json": '{"x":'},
        {"type": "input_json_delta", "partial_json": " 1.0}"},
        type="tool_use",
        id="a",
        name="f",
        input={},
    )
    g = _block(2, type="tool_use", id="b", name="g", input={})
    interleaved = [f[0], g[0], *f[1:], *g[1:]]
    completion = _completion(*interleaved, _stop("tool_use"))
    got = [(c.id, c.name, c.arguments) for c in completion.tool_calls]
    assert got == [("a", "f", '{"x": 1.0}'), ("b", "g", "{}")]
    assert completion.finish_reason == "tool_calls"
    assert completion.raw["content"][0]["input"] == {"x": 1.0}


def test_tool_call_cut_by_the_limit_keeps_what_was_written():
    """Arguments that end in the middle are kept as text."""
    piece = {"type": "input_json_delta", "partial_json": '{"x": "lo'}
    block = _block(0, piece, type="tool_use", id="a", name="f", input={})
    completion = _completion(*block, _stop("max_tokens"))
    assert completion.tool_calls[0].arguments == '{"x": "lo'
    assert completion.finish_reason == "length"


def test_structured_answer_by_a_tool_is_the_text():
    """What the answer's tool is called with is the text, and no tool call."""
    pieces = [{"type": "input_json_delta", "partial_json": p} for p in ('{"n"', ": 3}")]
    stream = MessagesStream(CALL, answer_tool="structured_answer")
    block = _block(0, *pieces, type="tool_use", id="a", name="structured_answer", input={})
    shown = [stream.add(event) for event in [*block, _stop("tool_use")]]
    completion = stream.completion()
    assert "".join(shown) == completion.text == '{"n": 3}'
    assert completion.tool_calls == ()
    assert (completion.finish_reason, completion.raw_finish_reason) == ("stop", "tool_use")


def test_text_beside_a_structured_answer_is_not_the_answer():
    """The first call of the answer's tool counts; what else was said is in the raw message."""
    said = _block(0, {"type": "text_delta", "text": "Here:"}, type="text", text="")
    made = [
        _block(n, {"type": "input_json_delta", "partial_json": p}, type="tool_use", name="answer")
        for n, p in ((1, '{"n": 3}'), (2, '{"n": 4}'))
    ]
    stream = MessagesStream(CALL, answer_tool="answer")
    events = [*said, *made[0], *made[1], _stop("tool_use")]
    shown = [stream.add(event) for event in events]
    assert "".join(shown) == stream.completion().text == '{"n": 3}'


KEYS = "type index delta content_block message usage text content partial_json stop_reason error id"
WORDS = "message_start message_delta message_stop content_block_start content_block_delta tool_use"
KINDS = "text text_delta input_json_delta citations_delta answer input name stop_details thinking"
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(
            st.sampled_from(f"{KEYS} input name stop_details".split()),
            below | st.sampled_from(f"{WORDS} {KINDS}".split()),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(JSON_VALUES, max_size=5))
def test_any_json_is_an_answer_or_a_named_fault(events):
    """Nothing that a broken server sends escapes as another exception."""
    stream = MessagesStream(CALL, answer_tool="answer")
    with contextlib.suppress(ProviderError):
        for event in events:
            stream.add(event)
    stream.done()
    with contextlib.suppress(ProviderError):
        stream.completion()
    with contextlib.suppress(ProviderError):
        read_message(CALL, {"content": events})


def test_citations_are_kept_in_the_raw_message():
    """They say where a text comes from."""
    cited = {"type": "citations_delta", "citation": {"url": "https://example.org"}}
    text = {"type": "text_delta", "text": "so"}
    completion = _completion(*_block(0, cited, text, type="text", text=""), _stop("end_turn"))
    assert completion.text == "so"
    assert completion.raw["content"][0]["citations"] == [{"url": "https://example.org"}]


def test_unknown_events_and_deltas_are_passed_over():
    """The service may add new ones at any time."""
    completion = _completion(
        *EVENTS[:5],
        {"type": "something_new", "index": 0},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "new": "x"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "new_delta", "new": "x"}},
        *EVENTS[5:],
    )
    assert completion.text == "Grüße 👋 世界"


def test_later_usage_replaces_earlier_usage():
    """The service sends running totals; what the last event leaves out holds from before."""
    usage = {"input_tokens": 10, "cache_read_input_tokens": 5, "output_tokens": 1}
    start = {"type": "message_start", "message": {"id": "x", "usage": usage}}
    completion = _completion(start, _stop("end_turn", input_tokens=30, output_tokens=7))
    got = completion.usage
    assert (got.input_tokens, got.cached_tokens, got.output_tokens) == (35, 5, 7)


@pytest.mark.parametrize(
    ("kind", "said", "expected"),
    [
        ("overloaded_error", "Overloaded", Overloaded),
        ("rate_limit_error", "slow down", RateLimited),
        ("api_error", "Internal server error", ServerFault),
        ("timeout_error", "took too long", ServerFault),
        ("billing_error", "pay", QuotaExhausted),
        ("invalid_request_error", "Output blocked by content filtering policy", ContentFiltered),
    ],
)
def test_error_event_inside_a_stream_is_that_error(
    context, serving, http_reply, ask, kind, said, expected
):
    """After HTTP 200 and some text; what had arrived is kept."""
    error = {"type": "error", "error": {"type": kind, "message": said}}
    body = _bytes([*EVENTS[:4], error], end="\n")
    reply = http_reply(body, headers={"content-type": "text/event-stream"})
    with pytest.raises(expected, match=said) as caught:
        _stream(context, serving, ask, reply)
    assert caught.value.partial == "Grüße "


def test_connection_cut_in_the_middle_is_truncated(context, serving, http_reply, ask):
    """Fewer bytes than promised: an error with the text so far, worth another try."""
    body = _bytes(EVENTS)
    reply = http_reply(body, headers={"content-type": "text/event-stream"})
    with pytest.raises(TruncatedResponse) as caught:
        _stream(context, serving, ask, reply[: -len(body) // 2], hang_up=True)
    assert caught.value.retryable is True
    assert "Grüße 👋 世界".startswith(caught.value.partial or "")


def test_stream_with_nothing_in_it_is_malformed():
    """An end alone is no answer."""
    with pytest.raises(MalformedResponse, match="serves the Messages API"):
        _completion({"type": "message_stop"})


def test_server_that_does_not_stream_is_read_all_the_same(context, serving, http_reply, ask):
    """A whole message comes back instead of events; its text is handed out once."""
    message = {"content": [{"type": "text", "text": "hi"}], "stop_reason": "end_turn"}
    pieces: list[str] = []
    reply = http_reply(json.dumps(message).encode())
    completion = _stream(context, serving, ask, reply, on_text=pieces.append)
    assert completion.text == "hi"
    assert pieces == ["hi"]


def _stream(context, serving, ask, reply, *, hang_up=False, on_text=None):
    async def respond(request, writer):
        writer.write(reply)
        if hang_up:
            await writer.drain()
            writer.close()

    async def run():
        provider = AnthropicProvider(context)
        try:
            async with serving(respond) as base_url:
                prompt = ask(base_url, provider="anthropic", name="claude-x", stream=True)
                return await provider.complete(prompt, on_text=on_text)
        finally:
            await provider.close()

    return asyncio.run(run())
