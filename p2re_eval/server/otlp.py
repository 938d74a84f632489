"""OTLP trace exports decoded: protobuf or JSON, compressed or not, whatever a stranger sends.

Source: https://opentelemetry.io/docs/specs/otlp/ (OTLP/HTTP), whose JSON writes ids in hex where
protobuf's own JSON form would have base64.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from p2re_eval.errors import MissingExtra, UsageError
from p2re_eval.records import JSON
from p2re_eval.tracing.raw import RawEvent, RawSpan

if TYPE_CHECKING:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
    from opentelemetry.proto.trace.v1.trace_pb2 import Span

MOST_UNPACKED = 64 * 1024 * 1024
"""Bytes that a compressed body may become."""
_STATUS: dict[int, Literal["UNSET", "OK", "ERROR"]] = {1: "OK", 2: "ERROR"}
_REMOTE = 0x300  # that remoteness is known, and that the parent is in another process
_IDS = ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id")
_LATEST_NS = (1 << 63) - 1


class MalformedExport(UsageError):
    """The body is not what its content type promises."""


@dataclass(frozen=True)
class Decoded:
    """The spans that can be kept, and how many cannot: an id or time that is none."""

    spans: list[RawSpan]
    rejected: int


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression. Raises MalformedExport, also where it grows too large."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise MalformedExport(f"the content encoding '{encoding}' is not gzip, deflate or none")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = unpacker.decompress(body, MOST_UNPACKED)
    except zlib.error as error:
        raise MalformedExport(f"the body is no {encoding}: {error}") from None
    if unpacker.unconsumed_tail:
        raise MalformedExport(f"the body unpacks to more than {MOST_UNPACKED} bytes")
    if not unpacker.eof:
        raise MalformedExport(f"the {encoding} body ends early")
    return found


def decoded(body: bytes, *, as_json: bool) -> Decoded:
    """Every span of an export. Raises MalformedExport, MissingExtra."""
    request = _request(body, as_json=as_json)
    spans: list[RawSpan] = []
    rejected = 0
    for group in request.resource_spans:
        resource = _mapping(group.resource.attributes)
        for scope in group.scope_spans:
            for span in scope.spans:
                raw = _raw(span, resource, scope.scope.name)
                if raw is None:
                    rejected += 1
                else:
                    spans.append(raw)
    return Decoded(spans, rejected)


def reply(rejected: int, *, as_json: bool) -> bytes:
    """What the exporter hears: nothing, or how many spans were refused."""
    import json

    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service

    why = "ids must be 16 and 8 bytes, times nanoseconds below 2^63" if rejected else ""
    if as_json:
        partial = {"rejectedSpans": str(rejected), "errorMessage": why}
        return json.dumps({"partialSuccess": partial} if rejected else {}).encode()
    response = service.ExportTraceServiceResponse()
    if rejected:
        response.partial_success.rejected_spans = rejected
        response.partial_success.error_message = why
    message: bytes = response.SerializeToString()
    return message


def _request(body: bytes, *, as_json: bool) -> ExportTraceServiceRequest:
    try:
        from google.protobuf import json_format
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as service
    except ImportError as error:
        what = "receiving spans needs opentelemetry-proto: pip install 'p2re-eval[server]'"
        raise MissingExtra(what) from error
    request = service.ExportTraceServiceRequest()
    try:
        if as_json:
            json_format.ParseDict(_document(body), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except (DecodeError, json_format.ParseError, ValueError, TypeError, RecursionError) as error:
        raise MalformedExport(f"the body is no OTLP trace export: {str(error)[:300]}") from None
    return request


def _document(body: bytes) -> dict[str, JSON]:
    import json

    document = json.loads(body)
    if not isinstance(document, dict):
        raise MalformedExport("the body is no OTLP trace export: it is no JSON object")
    for span in _spans_of(document):
        for one in (span, *_dicts(span.get("links"))):
            for name in _IDS:
                if isinstance(one.get(name), str):
                    one[name] = _hex_as_base64(one[name])
    return document


def _spans_of(document: Mapping[str, JSON]) -> Iterator[dict[str, JSON]]:
    for group in _dicts(document.get("resourceSpans", document.get("resource_spans"))):
        for scope in _dicts(group.get("scopeSpans", group.get("scope_spans"))):
            yield from _dicts(scope.get("spans"))


def _dicts(value: JSON) -> list[dict[str, JSON]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _hex_as_base64(text: str) -> str:
    try:
        return base64.b64encode(binascii.unhexlify(text)).decode()
    except (binascii.Error, ValueError):
        return ""  # no id: the span is counted as rejected


def _raw(span: Span, resource: Mapping[str, JSON], scope: str) -> RawSpan | None:
    sound = _is_id(span.trace_id, 16) and _is_id(span.span_id, 8)
    times = (span.start_time_unix_nano, span.end_time_unix_nano)
    if not sound or max(times) > _LATEST_NS:
        return None
    return RawSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex() if _is_id(span.parent_span_id, 8) else None,
        name=span.name,
        start_ns=times[0],
        end_ns=times[1] or None,
        attributes=_mapping(span.attributes),
        status=_STATUS.get(span.status.code, "UNSET"),
        status_message=span.status.message or None,
        events=[
            RawEvent(event.name, min(event.time_unix_nano, _LATEST_NS), _mapping(event.attributes))
            for event in span.events
        ],
        links=[
            {"trace_id": link.trace_id.hex(), "span_id": link.span_id.hex()} for link in span.links
        ],
        resource=resource,
        scope=scope,
        remote_parent=span.flags & _REMOTE == _REMOTE,
    )


def _is_id(value: bytes, size: int) -> bool:
    return len(value) == size and any(value)


def _mapping(pairs: Iterable[KeyValue]) -> dict[str, JSON]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> JSON:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [_value(one) for one in value.array_value.values]
    if kind == "kvlist_value":
        return _mapping(value.kvlist_value.values)
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    plain: JSON = getattr(value, kind)
    if kind == "double_value" and not abs(plain) < float("inf"):
        return str(plain)  # JSON has neither nan nor infinity
    return plain
