"""What came back to a span: its answer, tokens, cost and times, as a completion of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from p2re_eval.providers.chat_answer import finish_reason
from p2re_eval.records import JSON, Completion, FinishReason, RenderedPrompt, Usage
from p2re_eval.tracing.asked import listed_messages, plain_message
from p2re_eval.tracing.conventions import NAMES, said
from p2re_eval.tracing.costs import captured_cost_usd
from p2re_eval.tracing.messages import Said, from_json, numbered
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.values import count, first, number, text

_EVENTS_WITH_ONE = ("gen_ai.choice", "gen_ai.content.completion")
_EVENT_WITH_ALL = "gen_ai.client.inference.operation.details"
_FIRST_TOKEN = ("First Token Stream Event", "gen_ai.first_token")


def completion_of(raw: RawSpan, prompt: RenderedPrompt, *, model_call: bool) -> Completion:
    """The answer; of a step that is no call to a model, its output, without tokens and cost."""
    attributes = raw.attributes
    answer = _answer(raw)
    reason = text(first(said(attributes, "finish_reason"))) or answer.finish_reason
    return Completion(
        text=answer.plain_text,
        tool_calls=tuple(answer.calls),
        reasoning="\n".join(answer.reasoning) or None,
        finish_reason=_finish(reason, calls=bool(answer.calls)),
        raw_finish_reason=reason,
        response_id=text(said(attributes, "response_id")),
        duration_ns=None if raw.end_ns is None else raw.end_ns - raw.start_ns,
        time_to_first_token_ns=_first_token_ns(raw),
        **(_measures(attributes, prompt) if model_call else {}),
    )


def _measures(attributes: Mapping[str, JSON], prompt: RenderedPrompt) -> dict[str, Any]:
    model = text(said(attributes, "model_answered"))
    usage = Usage(
        input_tokens=count(said(attributes, "input_tokens")),
        output_tokens=count(said(attributes, "output_tokens")),
        cached_tokens=count(said(attributes, "cached_tokens")),
        reasoning_tokens=count(said(attributes, "reasoning_tokens")),
    )
    cost = captured_cost_usd(attributes, prompt.model, usage, answered_as=model)
    return {"model": model, "usage": usage, "cost_usd": cost}


def _answer(raw: RawSpan) -> Said:
    attributes = raw.attributes
    found = (
        listed_messages(attributes, "messages_out", role="assistant")
        or _from_events(raw)
        or _choices(attributes)
        or plain_message(said(attributes, "output"), role="assistant")
    )
    return found[0] if found else Said(role="assistant")


def _from_events(raw: RawSpan) -> list[Said]:
    found: list[Said] = []
    for event in raw.events:
        if event.name in _EVENTS_WITH_ONE:
            message = event.attributes.get("gen_ai.completion", dict(event.attributes))
            found += from_json(message, role="assistant")
        elif event.name == _EVENT_WITH_ALL:
            found += listed_messages(event.attributes, "messages_out", role="assistant")
    return found


def _choices(attributes: Mapping[str, JSON]) -> list[Said]:
    """The first text of a completion without roles."""
    for one in numbered(attributes, NAMES["choices"][0]):
        for value in one.values():
            return plain_message(value, role="assistant")
    return []


def _finish(reason: str | None, *, calls: bool) -> FinishReason:
    if reason is None:
        return "tool_calls" if calls else "stop"
    return finish_reason(reason, calls=calls)


def _first_token_ns(raw: RawSpan) -> int | None:
    seconds = number(said(raw.attributes, "first_token_s"))
    if seconds is not None:
        return int(seconds * 1e9)
    for event in raw.events:
        if event.name in _FIRST_TOKEN:
            return event.time_ns - raw.start_ns
    return None
