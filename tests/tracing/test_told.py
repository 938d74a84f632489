"""Our records as spans: what is told is read back as the same record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Evaluation,
    Fault,
    ImagePart,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Span,
    TextPart,
    Tool,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.tracing.mapping import captured
from p2re_eval.tracing.told import hex_id, told, told_span

MOMENT = 1_795_000_000_123_456_789


def prompt(**given: Any) -> RenderedPrompt:
    messages = (
        Message(role="system", content="Route it."),
        Message(role="user", content=(TextPart(text="Look: "), ImagePart(url="http://i/a.png"))),
        Message(role="assistant", tool_calls=(ToolCall(id="7", name="find", arguments='{"a":1}'),)),
        Message(role="tool", content="nothing", tool_call_id="7"),
        Message(role="user", content="I was charged twice."),
    )
    model = ModelSettings(
        provider="openai", name="gpt-5-mini", temperature=0.5, max_tokens=16, seed=3, stop=("END",)
    )
    tool = Tool(name="find", description="Find it.", parameters={"type": "object"})
    variables = {"ticket": "I was charged twice.", "teams": ["a", "b"]}
    return RenderedPrompt(
        **{
            "name": "route",
            "version": "a" * 64,
            "messages": messages,
            "model": model,
            "tools": (tool,),
            "variables": variables,
            **given,
        }
    )


def trace(**given: Any) -> Trace:
    answer = Completion(
        text="billing",
        tool_calls=(ToolCall(id="8", name="file", arguments='{"team":"b"}'),),
        reasoning="It is about money.",
        model="gpt-5-mini-2025",
        finish_reason="tool_calls",
        raw_finish_reason="tool_calls",
        usage=Usage(input_tokens=12, output_tokens=2, cached_tokens=4, reasoning_tokens=1),
        cost_usd=0.00025,
        response_id="r-1",
        duration_ns=1_000_001,
    )
    return Trace(
        **{
            "trace_id": "1" * 32,
            "span_id": "2" * 16,
            "name": "route",
            "status": "OK",
            "start_ns": MOMENT,
            "end_ns": MOMENT + 1_000_001,
            "prompt": prompt(),
            "completion": answer,
            "session_id": "chat-42",
            "user": "ada",
            "tags": ("refund",),
            "metadata": {"tenant": {"name": "acme"}},
            **given,
        }
    )


@pytest.mark.parametrize("both", [True, False])
def test_a_run_that_is_told_is_read_back_as_it_was(both: bool) -> None:
    """Messages, images, tools, calls, usage, cost, session: with and without the GenAI names."""
    whole = trace()
    [root] = told(whole, both=both)
    back = captured(root)
    assert back.root
    assert back.span.prompt == whole.prompt
    assert back.span.completion == whole.completion
    assert (back.session_id, back.user, back.tags) == ("chat-42", "ada", ("refund",))
    assert back.metadata == whole.metadata
    assert (back.span.start_ns, back.span.end_ns) == (MOMENT, MOMENT + 1_000_001)


def test_the_genai_names_alone_are_enough() -> None:
    """A reader that knows only OpenTelemetry's names finds messages, usage and model."""
    [root] = told(trace())
    known = {name: v for name, v in root.attributes.items() if name.startswith("gen_ai.")}
    assert known["gen_ai.operation.name"] == "chat"
    assert known["gen_ai.provider.name"] == "openai"
    assert known["gen_ai.usage.cache_read.input_tokens"] == 4
    messages = json.loads(known["gen_ai.input.messages"])
    assert messages[0] == {"role": "system", "parts": [{"type": "text", "content": "Route it."}]}
    assert messages[2]["parts"][0]["arguments"] == {"a": 1}
    assert messages[3]["parts"][0]["type"] == "tool_call_response"
    [answer] = json.loads(known["gen_ai.output.messages"])
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "tool_call"]
    assert "gen_ai.input.messages" not in told(trace(), both=False)[0].attributes


def test_a_failed_run_has_an_exception_and_no_answer() -> None:
    """And one whose process died says so."""
    fault = Fault(kind="timeout", message="no answer in 30 s")
    [failed] = told(trace(status="ERROR", completion=None, fault=fault))
    assert (failed.status, failed.status_message) == ("ERROR", "no answer in 30 s")
    assert [event.name for event in failed.events] == ["exception"]
    assert not any(name.startswith("llm.output_messages") for name in failed.attributes)
    [lost] = told(trace(status="ABANDONED", completion=None, end_ns=None))
    assert (lost.status, lost.status_message) == ("ERROR", "the process died before the answer")


def test_evaluations_are_events_under_their_standard_names() -> None:
    """A broken scorer is an error and never a score."""
    good = Evaluation(
        evaluation_id="1",
        trace_id="1" * 32,
        name="equals",
        scorer="equals",
        scorer_version="1",
        score=Score(value=0.0, passed=False, explanation="not the same"),
        created_ns=MOMENT,
    )
    fault = Fault(kind="scorer", message="boom")
    broken = good.model_copy(update={"name": "judge", "score": None, "fault": fault})
    [root] = told(trace(), [good, broken])
    said, failed = root.events
    assert (said.name, said.time_ns) == ("gen_ai.evaluation.result", MOMENT)
    assert said.attributes == {
        "gen_ai.evaluation.name": "equals",
        "gen_ai.evaluation.score.value": 0.0,
        "gen_ai.evaluation.score.label": "fail",
        "gen_ai.evaluation.explanation": "not the same",
        "p2re.evaluation.kind": "CODE",
        "p2re.evaluation.passed": False,
    }
    assert failed.attributes["error.type"] == "scorer"
    assert "gen_ai.evaluation.score.value" not in failed.attributes


def test_what_another_program_said_of_a_span_is_repeated_as_it_was() -> None:
    """Its own attributes win, and numbered lists of both are never mixed."""
    theirs = {
        "openinference.span.kind": "CHAIN",
        "llm.input_messages.0.message.role": "user",
        "own.name": [1, 2],
        "otel.resource": {"service.name": "shop"},
        "otel.scope": "lib",
    }
    span = Span(
        span_id="3" * 16,
        trace_id="1" * 32,
        name="step",
        kind="LLM",
        start_ns=1,
        attributes=theirs,
        prompt=prompt(),
    )
    raw = told_span(span, parent="2" * 16)
    assert raw.attributes["openinference.span.kind"] == "CHAIN"
    assert raw.attributes["own.name"] == [1, 2]
    assert "llm.input_messages.1.message.role" not in raw.attributes
    assert (raw.resource, raw.scope, raw.parent_id) == ({"service.name": "shop"}, "lib", "2" * 16)


@pytest.mark.parametrize(
    ("own", "sent"),
    [
        ("0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c"),
        ("trace-1", "another"),
        ("0" * 32, "another"),
    ],
)
def test_an_id_that_no_span_can_have_gets_one_that_stays(own: str, sent: str) -> None:
    """Imports bring ids of other shapes; the same one always becomes the same."""
    found = hex_id(own, 32)
    assert len(found) == 32
    assert found == hex_id(own, 32)
    assert (found == sent) == (own == sent)
