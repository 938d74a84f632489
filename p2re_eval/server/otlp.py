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
    """The spans that can be kept, and how many cannot for an id or a time that is none; ``why``
    is said of the first of them."""

    spans: list[RawSpan]
    rejected: int
    why: str = ""


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
    refused: list[str] = []
    found = list(_json(body, refused) if as_json else read_protobuf(body))
    kept = [span for span in found if is_sound(span)]
    refused += [_WHY] * (len(found) - len(kept))
    return Decoded(kept, len(refused), refused[0] if refused else "")


def reply(found: Decoded, *, as_json: bool) -> bytes:
    """What the exporter hears: nothing, or how many spans were refused and why."""
    if not as_json:
        return accepted(found.rejected, found.why)
    partial = {"rejectedSpans": str(found.rejected), "errorMessage": found.why}
    return json.dumps({"partialSuccess": partial} if found.rejected else {}).encode()


def _json(body: bytes, refused: list[str]) -> Iterator[RawSpan]:
    try:
        # JSON has neither nan nor infinity: where Python reads them they stay words.
        yield from read_json(json.loads(body, parse_constant=str), refused=refused)
    except (ValueError, RecursionError) as error:
        raise MalformedSpans(f"not OTLP JSON: {str(error)[:300]}") from None
