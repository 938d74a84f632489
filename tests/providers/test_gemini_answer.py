"""Answers of Google's services as they are documented: stops, blocks, thoughts, faults, streams."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextTooLong,
    MalformedResponse,
    Overloaded,
    ProviderError,
    QuotaExhausted,
    RateLimited,
    TruncatedResponse,
)
from p2re_eval.providers.gemini import GeminiProvider
from p2re_eval.providers.generate_answer import GenerateStream, read_generated, read_usage
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import Message, ModelSettings, RenderedPrompt, Usage

SECRET = "AIzaSy-test-0123456789abcdefghijk"
CALL = Call(
    provider="gemini",
    model="m",
    url="https://api.example/v1beta/models/m:generateContent",
    secret=SECRET,
    key_name="GEMINI_API_KEY",
)


def _answer(*parts, finish="STOP", **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "finishReason": finish}
    return {"candidates": [candidate], **more}


def _streamed(*chunks):
    stream = GenerateStream(CALL)
    pieces = [stream.add(chunk) for chunk in chunks]
    return stream.completion(), pieces


@pytest.fixture
def over_http(context, serving, http_reply):
    """The provider's completion of one streamed reply."""

    def ask(body: bytes, kind="text/event-stream"):
        async def respond(request, writer):
            writer.write(http_reply(body, headers={"content-type": kind}))

        async def run():
            provider = GeminiProvider(context)
            async with serving(respond) as base_url:
                model = ModelSettings(provider="gemini", name="m", base_url=base_url, stream=True)
                messages = (Message(role="user", content="x"),)
                prompt = RenderedPrompt(name="x", messages=messages, model=model)
                try:
                    return await provider.complete(prompt)
                finally:
                    await provider.close()

        return asyncio.run(run())

    return ask


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("BLOCKLIST", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
        ("IMAGE_SAFETY", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "other"),
        ("LANGUAGE", "other"),
        ("SOMETHING_NEW", "other"),
        (1, "stop"),
        (2, "length"),
        (3, "content_filter"),
        (5, "other"),
        (8, "content_filter"),
        (9, "other"),
        (None, "other"),
    ],
)
def test_finish_reason_is_mapped_and_kept(said, reason):
    """One vocabulary, the service's own word or number beside it."""
    completion = read_generated(CALL, _answer({"text": "a"}, finish=said))
    assert completion.finish_reason == reason
    assert completion.raw_finish_reason == (None if said is None else str(said))


@pytest.mark.parametrize("said", ["STOP", 1, None])
def test_calls_make_the_finish_reason_tool_calls(said):
    """The service says STOP after calls, too; a call that was cut stays cut."""
    call = {"functionCall": {"name": "f", "args": {"é": 1}}}
    completion = read_generated(CALL, _answer(call, {"functionCall": {"name": "g"}}, finish=said))
    assert completion.finish_reason == "tool_calls"
    assert [(c.id, c.name, c.arguments) for c in completion.tool_calls] == [
        ("call_0", "f", '{"é": 1}'),
        ("call_1", "g", "{}"),
    ]
    assert read_generated(CALL, _answer(call, finish="MAX_TOKENS")).finish_reason == "length"


@pytest.mark.parametrize(
    "candidate",
    [
        {"finishReason": "SAFETY", "index": 0, "safetyRatings": []},
        {"finishReason": "SAFETY", "content": {}},
        {"finishReason": "SAFETY", "content": {"role": "model"}},
        {"finishReason": "SAFETY", "content": None},
        {"finishReason": "SAFETY", "content": {"parts": None}},
    ],
)
def test_stopped_candidate_without_content_is_an_empty_answer(candidate):
    """The prompt was accepted, the answer was not: an answer whose finish reason says so."""
    completion = read_generated(CALL, {"candidates": [candidate]})
    assert (completion.text, completion.finish_reason) == ("", "content_filter")


def test_thoughts_are_reasoning_and_other_parts_are_no_text():
    """Thought summaries apart from the answer; code and its output stay in the raw payload."""
    payload = _answer(
        {"text": "Let me ", "thought": True},
        {"text": "think.", "thought": True},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"text": "It "},
        {"text": "is."},
        modelVersion="gemini-x",
        responseId="r",
    )
    completion = read_generated(CALL, payload)
    assert (completion.reasoning, completion.text) == ("Let me think.", "It is.")
    assert (completion.model, completion.response_id) == ("gemini-x", "r")
    assert completion.raw == payload


