"""Our records told as spans: the attributes that OpenInference and OpenTelemetry's readers know.

What another program said of a span itself is repeated as it was; ours only fills the gaps.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b

from p2re_eval.records import (
    JSON,
    Completion,
    Evaluation,
    Fault,
    Message,
    RenderedPrompt,
    Span,
    Trace,
    TraceStatus,
    Usage,
    canonical_json,
)
from p2re_eval.tracing.genai import genai_attributes, said_by_genai
from p2re_eval.tracing.raw import RawEvent, RawSpan, SpanStatus

_HEX = re.compile("[0-9a-f]+")
_KEPT_APART = ("otel.resource", "otel.scope", "otel.links")
"""Where a captured span keeps what is no attribute of it."""


def told(
    trace: Trace, evaluations: Sequence[Evaluation] = (), *, both: bool = True
) -> list[RawSpan]:
    """The run and its steps, parents first; evaluations of the run become events of it.

    ``both`` adds OpenTelemetry's GenAI names to OpenInference's, for readers that know only those;
    it says the messages a second time.
    """
    root = _root(trace, both)
    judged = tuple(evaluation_event(one) for one in evaluations)
    root = replace(root, events=(*root.events, *judged))
    return [root, *(told_span(span, parent=root.span_id, both=both) for span in trace.spans)]


def told_span(span: Span, *, parent: str | None = None, both: bool = True) -> RawSpan:
    """A step; one that names no parent hangs below ``parent``, the run's own span."""
    said: dict[str, JSON] = {"openinference.span.kind": span.kind}
    if span.prompt is not None:
        said |= _asked(span.prompt)
    if span.completion is not None:
        said |= _answered(span.completion)
    if both:
        said |= genai_attributes(span.kind, span.prompt, span.completion)
    return RawSpan(
        trace_id=hex_id(span.trace_id, 32),
        span_id=hex_id(span.span_id, 16),
        parent_id=hex_id(span.parent_id, 16) if span.parent_id else parent,
        name=span.name,
        start_ns=span.start_ns,
        end_ns=span.end_ns if span.end_ns is not None else span.start_ns,
        status=_status(span.status),
        status_message=span.status_message,
        attributes=_over(said, span.attributes),
        events=tuple(_event(event) for event in span.events),
        **_apart(span.attributes),
    )


def evaluation_event(one: Evaluation) -> RawEvent:
    """A judgement under the names that OpenTelemetry has for it.

    Source: OpenTelemetry semantic conventions for generative AI, event gen_ai.evaluation.result.
    """
    said: dict[str, JSON] = {"gen_ai.evaluation.name": one.name, "p2re.evaluation.kind": one.kind}
    if one.score is not None:
        passed = one.score.passed
        label = one.score.label or (None if passed is None else "pass" if passed else "fail")
        said |= {
            "gen_ai.evaluation.score.value": one.score.value,
            "gen_ai.evaluation.score.label": label,
            "gen_ai.evaluation.explanation": one.score.explanation,
            "p2re.evaluation.passed": passed,
        }
    if one.fault is not None:
        said |= {"error.type": one.fault.kind, "gen_ai.evaluation.explanation": one.fault.message}
    return RawEvent("gen_ai.evaluation.result", one.created_ns, _without_none(said))


