"""Both conventions, old names and new, are read into the same records."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.records import (
    CapturedSpan,
    Exposure,
    Fault,
    ImagePart,
    Message,
    TextPart,
    Tool,
    ToolCall,
    Usage,
)
from p2re_eval.tracing.conventions import NAMES
from p2re_eval.tracing.mapping import captured
from p2re_eval.tracing.raw import RawEvent, RawSpan

SECOND = 1_000_000_000
TOOL = {
    "type": "function",
    "function": {"name": "look", "description": "Look up.", "parameters": {"type": "object"}},
}

OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.request.model_name": "gpt-5-mini",
    "llm.response.model_name": "gpt-5-mini-2026",
    "llm.model_name": "gpt-5-mini-2026",
    "llm.invocation_parameters": json.dumps(
        {"model": "gpt-5-mini", "temperature": 0.5, "max_completion_tokens": 9, "user": "u"}
    ),
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "You route tickets.",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.content": "I was charged twice.",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "billing",
    "llm.output_messages.0.message.tool_calls.0.tool_call.id": "c1",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look",
    "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments": '{"at": 1}',
    "llm.token_count.prompt": 10,
    "llm.token_count.completion": 3,
    "llm.token_count.prompt_details.cache_read": 4,
    "llm.token_count.completion_details.reasoning": 1,
    "llm.finish_reason": "tool_calls",
    "llm.tools.0.tool.json_schema": json.dumps(TOOL),
    "session.id": "chat-42",
    "user.id": "ada",
    "tag.tags": ["beta", "eu"],
    "metadata": '{"shop": 7}',
}
GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 9,
    "gen_ai.system_instructions": '[{"type": "text", "content": "You route tickets."}]',
    "gen_ai.input.messages": json.dumps(
        [{"role": "user", "parts": [{"type": "text", "content": "I was charged twice."}]}]
    ),
    "gen_ai.output.messages": json.dumps(
        [
            {
                "role": "assistant",
                "parts": [
                    {"type": "text", "content": "billing"},
                    {"type": "tool_call", "id": "c1", "name": "look", "arguments": '{"at": 1}'},
                ],
                "finish_reason": "tool_calls",
            }
        ]
    ),
    "gen_ai.usage.input_tokens": 10,
    "gen_ai.usage.output_tokens": 3,
    "gen_ai.usage.cache_read.input_tokens": 4,
    "gen_ai.usage.reasoning.output_tokens": 1,
    "gen_ai.response.finish_reasons": ["tool_calls"],
    "gen_ai.tool.definitions": json.dumps([TOOL]),
    "gen_ai.conversation.id": "chat-42",
    "enduser.id": "ada",
    "tag.tags": ["beta", "eu"],
    "metadata": '{"shop": 7}',
}
LEGACY = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-5-mini",
    "gen_ai.response.model": "gpt-5-mini-2026",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.max_tokens": 9,
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "You route tickets.",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "I was charged twice.",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "billing",
    "gen_ai.completion.0.tool_calls.0.id": "c1",
    "gen_ai.completion.0.tool_calls.0.name": "look",
    "gen_ai.completion.0.tool_calls.0.arguments": '{"at": 1}',
    "gen_ai.completion.0.finish_reason": "tool_calls",
    "gen_ai.usage.prompt_tokens": 10,
    "gen_ai.usage.completion_tokens": 3,
    "gen_ai.usage.cache_read_input_tokens": 4,
    "gen_ai.usage.reasoning_tokens": 1,
    "gen_ai.tool.definitions": json.dumps([TOOL]),
    "traceloop.association.properties.session_id": "chat-42",
    "traceloop.association.properties.user_id": "ada",
    "tag.tags": ["beta", "eu"],
    "metadata": {"shop": 7},
}


def read(attributes: dict[str, Any], **more: Any) -> CapturedSpan:
    """The span with these attributes."""
    given = {"trace_id": "a" * 32, "span_id": "b" * 16, "name": "chat", "start_ns": SECOND}
    return captured(RawSpan(**{**given, "end_ns": 3 * SECOND, "attributes": attributes, **more}))


@pytest.mark.parametrize("attributes", [OPENINFERENCE, GENAI, LEGACY], ids=["oi", "genai", "old"])
def test_every_convention_says_the_same(attributes: dict[str, Any]) -> None:
    """Kind, model, parameters, messages, tools, tokens, session, user, tags, metadata."""
    one = read(attributes)
    prompt, completion = one.span.prompt, one.span.completion
    assert (one.span.kind, one.span.status, one.root) == ("LLM", "OK", True)
    assert prompt is not None
    assert (prompt.model.id, prompt.model.temperature) == ("openai/gpt-5-mini", 0.5)
    assert prompt.model.max_tokens == 9
    assert prompt.messages == (
        Message(role="system", content="You route tickets."),
        Message(role="user", content="I was charged twice."),
    )
    assert prompt.tools == (
        Tool(name="look", description="Look up.", parameters={"type": "object"}),
    )
    assert completion is not None
    assert completion.text == "billing"
    assert completion.tool_calls == (ToolCall(id="c1", name="look", arguments='{"at": 1}'),)
    assert completion.model == "gpt-5-mini-2026"
    assert (completion.finish_reason, completion.duration_ns) == ("tool_calls", 2 * SECOND)
    assert completion.usage == Usage(
        input_tokens=10, output_tokens=3, cached_tokens=4, reasoning_tokens=1
    )
    assert (one.session_id, one.user, one.tags) == ("chat-42", "ada", ("beta", "eu"))
    assert one.metadata == {"shop": 7}
    assert one.span.attributes == attributes


def test_parameters_without_a_field_of_their_own_are_kept() -> None:
    """They change the answer too."""
    prompt = read(OPENINFERENCE).span.prompt
    assert prompt is not None
    assert prompt.model.extra == {"user": "u"}


def test_a_key_among_the_parameters_breaks_nothing() -> None:
    """The settings refuse it; the call is recorded all the same."""
    parameters = '{"temperature": 1, "api_key": "sk-secret"}'
    prompt = read({**OPENINFERENCE, "llm.invocation_parameters": parameters}).span.prompt
    assert prompt is not None
    assert (prompt.model.temperature, prompt.model.extra) == (1, None)


def test_images_tool_results_and_reasoning() -> None:
    """Parts become our parts; a tool's result becomes a message of its own."""
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.input.messages": [
            {
                "role": "user",
                "parts": [
                    {"type": "text", "content": "What is this?"},
                    {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
                ],
            },
            {"role": "assistant", "parts": [{"type": "tool_call", "name": "f", "arguments": {}}]},
            {"role": "tool", "parts": [{"type": "tool_call_response", "id": "1", "response": 4}]},
        ],
        "gen_ai.output.messages": [
            {
                "role": "assistant",
                "parts": [
                    {"type": "reasoning", "content": "Whiskers."},
                    {"type": "text", "content": "A cat."},
                ],
            }
        ],
    }
    span = read(attributes).span
    assert span.prompt is not None
    assert span.completion is not None
    picture = (TextPart(text="What is this?"), ImagePart(url="https://x.test/a.png"))
    assert span.prompt.messages == (
        Message(role="user", content=picture),
        Message(role="assistant", tool_calls=(ToolCall(id="", name="f", arguments="{}"),)),
        Message(role="tool", content="4", tool_call_id="1"),
    )
    assert (span.completion.text, span.completion.reasoning) == ("A cat.", "Whiskers.")


