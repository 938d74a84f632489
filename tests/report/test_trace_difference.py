"""Two traces side by side, as data: what a reader of both would tell apart."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Evaluation,
    Fault,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.report.trace_difference import MessagePair, trace_difference


def trace(
    *said: tuple[str, str], answer: str | None = "billing", model: Any = None, **given: Any
) -> Trace:
    messages = tuple(Message(role=role, content=text) for role, text in said)
    usage = given.pop("usage", Usage(input_tokens=10, output_tokens=2))
    completion = Completion(text=answer, usage=usage) if answer is not None else None
    settings = ModelSettings(**{"provider": "openai", "name": "gpt-5", **(model or {})})
    variables = given.pop("variables", {})
    prompt = RenderedPrompt(name="r", messages=messages, model=settings, variables=variables)
    return Trace(
        **{
            "trace_id": "a" * 32,
            "span_id": "b" * 16,
            "name": "route",
            "status": "OK",
            "start_ns": 1_000,
            "end_ns": 5_000,
            "prompt": prompt,
            "completion": completion,
            **given,
        }
    )


def marked(pair: MessagePair) -> tuple[str, str]:
    """Both sides, what only one has in brackets."""
    return tuple(  # type: ignore[return-value]
        "".join(f"[{one.text}]" if one.changed else one.text for one in side)
        for side in (pair.before, pair.after)
    )


def test_facts_settings_and_inputs_are_told_apart() -> None:
    before = trace(model={"temperature": 0.0}, variables={"ticket": "late"})
    after = trace(
        model={"name": "gpt-5-mini", "temperature": 1.0, "seed": 7},
        variables={"ticket": "lost"},
        usage=Usage(input_tokens=15, output_tokens=2),
        end_ns=4_000,
    )
    found = trace_difference(before, after)
    facts = {one.name: (one.before, one.after, one.difference, one.same) for one in found.facts}
    assert facts["model"] == ("openai/gpt-5", "openai/gpt-5-mini", None, False)
    assert facts["duration_ns"] == (4000, 3000, -1000, False)
    assert facts["input_tokens"] == (10, 15, 5, False)
    assert facts["output_tokens"] == (2, 2, 0, True)
    assert "cost_usd" not in facts  # neither is known
    settings = {one.name: (one.before, one.after) for one in found.settings}
    assert settings == {"temperature": (0.0, 1.0), "seed": (None, 7)}
    assert [(one.name, one.before, one.after) for one in found.inputs] == [
        ("ticket", "late", "lost")
    ]


def test_messages_are_paired_past_what_was_put_in_between() -> None:
    before = trace(("system", "Be brief."), ("user", "My parcel is late."))
    after = trace(
        ("system", "Be brief."), ("assistant", "An example."), ("user", "My parcel is late.")
    )
    presence = [one.presence for one in trace_difference(before, after).messages]
    assert presence == ["same", "only after", "same"]


def test_texts_are_told_apart_by_words() -> None:
    before = trace(("user", "Route this ticket please"), answer="account")
    after = trace(("user", "Route that ticket please"), answer="billing")
    found = trace_difference(before, after)
    [message] = found.messages
    assert message.presence == "changed"
    assert marked(message) == ("Route [this] ticket please", "Route [that] ticket please")
    assert marked(found.answer) == ("[account]", "[billing]")


def test_long_texts_are_told_apart_by_lines() -> None:
    """A word by word comparison of a book would take minutes."""
    lines = [f"line {number}\n" for number in range(3000)]
    other = [*lines[:1500], "something else\n", *lines[1501:]]
    found = trace_difference(trace(answer="".join(lines)), trace(answer="".join(other))).answer
    assert [one.text for one in found.before if one.changed] == ["line 1500\n"]
    assert [one.text for one in found.after if one.changed] == ["something else\n"]
    assert "".join(one.text for one in found.after) == "".join(other)


def test_a_fault_and_tool_calls_stand_for_the_answer() -> None:
    call = ToolCall(id="1", name="search", arguments='{"q": 1}')
    before = trace(answer=None, fault=Fault(kind="timeout", message="too slow"), status="ERROR")
    after = trace().model_copy(update={"completion": Completion(text="", tool_calls=(call,))})
    found = trace_difference(before, after)
    assert marked(found.answer) == ("[too slow]", '[search({"q": 1})]')
    assert {one.name: one.before for one in found.facts}["fault"] == "timeout"


@pytest.mark.parametrize(("first", "second", "flipped"), [(True, False, True), (True, True, False)])
def test_evaluations_are_paired_by_name_and_person(
    first: bool, second: bool, flipped: bool
) -> None:
    def said(passed: bool, **given: Any) -> Evaluation:
        return Evaluation(
            **{
                "evaluation_id": f"{passed}{given}",
                "trace_id": "a",
                "name": "polite",
                "scorer": "s",
                "scorer_version": "1",
                "score": Score(passed=passed),
                **given,
            }
        )

    found = trace_difference(
        trace(),
        trace(),
        before_evaluations=[said(first), said(True, kind="HUMAN", identifier="ann")],
        after_evaluations=[said(not second, created_ns=1), said(second, created_ns=2)],
    ).evaluations
    pairs = [(one.by, one.after and one.after.passed, one.flipped) for one in found]
    assert pairs == [("", second, flipped), ("ann", None, False)]
