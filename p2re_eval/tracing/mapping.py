"""A raw span read into our records: whichever convention it speaks, its raw attributes are kept.

Nothing here raises for what a span says: what is not understood stays in the attributes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from p2re_eval.records import (
    JSON,
    MODEL_KINDS,
    CapturedSpan,
    Exposure,
    Span,
    TraceStatus,
)
from p2re_eval.tracing.answered import completion_of
from p2re_eval.tracing.asked import prompt_of
from p2re_eval.tracing.conventions import Attributes, kind_of, said
from p2re_eval.tracing.faults import fault_of
from p2re_eval.tracing.judged import evaluations_of
from p2re_eval.tracing.raw import RawEvent, RawSpan
from p2re_eval.tracing.values import listed, mapping, parsed, text, texts

_EVERY_PROGRAM = "telemetry.sdk."


def captured(raw: RawSpan) -> CapturedSpan:
    """The span as the store takes it, and what it says of its trace.

    Calls to models and roots have a prompt and, when they ended well, a completion.
    """
    if not isinstance(raw.attributes, Attributes):
        raw = replace(raw, attributes=Attributes(raw.attributes))
    attributes = raw.attributes
    kind = kind_of(attributes)
    status: TraceStatus = "RUNNING" if raw.end_ns is None else _ending(raw)
    root = raw.parent_id is None or raw.remote_parent
    model_call = kind in MODEL_KINDS
    prompt = prompt_of(raw, model_call=model_call) if root or model_call else None
    answered = prompt is not None and status == "OK"
    fault = fault_of(raw, kind) if status == "ERROR" else None
    span = Span(
        span_id=raw.span_id,
        trace_id=raw.trace_id,
        parent_id=raw.parent_id,
        name=raw.name,
        kind=kind,
        status=status,
        status_message=None if fault is None else fault.message,
        start_ns=raw.start_ns,
        end_ns=raw.end_ns,
        attributes=_kept(raw),
        events=tuple(_event(event) for event in raw.events),
        prompt=prompt,
        completion=completion_of(raw, prompt, model_call=model_call)
        if prompt and answered
        else None,
    )
    return CapturedSpan(
        span=span,
        root=root,
        fault=fault,
        session_id=text(said(attributes, "session")),
        user=text(said(attributes, "user")),
        tags=texts(said(attributes, "tags")),
        metadata=mapping(said(attributes, "metadata")),
        exposures=tuple(_exposures(raw)),
        evaluations=tuple(evaluations_of(raw)),
    )


def _ending(raw: RawSpan) -> TraceStatus:
    unsaid = raw.status == "UNSET" and said(raw.attributes, "error_type") is not None
    return "ERROR" if unsaid or raw.status == "ERROR" else "OK"


def _kept(raw: RawSpan) -> dict[str, JSON]:
    """The raw attributes, and under ``otel.`` what else OpenTelemetry says."""
    kept = dict(raw.attributes)
    resource = {
        name: value for name, value in raw.resource.items() if not name.startswith(_EVERY_PROGRAM)
    }
    if resource:
        kept["otel.resource"] = resource
    if raw.scope:
        kept["otel.scope"] = raw.scope
    if raw.links:
        kept["otel.links"] = [dict(link) for link in raw.links]
    if raw.remote_parent and raw.parent_id is not None:
        kept["otel.remote_parent"] = raw.parent_id
    return kept


def _event(event: RawEvent) -> dict[str, JSON]:
    return {"name": event.name, "time_ns": event.time_ns, "attributes": dict(event.attributes)}


def _exposures(raw: RawSpan) -> Iterator[Exposure]:
    for one in listed(parsed(said(raw.attributes, "exposures"))):
        if isinstance(one, list) and len(one) == 3:
            yield Exposure(experiment=str(one[0]), variant=str(one[1]), unit=str(one[2]))