def test_numbered_parts_of_openinference() -> None:
    """Content in parts, with an image."""
    prefix = "llm.input_messages.0.message"
    attributes = {
        "openinference.span.kind": "LLM",
        f"{prefix}.role": "user",
        f"{prefix}.contents.0.message_content.type": "text",
        f"{prefix}.contents.0.message_content.text": "What is this?",
        f"{prefix}.contents.1.message_content.type": "image",
        f"{prefix}.contents.1.message_content.image.image.url": "data:image/png;base64,AA",
    }
    prompt = read(attributes).span.prompt
    assert prompt is not None
    [message] = prompt.messages
    assert message.content == (
        TextPart(text="What is this?"),
        ImagePart(url="data:image/png;base64,AA"),
    )


def test_messages_of_google() -> None:
    """An answer wrapped in its candidate, parts told apart by their keys, the role "model"."""
    answer = {
        "content": {"role": "model", "parts": [{"function_call": {"name": "f", "args": {}}}]},
        "finish_reason": "STOP",
    }
    attributes = {"gen_ai.operation.name": "chat", "gen_ai.output.messages": json.dumps(answer)}
    completion = read(attributes).span.completion
    assert completion is not None
    assert completion.tool_calls == (ToolCall(id="", name="f", arguments="{}"),)
    assert completion.raw_finish_reason == "STOP"


