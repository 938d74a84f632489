"""Raw spans as OTLP protobuf, and back. Needs the extra ``otlp``.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from p2re_eval.errors import MalformedSpans, MissingExtra
from p2re_eval.records import JSON, canonical_json
from p2re_eval.tracing.raw import RawEvent, RawSpan, SpanStatus

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

SPAN_KIND_INTERNAL, SPAN_KIND_CLIENT = 1, 3
_STATUSES: dict[SpanStatus, int] = {"UNSET": 0, "OK": 1, "ERROR": 2}
_NAMES = {number: name for name, number in _STATUSES.items()}
_FLAGS_KNOWN, _FLAGS_REMOTE = 0x100, 0x200
_LARGEST_INT = (1 << 63) - 1


def encoded(spans: Iterable[RawSpan], resource: Mapping[str, JSON]) -> bytes:
    """The body of a POST to ``/v1/traces``; spans of one program and library share its names.

    ``resource`` says who sends, for spans that say nothing of their own. Raises MissingExtra.
    """
    pb = _messages()
    request = pb.service.ExportTraceServiceRequest()
    places: dict[tuple[str, str], Any] = {}
    for span in spans:
        said = dict(resource) | dict(span.resource)
        key = (canonical_json(said), span.scope or "p2re")
        if key not in places:
            of_resource = request.resource_spans.add()
            of_resource.resource.attributes.extend(_pairs(said))
            place = of_resource.scope_spans.add()
            place.scope.name = key[1]
            places[key] = place
        _fill(places[key].spans.add(), span)
    return bytes(request.SerializeToString())


def encoded_logs(
    events: Iterable[tuple[str, str, RawEvent]], resource: Mapping[str, JSON]
) -> bytes:
    """The body of a POST to ``/v1/logs``: events as (trace id, span id, event), for spans that
    have gone already. Raises MissingExtra."""
    pb = _messages()
    request = pb.logs.ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    of_resource.resource.attributes.extend(_pairs(resource))
    place = of_resource.scope_logs.add()
    place.scope.name = "p2re"
    for trace_id, span_id, event in events:
        record = place.log_records.add()
        record.time_unix_nano = record.observed_time_unix_nano = max(event.time_ns, 0)
        record.event_name = event.name
        record.trace_id, record.span_id = bytes.fromhex(trace_id), bytes.fromhex(span_id)
        record.attributes.extend(_pairs(event.attributes))
    return bytes(request.SerializeToString())


def decoded(body: bytes) -> Iterator[RawSpan]:
    """The spans of an export request. Raises MalformedSpans, MissingExtra."""
    pb = _messages()
    request = pb.service.ExportTraceServiceRequest()
    try:
        request.ParseFromString(body)
    except pb.DecodeError as error:
        raise MalformedSpans(f"not OTLP protobuf: {error}; check which file this is") from None
    for of_resource in request.resource_spans:
        resource = _mapping(of_resource.resource.attributes)
        for place in of_resource.scope_spans:
            for span in place.spans:
                yield _read(span, resource, place.scope.name)


def rejected(body: bytes) -> tuple[int, str]:
    """How many spans (or log records) the receiver says it refused, and why.

    A body that is no such answer refuses nothing.
    """
    pb = _messages()
    answer = pb.service.ExportTraceServiceResponse()
    try:
        answer.ParseFromString(body)
    except pb.DecodeError:
        return 0, ""
    return int(answer.partial_success.rejected_spans), answer.partial_success.error_message


def accepted(refused: int = 0, why: str = "") -> bytes:
    """A receiver's answer: nothing to say, or how many spans it refused. Raises MissingExtra."""
    answer = _messages().service.ExportTraceServiceResponse()
    if refused:
        answer.partial_success.rejected_spans = refused
        answer.partial_success.error_message = why
    return bytes(answer.SerializeToString())


class _Messages:
    """The generated classes, imported when first needed."""

    def __init__(self) -> None:
        try:
            from google.protobuf.message import DecodeError
            from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
            from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
            from opentelemetry.proto.common.v1 import common_pb2
        except ImportError as error:
            what = (
                "OTLP protobuf needs the package opentelemetry-proto; "
                "pip install 'p2re-eval[otlp]' brings it"
            )
            raise MissingExtra(what) from error
        self.DecodeError = DecodeError
        self.service, self.logs, self.common = trace_service_pb2, logs_service_pb2, common_pb2


