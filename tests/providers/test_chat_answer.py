"""Whole answers in their odd shapes."""

from __future__ import annotations

import pytest

from p2re_eval.errors import MalformedResponse, RateLimited, ServerFault
from p2re_eval.providers.chat_answer import read_completion
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import Completion, Usage

CALL = Call(provider="openai", model="m", url="https://api.example/v1/chat/completions")


def _answer(message, finish="stop", **more):
    return {"choices": [{"message": message, "finish_reason": finish}], **more}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("plain", "plain"),
        (None, ""),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"text": "a"}], "a"),
        ("half \ud83d", "half \ufffd"),
        (7, ""),
    ],
)
def test_content_of_every_shape_becomes_text(content, text):
    """A string, null, or parts; what cannot be encoded is replaced."""
    assert read_completion(CALL, _answer({"content": content})).text == text


def test_thinking_parts_are_reasoning():
    """Thinking inside the content list is not part of the answer's text."""
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]
    assert read_completion(CALL, _answer({"content": parts})).reasoning == "hm"


def test_first_of_several_choices_is_the_answer():
    """The others stay in the raw payload."""
    payload = _answer({"content": "one"})
    payload["choices"].append({"message": {"content": "two"}, "finish_reason": "stop"})
    completion = read_completion(CALL, payload)
    assert completion.text == "one"
    assert len(completion.raw["choices"]) == 2


@pytest.mark.parametrize("payload", [{}, {"choices": []}, {"choices": None}, [], "x", None])
def test_answer_without_a_choice_is_malformed(payload):
    """No choices is never an empty text."""
    with pytest.raises(MalformedResponse, match="without any choice"):
        read_completion(CALL, payload)


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        ({"error": {"code": 429, "message": "slow down"}}, RateLimited),
        ({"error": "it broke"}, ServerFault),
        ({"object": "error", "message": "it broke", "code": 500}, ServerFault),
        ({"choices": [{"error": {"code": 502, "message": "x"}, "message": {}}]}, ServerFault),
    ],
)
def test_error_in_a_successful_body_is_raised(payload, kind):
    """Gateways answer 200 with an error inside."""
    with pytest.raises(kind):
        read_completion(CALL, payload)


def test_legacy_function_call_is_a_tool_call():
    """The older field says the same."""
    message = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    (call,) = read_completion(CALL, _answer(message, "function_call")).tool_calls
    assert (call.id, call.name, call.arguments) == ("call_0", "f", "{}")


def test_empty_legacy_function_call_is_none():
    """A gateway fills in every field of the format, empty."""
    message = {"content": "4", "function_call": {"name": "", "arguments": ""}, "refusal": ""}
    completion = read_completion(CALL, _answer(message, ""))
    assert completion.tool_calls == ()
    assert (completion.refusal, completion.raw_finish_reason) == (None, None)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (None, Usage()),
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(input_tokens=5, output_tokens=2)),
        ({"input_tokens": 5.0, "output_tokens": -1}, Usage(input_tokens=5)),
        (
            {
                "prompt_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens": 9,
                "completion_tokens_details": {"reasoning_tokens": 4},
            },
            Usage(input_tokens=5, output_tokens=9, cached_tokens=0, reasoning_tokens=4),
        ),
        ({"prompt_tokens": True, "cached_tokens": 3}, Usage(cached_tokens=3)),
    ],
)
def test_usage_of_every_shape_is_read(usage, expected):
    """Missing counts are unknown, never 0."""
    assert read_completion(CALL, _answer({"content": "x"}, usage=usage)).usage == expected


def test_unvalidated_completion_is_a_valid_one():
    """What is built without validation would have passed it."""
    message = {
        "content": [{"text": "a"}],
        "refusal": "r",
        "tool_calls": [{"id": 7, "function": {"name": "f", "arguments": {"x": 1}}}],
    }
    completion = read_completion(CALL, _answer(message, 3, model="m", id="i", usage={}))
    assert Completion.model_validate(completion.model_dump()) == completion
