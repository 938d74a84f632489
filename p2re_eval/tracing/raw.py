"""A span as OpenTelemetry has it, whichever way it came: SDK, OTLP, an export of another tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from p2re_eval.records import JSON

SpanStatus: TypeAlias = Literal["UNSET", "OK", "ERROR"]


@dataclass(frozen=True)
class RawEvent:
    """Something that happened inside a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(frozen=True)
class RawSpan:
    """Ids are lowercase hex digits, 32 and 16; times nanoseconds; ``end_ns`` None while it lasts.

    ``remote_parent``: the parent is in another process. ``resource`` and ``scope`` say which
    program and which library made it; ``links`` are ids of spans elsewhere.
    """

    trace_id: str
    span_id: str
    name: str
    start_ns: int
    parent_id: str | None = None
    end_ns: int | None = None
    attributes: Mapping[str, JSON] = field(default_factory=dict)
    status: SpanStatus = "UNSET"
    status_message: str | None = None
    events: Sequence[RawEvent] = ()
    links: Sequence[Mapping[str, JSON]] = ()
    resource: Mapping[str, JSON] = field(default_factory=dict)
    scope: str = ""
    remote_parent: bool = False