def test_first_of_several_candidates_is_the_answer():
    """By its index, not by its place."""
    candidates = [
        {"index": 1, "content": {"parts": [{"text": "second"}]}, "finishReason": "STOP"},
        {"index": 0, "content": {"parts": [{"text": "first"}]}, "finishReason": "STOP"},
    ]
    assert read_generated(CALL, {"candidates": candidates}).text == "first"


@pytest.mark.parametrize(
    ("said", "usage"),
    [
        (
            {
                "promptTokenCount": 10,
                "cachedContentTokenCount": 4,
                "toolUsePromptTokenCount": 5,
                "candidatesTokenCount": 3,
                "thoughtsTokenCount": 7,
                "totalTokenCount": 25,
            },
            Usage(input_tokens=15, output_tokens=10, cached_tokens=4, reasoning_tokens=7),
        ),
        (
            {"promptTokenCount": 10, "thoughtsTokenCount": 7, "totalTokenCount": 17},
            Usage(input_tokens=10, output_tokens=7, reasoning_tokens=7),
        ),
        (
            {"promptTokenCount": 10, "totalTokenCount": 10},
            Usage(input_tokens=10, output_tokens=0),
        ),
        ({"promptTokenCount": 10}, Usage(input_tokens=10)),
        ({"trafficType": "ON_DEMAND"}, Usage()),
        (None, Usage()),
    ],
)
def test_usage_counts_thoughts_as_output_and_tool_results_as_input(said, usage):
    """As they are billed; a count that is missing is 0 only when the total says so."""
    assert read_usage(said) == usage


@pytest.mark.parametrize("reason", ["SAFETY", "PROHIBITED_CONTENT", "OTHER", 1])
def test_blocked_prompt_is_content_filtered(reason):
    """No candidate at all, and the reason in the feedback on the prompt; not retried."""
    payload = {"promptFeedback": {"blockReason": reason, "blockReasonMessage": "No such thing."}}
    with pytest.raises(ContentFiltered) as caught:
        read_generated(CALL, payload)
    assert str(caught.value) == (
        f"gemini/m: api.example blocked the prompt ({reason}: No such thing); reword the prompt"
    )
    assert caught.value.retryable is False
    with pytest.raises(ContentFiltered):
        GenerateStream(CALL).add(payload)


def test_stream_that_is_blocked_on_its_way_keeps_what_arrived():
    """The text so far is partial."""
    stream = GenerateStream(CALL)
    stream.add(_answer({"text": "Once"}, finish=None))
    with pytest.raises(ContentFiltered) as caught:
        stream.add({"promptFeedback": {"blockReason": "SAFETY"}})
    assert caught.value.partial == "Once"


@pytest.mark.parametrize("payload", [{}, {"candidates": []}, {"candidates": None}, "x", None])
def test_answer_without_candidates_is_malformed(payload):
    """Nothing was answered and nothing was blocked."""
    with pytest.raises(MalformedResponse, match="without any candidate"):
        read_generated(CALL, payload)


QUOTA = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerMinutePerProjectPerModel"}],
            },
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"},
        ],
    }
}


def _fault(status, code, message, *, reason=None):
    details = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason}]
    error = {"code": status, "message": message, "status": code}
    return status, {"error": {**error, "details": details} if reason else error}


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (
            _fault(400, "INVALID_ARGUMENT", "Not valid.", reason="API_KEY_INVALID"),
            AuthenticationFailed,
        ),
        (
            _fault(
                400,
                "INVALID_ARGUMENT",
                "The input token count (1048577) exceeds the maximum number of tokens allowed.",
            ),
            ContextTooLong,
        ),
        (
            _fault(
                400,
                "INVALID_ARGUMENT",
                "Unable to submit request because the input token count is 40000 but model only "
                "supports up to 32768. Reduce the input token count and try again.",
            ),
            ContextTooLong,
        ),
        (_fault(503, "UNAVAILABLE", "The model is overloaded."), Overloaded),
        ((429, QUOTA), RateLimited),
        ((429, [QUOTA]), RateLimited),
        ((429, json.loads(json.dumps(QUOTA).replace("PerMinute", "PerDay"))), QuotaExhausted),
    ],
)
def test_fault_is_named_by_what_the_service_says(said, kind):
    """google.rpc's form, alone or in a list."""
    assert type(refusal(CALL, said[0], {}, said[1])) is kind