def test_messages_in_events() -> None:
    """Instrumentations of 2025 say them one event each."""
    events = [
        RawEvent("gen_ai.system.message", SECOND, {"content": "You route tickets."}),
        RawEvent("gen_ai.user.message", SECOND, {"content": "I was charged twice."}),
        RawEvent(
            "gen_ai.choice",
            SECOND,
            {"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"},
        ),
    ]
    span = read({"gen_ai.operation.name": "chat"}, events=events).span
    assert span.prompt is not None
    assert span.completion is not None
    assert [m.role for m in span.prompt.messages] == ["system", "user"]
    assert (span.completion.text, span.completion.finish_reason) == ("billing", "stop")


def test_a_step_without_a_model_has_its_input_and_output() -> None:
    """A root shows what went in and came out; a step inside keeps it in its attributes."""
    attributes = {
        "openinference.span.kind": "CHAIN",
        "input.value": '{"ticket": 7}',
        "output.value": "done",
    }
    root = read(attributes).span
    assert root.prompt is not None
    assert root.completion is not None
    assert (root.prompt.messages[0].text, root.completion.text) == ('{"ticket": 7}', "done")
    assert root.prompt.model.id == ""
    inner = read(attributes, parent_id="c" * 16).span
    assert (inner.prompt, inner.completion, inner.attributes) == (None, None, attributes)


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"openinference.span.kind": "RETRIEVER"}, "RETRIEVER"),
        ({"openinference.span.kind": "UNKNOWN"}, "CHAIN"),
        ({"gen_ai.operation.name": "embeddings"}, "EMBEDDING"),
        ({"gen_ai.operation.name": "execute_tool"}, "TOOL"),
        ({"gen_ai.operation.name": "invoke_agent"}, "AGENT"),
        ({"traceloop.span.kind": "workflow"}, "CHAIN"),
        ({"gen_ai.tool.name": "look"}, "TOOL"),
        ({"gen_ai.agent.name": "helper"}, "AGENT"),
        ({"gen_ai.system": "openai", "gen_ai.request.model": "x"}, "LLM"),
        ({"http.route": "/chat"}, "CHAIN"),
    ],
)
def test_kinds(attributes: dict[str, Any], kind: str) -> None:
    """By kind, by operation, by what it has a name for; the rest are chains."""
    assert read(attributes).span.kind == kind


def test_an_error_is_a_fault_in_our_words() -> None:
    """From the exception that the span saw."""
    event = RawEvent(
        "exception",
        SECOND,
        {"exception.type": "openai.RateLimitError", "exception.message": "429: slow down"},
    )
    one = read(OPENINFERENCE, status="ERROR", events=[event])
    assert one.fault == Fault(kind="rate_limited", message="429: slow down")
    assert (one.span.status, one.span.status_message) == ("ERROR", "429: slow down")
    assert one.span.completion is None


def test_an_error_type_is_enough() -> None:
    """GenAI spans may say only that."""
    one = read({**GENAI, "error.type": "503"})
    assert one.fault == Fault(kind="overloaded", message="503", status=503)


def test_a_span_that_lasts_is_running() -> None:
    """What it will answer is not known yet."""
    one = read(GENAI, end_ns=None)
    assert (one.span.status, one.span.completion, one.fault) == ("RUNNING", None, None)


def test_a_parent_in_another_process_makes_a_root() -> None:
    """Nothing above it will be recorded here."""
    assert read({}, parent_id="c" * 16, remote_parent=True).root is True
    assert read({}, parent_id="c" * 16).root is False


def test_what_opentelemetry_says_beside_the_attributes_is_kept() -> None:
    """Resource and scope; every program has an SDK."""
    one = read(
        {},
        resource={"service.name": "shop", "telemetry.sdk.name": "opentelemetry"},
        scope="openinference.instrumentation.openai",
        links=[{"trace_id": "d" * 32, "span_id": "e" * 16}],
    )
    assert one.span.attributes == {
        "otel.resource": {"service.name": "shop"},
        "otel.scope": "openinference.instrumentation.openai",
        "otel.links": [{"trace_id": "d" * 32, "span_id": "e" * 16}],
    }


def test_a_price_needs_a_known_service() -> None:
    """The form of a call prices nothing: any local server speaks it."""
    known = read({**OPENINFERENCE, "llm.request.model_name": "gpt-4o", **_named("gpt-4o")})
    form = {**OPENINFERENCE, **_named("gpt-4o"), "llm.provider": "", "llm.system": "openai"}
    near = {**GENAI, "gen_ai.response.model": "gpt-4o", "server.address": "127.0.0.1"}
    assert known.span.completion is not None
    assert known.span.completion.cost_usd is not None
    assert known.span.completion.cost_usd > 0
    for attributes in (form, near):
        completion = read(attributes).span.completion
        assert completion is not None
        assert completion.cost_usd is None


