"""OTLP exports as they arrive: compressed or not, protobuf or JSON, whatever a stranger sends.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from p2re_eval.errors import MalformedSpans
from p2re_eval.otlp.json_form import read_json
from p2re_eval.otlp.protobuf import accepted
from p2re_eval.otlp.protobuf import decoded as read_protobuf
from p2re_eval.otlp.soundness import is_sound
from p2re_eval.tracing.raw import RawSpan

MOST_UNPACKED = 64 * 1024 * 1024
"""Bytes that a compressed body may become."""
_WHY = "ids must be 16 and 8 bytes, times nanoseconds below 2^63"


@dataclass(frozen=True)
class Decoded:
    """The spans that can be kept, and how many cannot: an id or time that is none."""

    spans: list[RawSpan]
    rejected: int


def unpacked(body: bytes, encoding: str) -> bytes:
    """The body without its compression. Raises MalformedSpans, also where it grows too large."""
    if encoding in {"", "identity"}:
        return body
    if encoding not in {"gzip", "deflate"}:
        raise MalformedSpans(f"the content encoding '{encoding}' is not gzip, deflate or none")
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        found = unpacker.decompress(body, MOST_UNPACKED)
    except zlib.error as error:
        raise MalformedSpans(f"the body is no {encoding}: {error}") from None
    if unpacker.unconsumed_tail:
        raise MalformedSpans(f"the body unpacks to more than {MOST_UNPACKED} bytes")
    if not unpacker.eof:
        raise MalformedSpans(f"the {encoding} body ends early")
    return found


def decoded(body: bytes, *, as_json: bool) -> Decoded:
    """Every span of an export. Raises MalformedSpans, MissingExtra."""
    found = list(_json(body) if as_json else read_protobuf(body))
    kept = [span for span in found if is_sound(span)]
    return Decoded(kept, len(found) - len(kept))


def reply(rejected: int, *, as_json: bool) -> bytes:
    """What the exporter hears: nothing, or how many spans were refused."""
    why = _WHY if rejected else ""
    if not as_json:
        return accepted(rejected, why)
    partial = {"rejectedSpans": str(rejected), "errorMessage": why}
    return json.dumps({"partialSuccess": partial} if rejected else {}).encode()


def _json(body: bytes) -> Iterator[RawSpan]:
    try:
        # JSON has neither nan nor infinity: where Python reads them they stay words.
        yield from read_json(json.loads(body, parse_constant=str))
    except (ValueError, RecursionError) as error:
        raise MalformedSpans(f"not OTLP JSON: {str(error)[:300]}") from None