def test_delay_the_service_asks_for_is_kept():
    """RetryInfo, in a refusal and in a stream that began with 200."""
    assert refusal(CALL, 429, {}, QUOTA).retry_after_s == 26.0
    for chunk in (QUOTA, [QUOTA]):
        with pytest.raises(RateLimited) as caught:
            GenerateStream(CALL).add(chunk)
        assert caught.value.retry_after_s == 26.0


def test_secret_never_reaches_a_message():
    """The key in use, another one of Google's, an access token."""
    for secret in (SECRET, "AIzaSyAnother0123456789abcdef", "ya29.a0AfH6SMBxyz"):
        error = refusal(CALL, 400, {}, {"error": {"message": f"API key {secret} is not valid."}})
        assert "***" in str(error)
        assert secret not in str(error)
    assert SECRET not in repr(CALL)


def test_stream_is_read_like_the_whole_answer():
    """Thoughts, text in pieces and parallel calls; usage and names from any chunk."""
    call = {"functionCall": {"id": "z", "name": "f", "args": {"a": 1}}}
    completion, pieces = _streamed(
        _answer({"text": "Hm", "thought": True}, finish=None, responseId="r"),
        _answer(
            {"text": "m.", "thought": True}, finish=None, usageMetadata={"promptTokenCount": 3}
        ),
        _answer({"text": "Grü\ud83d"}, finish=None),
        _answer({"text": "\udc4b"}, call, finish=None),
        _answer(call, finish="STOP", modelVersion="g", usageMetadata={"candidatesTokenCount": 2}),
        {"usageMetadata": {"totalTokenCount": 5}},
    )
    assert (completion.reasoning, completion.text) == ("Hmm.", "Grü👋")
    assert "".join(pieces).encode("utf-16", "surrogatepass").decode("utf-16") == "Grü👋"
    assert [call.name for call in completion.tool_calls] == ["f", "f"]
    assert completion.finish_reason == "tool_calls"
    assert completion.usage == Usage(input_tokens=3, output_tokens=2)
    assert (completion.model, completion.response_id) == ("g", "r")
    assert completion.raw["candidates"][0]["content"]["parts"] == [
        {"text": "Hmm.", "thought": True},
        {"text": "Grü👋"},
        call,
        call,
    ]
    assert completion == read_generated(CALL, completion.raw)


@pytest.mark.parametrize(
    "chunks",
    [(), ({"usageMetadata": {}},), (_answer({"text": "a"}, finish=None),), ({"candidates": []},)],
)
def test_stream_without_a_finish_reason_is_truncated(chunks):
    """The service's last word is the finish reason: a clean end of the bytes is not enough."""
    with pytest.raises(TruncatedResponse):
        _streamed(*chunks)


def test_stream_in_one_piece_is_read(over_http):
    """A gateway that ignores alt=sse sends one JSON list, or a whole answer."""
    chunks = [_answer({"text": "a"}, finish=None), _answer({"text": "b"})]
    assert over_http(json.dumps(chunks).encode(), "application/json").text == "ab"
    assert over_http(json.dumps(_answer({"text": "c"})).encode(), "application/json").text == "c"


@pytest.mark.parametrize("kind", [Overloaded, MalformedResponse, TruncatedResponse])
def test_fault_in_the_middle_of_a_stream_keeps_the_text_so_far(over_http, kind):
    """Whatever the fault is."""
    begun = b"data: " + json.dumps(_answer({"text": "Once"}, finish=None)).encode() + b"\n\n"
    rest = {
        Overloaded: b'data: {"error": {"code": 503, "message": "x"}}\n\n',
        MalformedResponse: b"data: <html>\n\n",
        TruncatedResponse: b"",
    }
    with pytest.raises(kind) as caught:
        over_http(begun + rest[kind])
    assert caught.value.partial == "Once"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (
            b'data: {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}\n\n',
            Overloaded,
        ),
        (b'[{"error": {"code": 429, "message": "x"}}]', RateLimited),
        (b"data: {nonsense\n\n", MalformedResponse),
        (b"", TruncatedResponse),
        (b'data: {"candidates": [{"content": {"parts": [{"te', TruncatedResponse),
    ],
)
def test_fault_inside_a_stream_is_an_error(over_http, body, kind):
    """After a status of 200, too."""
    with pytest.raises(ProviderError) as caught:
        over_http(body)
    assert type(caught.value) is kind
