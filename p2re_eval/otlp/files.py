"""Files with OTLP in them: JSON, JSON lines, one protobuf message, or many behind their lengths."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from pathlib import Path

from p2re_eval.errors import MalformedSpans, MissingFile
from p2re_eval.otlp.json_form import read_json
from p2re_eval.otlp.protobuf import decoded
from p2re_eval.otlp.soundness import is_sound
from p2re_eval.tracing.raw import RawSpan

_LENGTH_BYTES = 4
_GZIP = b"\x1f\x8b"


def read_file(path: Path) -> Iterator[RawSpan]:
    """Every span in the file, whichever of the forms it has; gzipped or not.

    The collector's file exporter writes JSON lines, or protobuf messages each behind four bytes
    of length, the highest first. Raises MissingFile, MalformedSpans (with the line), MissingExtra.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        what = f"cannot be read ({error.strerror}); check the path"
        raise MissingFile(what, path=path) from None
    if content.startswith(_GZIP):
        content = _unzipped(content, path)
    if content.lstrip()[:1] in (b"{", b"["):
        yield from _json(content, path)
        return
    try:
        for message in _framed(content):
            yield from _sound(decoded(message))
    except MalformedSpans as error:
        raise MalformedSpans(f"{path}: {error}") from None


def _unzipped(content: bytes, path: Path) -> bytes:
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise MalformedSpans(f"{path}: the gzip file is damaged ({error}); copy it anew") from None


def _json(content: bytes, path: Path) -> Iterator[RawSpan]:
    try:
        whole = json.loads(content, parse_constant=str)
    except (ValueError, RecursionError):
        yield from _json_lines(content, path)
        return
    for request in whole if isinstance(whole, list) else [whole]:
        yield from _request(request, str(path))


def _json_lines(content: bytes, path: Path) -> Iterator[RawSpan]:
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            request = json.loads(line, parse_constant=str)
        except (ValueError, RecursionError) as error:
            raise MalformedSpans(f"{path}:{number}: not JSON ({error}); repair the line") from None
        yield from _request(request, f"{path}:{number}")


def _request(request: object, place: str) -> Iterator[RawSpan]:
    try:
        yield from _sound(read_json(request))
    except MalformedSpans as error:
        raise MalformedSpans(f"{place}: {error}") from None


def _sound(spans: Iterator[RawSpan]) -> Iterator[RawSpan]:
    for span in spans:
        if not is_sound(span):
            raise MalformedSpans("not OTLP: a span has no id or no time; check which file this is")
        yield span


def _framed(content: bytes) -> Iterator[bytes]:
    """The messages behind their lengths; the whole as one where the lengths do not add up."""
    found, at = [], 0
    while at + _LENGTH_BYTES <= len(content):
        size = int.from_bytes(content[at : at + _LENGTH_BYTES], "big")
        at += _LENGTH_BYTES + size
        if at > len(content):
            break
        found.append(content[at - size : at])
    yield from found if at == len(content) and found else [content]
