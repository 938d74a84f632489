"""How bytes become events: server-sent events, lines of JSON, and Amazon's binary frames."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple, Protocol


class Event(NamedTuple):
    """One server-sent event; ``cut`` when the stream ended before the event did."""

    name: str
    data: str
    cut: bool = False


class Reader(Protocol):
    """Bytes in as they come, events out as they are complete."""

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete."""

    def end(self) -> Iterator[Event]:
        """What was not complete when the stream ended, marked ``cut``."""


class DamagedStream(Exception):
    """The bytes cannot be what the service sent; the message says what is wrong with them."""


class EventReader:
    """Bytes in, server-sent events out, wherever the network cut them.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._name = b""
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete."""
        self._pieces.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return
        lines = b"".join(self._pieces).splitlines(keepends=True)
        # A CR at the very end may be half of a CRLF: it waits for the next bytes.
        self._pieces = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        yield from self._read(lines)

    def end(self) -> Iterator[Event]:
        """The event that was not closed by an empty line before the stream ended."""
        lines = b"".join(self._pieces).splitlines()
        self._pieces = []
        for event in self._read([*lines, b""]):
            yield event._replace(cut=True)

    def _read(self, lines: list[bytes]) -> Iterator[Event]:
        for ended in lines:
            line = ended.rstrip(b"\r\n")
            if not self._begun:
                line, self._begun = line.removeprefix(b"\xef\xbb\xbf"), True
            if not line:
                yield from self._complete()
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._name = value.removeprefix(b" ")

    def _complete(self) -> Iterator[Event]:
        data, name = self._data, self._name
        self._data, self._name = [], b""
        if data:
            yield Event(
                name.decode("utf-8", "replace"), b"\n".join(data).decode("utf-8", "replace")
            )


class LineReader:
    """Bytes in, one event for every line out: newline-delimited JSON.

    Source: https://github.com/ndjson/ndjson-spec
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The lines that these bytes complete."""
        self._pieces.append(chunk)
        if b"\n" not in chunk:
            return
        *lines, rest = b"".join(self._pieces).split(b"\n")
        self._pieces = [rest] if rest else []
        for line in lines:
            if line.strip():
                yield Event("", line.decode("utf-8", "replace"))

    def end(self) -> Iterator[Event]:
        """The line that was not closed before the stream ended."""
        rest, self._pieces = b"".join(self._pieces), []
        if rest.strip():
            yield Event("", rest.decode("utf-8", "replace"), cut=True)


class FrameReader:
    """Bytes in, one event for every frame of Amazon's event stream out; checksums are verified.

    A frame that stands for an error gives an event called ``error``, whose ``type`` is the
    exception's name. Raises DamagedStream when a frame cannot be one.

    Source: https://smithy.io/2.0/aws/amazon-eventstream.html
    """

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The frames that these bytes complete."""
        self._buffer += chunk
        while len(self._buffer) >= _PRELUDE_SIZE:
            size, header_size, checksum = _PRELUDE.unpack_from(self._buffer)
            if zlib.crc32(self._buffer[:8]) != checksum:
                raise DamagedStream("a frame's beginning does not match its checksum")
            if not _PRELUDE_SIZE + header_size + 4 <= size <= LARGEST_FRAME:
                raise DamagedStream(f"a frame claims {size} bytes")
            if len(self._buffer) < size:
                return
            frame = bytes(self._buffer[:size])
            del self._buffer[:size]
            if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
                raise DamagedStream("a frame does not match its checksum")
            yield _event(frame, header_size)

    def end(self) -> Iterator[Event]:
        """A cut frame says nothing that could be read."""
        if self._buffer:
            self._buffer.clear()
            yield Event("", "", cut=True)


LARGEST_FRAME = 24 * 1024 * 1024
_PRELUDE = struct.Struct(">III")
_PRELUDE_SIZE = _PRELUDE.size
_TEXT_HEADER = 7
_FIXED_HEADERS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 (bytes) and 7 (text) say their length themselves."""


def _event(frame: bytes, header_size: int) -> Event:
    headers = dict(_headers(frame[_PRELUDE_SIZE : _PRELUDE_SIZE + header_size]))
    payload = frame[_PRELUDE_SIZE + header_size : -4].decode("utf-8", "replace")
    kind = headers.get(":message-type", "event")
    if kind == "event":
        return Event(headers.get(":event-type", ""), payload)
    name = headers.get(":exception-type") or headers.get(":error-code") or kind
    said = headers.get(":error-message") or payload
    return Event("error", json.dumps({"type": name, "message": said}))


def _headers(block: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    try:
        while at < len(block):
            end = at + 1 + block[at]
            name, kind = block[at + 1 : end].decode("utf-8", "replace"), block[end]
            at = end + 1
            size = _FIXED_HEADERS.get(kind)
            if size is None:
                size = int.from_bytes(block[at : at + 2], "big")
                at += 2
            if kind == _TEXT_HEADER:
                yield name, block[at : at + size].decode("utf-8", "replace")
            at += size
    except IndexError:
        raise DamagedStream("a frame's headers end early") from None