def hex_id(own: str, digits: int) -> str:
    """An id of so many hex digits: its own where it is one, else always the same one for it."""
    if len(own) == digits and _HEX.fullmatch(own) and own.strip("0"):
        return own
    return blake2b(own.encode(), digest_size=digits // 2).hexdigest()


def _root(trace: Trace, both: bool) -> RawSpan:
    said: dict[str, JSON] = {"openinference.span.kind": trace.kind}
    said |= _asked(trace.prompt)
    if trace.completion is not None:
        said |= _answered(trace.completion)
    if both:
        said |= genai_attributes(trace.kind, trace.prompt, trace.completion)
        said |= said_by_genai(session=trace.session_id, user=trace.user)
    said |= _about_the_run(trace)
    events = [_event(event) for event in trace.events]
    if trace.fault is not None and not any(event.name == "exception" for event in events):
        events.append(_thrown(trace))
        said["error.type"] = trace.fault.kind
    message = trace.fault.message if trace.fault is not None else None
    return RawSpan(
        trace_id=hex_id(trace.trace_id, 32),
        span_id=hex_id(trace.span_id, 16),
        name=trace.name,
        start_ns=trace.start_ns,
        end_ns=trace.end_ns if trace.end_ns is not None else trace.start_ns,
        status=_status(trace.status),
        status_message="the process died before the answer" if _lost(trace) else message,
        attributes=_over(_without_none(said), trace.attributes),
        events=tuple(events),
        **_apart(trace.attributes),
    )


def _about_the_run(trace: Trace) -> dict[str, JSON]:
    """What no convention has a name for stands under ``p2re.``."""
    own = {
        "source": None if trace.source == "live" else trace.source,
        "suite": trace.suite,
        "case_id": trace.case_id,
        "repeat": trace.repeat or None,
        "experiment_id": trace.experiment_id,
        "run_key": trace.run_key or None,
        "attempts": trace.attempts if trace.attempts > 1 else None,
    }
    return {
        "session.id": trace.session_id,
        "user.id": trace.user,
        "tag.tags": list(trace.tags) or None,
        "metadata": canonical_json(trace.metadata) if trace.metadata else None,
        **{f"p2re.{name}": value for name, value in own.items()},
    }


def _asked(prompt: RenderedPrompt) -> dict[str, JSON]:
    model = prompt.model
    parameters = model.model_dump(
        mode="json", exclude_none=True, include={"temperature", "top_p", "max_tokens", "seed"}
    )
    parameters |= {"stop": list(model.stop)} if model.stop else {}
    parameters |= model.extra or {}
    said: dict[str, JSON] = {
        "llm.provider": model.provider,
        "llm.model_name": model.name,
        "llm.request.model_name": model.name,
        "llm.invocation_parameters": canonical_json(parameters) if parameters else None,
        "gen_ai.prompt.name": prompt.name or None,
        "llm.prompt_template.version": prompt.version,
        "llm.prompt_template.variables": (
            canonical_json(prompt.variables) if prompt.variables else None
        ),
        "input.value": prompt.messages[-1].text if prompt.messages else None,
        "input.mime_type": "text/plain" if prompt.messages else None,
    }
    for number, message in enumerate(prompt.messages):
        said |= _message(f"llm.input_messages.{number}.message", message)
    for number, tool in enumerate(prompt.tools):
        function = tool.model_dump(mode="json", exclude_none=True)
        schema = canonical_json({"type": "function", "function": function})
        said[f"llm.tools.{number}.tool.json_schema"] = schema
    return _without_none(said)


def _answered(completion: Completion) -> dict[str, JSON]:
    usage = completion.usage
    text = completion.text or completion.refusal or ""
    message = Message(role="assistant", content=text, tool_calls=completion.tool_calls)
    said: dict[str, JSON] = {
        "llm.response.model_name": completion.model,
        "llm.finish_reason": completion.raw_finish_reason or completion.finish_reason,
        "gen_ai.response.id": completion.response_id,
        "output.value": text or _calls_text(completion),
        "output.mime_type": "text/plain",
        "llm.cost.total": completion.cost_usd,
        **_counts(usage),
        **_message("llm.output_messages.0.message", message),
        "llm.output_messages.0.message.reasoning": completion.reasoning,
    }
    if completion.model:
        said["llm.model_name"] = completion.model
    return _without_none(said)


def _counts(usage: Usage) -> dict[str, JSON]:
    both = usage.input_tokens, usage.output_tokens
    return {
        "llm.token_count.prompt": usage.input_tokens,
        "llm.token_count.completion": usage.output_tokens,
        "llm.token_count.total": None if None in both else sum(n or 0 for n in both),
        "llm.token_count.prompt_details.cache_read": usage.cached_tokens,
        "llm.token_count.completion_details.reasoning": usage.reasoning_tokens,
    }


def _message(name: str, message: Message) -> dict[str, JSON]:
    said: dict[str, JSON] = {f"{name}.role": message.role}
    if isinstance(message.content, str):
        said[f"{name}.content"] = message.content or None
    else:
        for number, part in enumerate(message.content):
            at = f"{name}.contents.{number}.message_content"
            said[f"{at}.type"] = part.type
            if part.type == "text":
                said[f"{at}.text"] = part.text
            else:
                said[f"{at}.image.image.url"] = part.url
    for number, call in enumerate(message.tool_calls):
        at = f"{name}.tool_calls.{number}.tool_call"
        said[f"{at}.id"] = call.id
        said[f"{at}.function.name"] = call.name
        said[f"{at}.function.arguments"] = call.arguments
    said[f"{name}.name"] = message.name
    said[f"{name}.tool_call_id"] = message.tool_call_id
    return _without_none(said)


def _calls_text(completion: Completion) -> str:
    return "\n".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)


def _thrown(trace: Trace) -> RawEvent:
    fault = trace.fault or Fault(kind="", message="")
    said = {"exception.type": fault.kind, "exception.message": fault.message}
    return RawEvent("exception", trace.end_ns or trace.start_ns, said)


def _lost(trace: Trace) -> bool:
    return trace.status == "ABANDONED"


def _status(status: TraceStatus) -> SpanStatus:
    return "OK" if status == "OK" else "UNSET" if status == "RUNNING" else "ERROR"


def _event(event: Mapping[str, JSON]) -> RawEvent:
    return RawEvent(
        str(event.get("name", "")), int(event.get("time_ns") or 0), event.get("attributes") or {}
    )


def _over(ours: dict[str, JSON], theirs: Mapping[str, JSON]) -> dict[str, JSON]:
    """Theirs as they are, ours where they say nothing; numbered lists are never mixed."""
    begun = {name for name in _LISTS if any(key.startswith(name) for key in theirs)}
    kept = {k: v for k, v in ours.items() if not any(k.startswith(name) for name in begun)}
    return {**kept, **{k: v for k, v in theirs.items() if k not in _KEPT_APART}}


_LISTS = ("llm.input_messages.", "llm.output_messages.", "llm.tools.")


def _apart(attributes: Mapping[str, JSON]) -> dict[str, JSON]:
    return {
        "resource": attributes.get("otel.resource") or {},
        "scope": attributes.get("otel.scope") or "",
        "links": tuple(attributes.get("otel.links") or ()),
    }


def _without_none(said: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in said.items() if value is not None}
