"""OTLP's JSON form read into raw spans: hex ids, camelCase names, whole numbers as text.

Source: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping

from p2re_eval.errors import MalformedSpans
from p2re_eval.records import JSON
from p2re_eval.tracing.raw import RawEvent, RawSpan, SpanStatus

_STATUSES: dict[str, SpanStatus] = {
    "1": "OK",
    "2": "ERROR",
    "STATUS_CODE_OK": "OK",
    "STATUS_CODE_ERROR": "ERROR",
}
_FLAGS_KNOWN_AND_REMOTE = 0x300
_LARGEST = (1 << 63) - 1


def read_json(request: JSON, *, refused: list[str] | None = None) -> Iterator[RawSpan]:
    """The spans of an export request, given as JSON values.

    One that has no id, or a number that is none, ends the reading; where a list is given as
    ``refused``, why goes there and the others are read. Raises MalformedSpans.
    """
    if not isinstance(request, Mapping) or "resourceSpans" not in _camel(request):
        what = "not OTLP JSON: there is no 'resourceSpans' in it; check which file this is"
        raise MalformedSpans(what)
    for of_resource in _mappings(_camel(request)["resourceSpans"]):
        resource = _attributes(_mapping(of_resource.get("resource")).get("attributes"))
        for place in _mappings(of_resource.get("scopeSpans")):
            scope = str(_mapping(place.get("scope")).get("name") or "")
            for span in _mappings(place.get("spans")):
                try:
                    yield _read(span, resource, scope)
                except MalformedSpans as error:
                    if refused is None:
                        raise
                    refused.append(str(error).removeprefix("not OTLP JSON: "))


def _read(span: Mapping[str, JSON], resource: Mapping[str, JSON], scope: str) -> RawSpan:
    status = _mapping(span.get("status"))
    flags = _whole(span.get("flags"))
    return RawSpan(
        trace_id=_id(span.get("traceId"), 32),
        span_id=_id(span.get("spanId"), 16),
        parent_id=_id(span["parentSpanId"], 16) if span.get("parentSpanId") else None,
        name=str(span.get("name") or ""),
        start_ns=_whole(span.get("startTimeUnixNano")),
        end_ns=_whole(span.get("endTimeUnixNano")) or None,
        attributes=_attributes(span.get("attributes")),
        status=_STATUSES.get(str(status.get("code")), "UNSET"),
        status_message=str(status["message"]) if status.get("message") else None,
        events=tuple(
            RawEvent(
                str(event.get("name") or ""),
                _whole(event.get("timeUnixNano")),
                _attributes(event.get("attributes")),
            )
            for event in _mappings(span.get("events"))
        ),
        links=tuple(
            {
                "trace_id": str(link.get("traceId") or ""),
                "span_id": str(link.get("spanId") or ""),
                "attributes": _attributes(link.get("attributes")),
            }
            for link in _mappings(span.get("links"))
        ),
        resource=resource,
        scope=scope,
        remote_parent=flags & _FLAGS_KNOWN_AND_REMOTE == _FLAGS_KNOWN_AND_REMOTE,
    )


def _camel(mapping: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """Some exporters write ``resource_spans``: the names of the protobuf itself."""
    return {_camel_name(name): value for name, value in mapping.items()}


def _camel_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _mappings(value: JSON) -> Iterator[Mapping[str, JSON]]:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise MalformedSpans("not OTLP JSON: a list of objects was expected; check the exporter")
    yield from (_camel(one) for one in value)


def _mapping(value: JSON) -> Mapping[str, JSON]:
    return _camel(value) if isinstance(value, Mapping) else {}


def _attributes(pairs: JSON) -> dict[str, JSON]:
    return {str(pair.get("key")): _value(pair.get("value")) for pair in _mappings(pairs)}


def _value(value: JSON) -> JSON:
    said = _mapping(value)
    for kind in ("stringValue", "boolValue", "doubleValue"):
        if kind in said:
            return said[kind]
    if "intValue" in said:
        return _whole(said["intValue"])
    if "arrayValue" in said:
        inner = _mapping(said["arrayValue"]).get("values") or []
        return [_value(one) for one in inner] if isinstance(inner, list) else []
    if "kvlistValue" in said:
        return _attributes(_mapping(said["kvlistValue"]).get("values"))
    return said.get("bytesValue")


def _whole(value: JSON) -> int:
    try:
        number = int(value or 0)
    except (TypeError, ValueError, OverflowError):
        number = _LARGEST + 1
    if abs(number) > _LARGEST:
        raise MalformedSpans(f"not OTLP JSON: '{str(value)[:40]}' is no whole number of 64 bits")
    return number


def _id(value: JSON, digits: int) -> str:
    """Hex digits; exporters that follow protobuf's own JSON write base64 instead."""
    text = str(value or "")
    if len(text) == digits and not set(text.lower()) - set("0123456789abcdef"):
        return text.lower()
    try:
        plain = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        plain = b""
    if len(plain) * 2 != digits:
        raise MalformedSpans(f"not OTLP JSON: '{text[:40]}' is no id of {digits} hex digits")
    return plain.hex()