@cache
def _messages() -> _Messages:
    return _Messages()


def _fill(target: Any, span: RawSpan) -> None:
    target.trace_id = bytes.fromhex(span.trace_id)
    target.span_id = bytes.fromhex(span.span_id)
    if span.parent_id:
        target.parent_span_id = bytes.fromhex(span.parent_id)
    target.name = span.name
    target.kind = SPAN_KIND_CLIENT if _calls_out(span) else SPAN_KIND_INTERNAL
    target.start_time_unix_nano = max(span.start_ns, 0)
    target.end_time_unix_nano = max(span.end_ns or span.start_ns, 0)
    target.attributes.extend(_pairs(span.attributes))
    target.status.code = _STATUSES[span.status]
    target.status.message = span.status_message or ""
    for event in span.events:
        one = target.events.add()
        one.name, one.time_unix_nano = event.name, max(event.time_ns, 0)
        one.attributes.extend(_pairs(event.attributes))
    for link in span.links:
        one = target.links.add()
        one.trace_id = bytes.fromhex(str(link.get("trace_id", "")))
        one.span_id = bytes.fromhex(str(link.get("span_id", "")))
        one.attributes.extend(_pairs(link.get("attributes") or {}))


def _calls_out(span: RawSpan) -> bool:
    return span.attributes.get("openinference.span.kind") in ("LLM", "EMBEDDING", "RERANKER")


def _pairs(said: Mapping[str, JSON]) -> Iterator[KeyValue]:
    pair = _messages().common.KeyValue
    for name, value in said.items():
        if value is not None:
            yield pair(key=name, value=_value(value))


def _value(value: JSON) -> AnyValue:
    made: AnyValue = _messages().common.AnyValue(**_field(value))
    return made


def _field(value: JSON) -> dict[str, Any]:
    """What attributes may hold: scalars and lists of one kind of them; the rest as JSON text.

    Mixed lists and mappings are legal on the wire, and several receivers lose them.
    """
    match value:
        case bool():
            return {"bool_value": value}
        case int() if -_LARGEST_INT <= value <= _LARGEST_INT:
            return {"int_value": value}
        case float() if math.isfinite(value):
            return {"double_value": value}
        case int() | float():
            return {"string_value": str(value)}
        case str():
            return {"string_value": value.encode("utf-8", "backslashreplace").decode()}
        case bytes():
            return {"bytes_value": value}
        case list() | tuple() if _of_one_kind(value):
            values = [_value(one) for one in value]
            return {"array_value": _messages().common.ArrayValue(values=values)}
        case _:
            return {"string_value": canonical_json(value)}


def _of_one_kind(values: Sequence[JSON]) -> bool:
    kinds = {type(value) for value in values}
    return len(kinds) <= 1 and kinds <= {bool, int, float, str}


def _read(span: Any, resource: Mapping[str, JSON], scope: str) -> RawSpan:
    return RawSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() or None,
        name=span.name,
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano or None,
        attributes=_mapping(span.attributes),
        status=_NAMES.get(span.status.code, "UNSET"),
        status_message=span.status.message or None,
        events=tuple(
            RawEvent(event.name, event.time_unix_nano, _mapping(event.attributes))
            for event in span.events
        ),
        links=tuple(
            {
                "trace_id": link.trace_id.hex(),
                "span_id": link.span_id.hex(),
                "attributes": _mapping(link.attributes),
            }
            for link in span.links
        ),
        resource=resource,
        scope=scope,
        remote_parent=bool(span.flags & _FLAGS_KNOWN and span.flags & _FLAGS_REMOTE),
    )


def _mapping(pairs: Iterable[KeyValue]) -> dict[str, JSON]:
    return {pair.key: _plain(pair.value) for pair in pairs}


def _plain(value: AnyValue) -> JSON:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return _mapping(value.kvlist_value.values)
    if kind == "bytes_value":
        return value.bytes_value.hex()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return str(value.double_value)  # JSON has neither nan nor infinity
    return None if kind is None else getattr(value, kind)