def _named(model: str) -> dict[str, str]:
    return {"llm.response.model_name": model, "llm.model_name": model}


def test_a_cost_that_the_span_says_is_taken() -> None:
    """Whoever made the span knows best."""
    completion = read({**OPENINFERENCE, "llm.cost.total": 0.25}).span.completion
    assert completion is not None
    assert completion.cost_usd == 0.25


def test_evaluations_come_along() -> None:
    """Annotations in attributes, evaluation results in events."""
    event = RawEvent(
        "gen_ai.evaluation.result",
        SECOND,
        {
            "gen_ai.evaluation.name": "faithful",
            "gen_ai.evaluation.score.value": 0.5,
            "gen_ai.evaluation.score.label": "partly",
        },
    )
    attributes = {"annotations.0.annotation.name": "tone", "annotations.0.annotation.label": "calm"}
    first, second = read({**GENAI, **attributes}, events=[event]).evaluations
    assert first.score is not None
    assert second.score is not None
    assert (first.name, first.score.label) == ("tone", "calm")
    assert (second.name, second.score.value, second.score.label) == ("faithful", 0.5, "partly")
    again = read(GENAI, events=[event]).evaluations
    assert again[0].evaluation_id == second.evaluation_id


def test_exposures_come_along() -> None:
    """Which variant of an A/B experiment answered whom."""
    one = read({"p2re.exposures": '[["tone", "calm", "user-7"]]'})
    assert one.exposures == (Exposure(experiment="tone", variant="calm", unit="user-7"),)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
_LISTED = ["0", "0.message.role", "0.message.content", "1.message.tool_calls.0.tool_call.id"]
_KEYS = [
    name + more
    for names in NAMES.values()
    for name in names
    for more in (_LISTED if name.endswith(".") else [""])
]


@given(st.dictionaries(st.sampled_from(_KEYS), _VALUES, max_size=12))
def test_nothing_that_a_span_says_raises(attributes: dict[str, Any]) -> None:
    """A record of somebody else's program must not fail for what that program says."""
    one = read(attributes)
    assert set(one.span.attributes) == set(attributes)


def _langfuse(path: Path) -> list[CapturedSpan]:
    """Observations of an export as the spans that they were."""
    found = []
    for one in json.loads(path.read_text())["observations"]:
        metadata = one["metadata"]
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
        attributes = dict(metadata.get("attributes", metadata))
        if one["type"] == "GENERATION":
            attributes |= {"gen_ai.operation.name": "chat", "gen_ai.request.model": one["model"]}
            attributes |= {"gen_ai.input.messages": one["input"]}
            attributes |= {"gen_ai.output.messages": one["output"]}
            attributes |= {"gen_ai.usage.input_tokens": one["usageDetails"]["input"]}
        parent = one["parentObservationId"]
        raw = {"trace_id": "a" * 32, "span_id": one["id"], "parent_id": parent, "start_ns": 1}
        found.append(captured(RawSpan(**raw, name=one["name"], end_ns=2, attributes=attributes)))
    return found


@pytest.mark.parametrize(
    ("framework", "calls", "said"),
    [
        ("google-adk", 2, ["say_hello(", "Hello Langfuse 👋!\n"]),
        ("langgraph-python", 2, ['Web-Search({"query":"example"})', "The search for"]),
        ("pydantic-ai-tools", 4, ["final_result(", "I gathered", "Why do programmers", "get_pun"]),
    ],
)
def test_traces_of_real_frameworks(
    shared_data: Path, framework: str, calls: int, said: list[str]
) -> None:
    """What agents of three frameworks said to models and what came back is understood."""
    [path] = (shared_data / "langfuse_traces").glob(f"*{framework}*.trace.json")
    spans = [one.span for one in _langfuse(path) if one.span.kind == "LLM"]
    assert len(spans) == calls
    answers = []
    for span in spans:
        assert span.prompt is not None
        assert span.completion is not None
        assert span.prompt.messages
        assert span.completion.usage.input_tokens
        answer = span.completion
        shown = [f"{call.name}({call.arguments})" for call in answer.tool_calls]
        answers.append(answer.text or shown[0])
    for beginning in said:
        assert any(answer.startswith(beginning) for answer in answers), answers
