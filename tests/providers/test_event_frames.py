"""Amazon's event-stream frames: whole, cut, damaged, and those that stand for an error."""

from __future__ import annotations

import itertools
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.providers.event_readers import DamagedStream, Event, FrameReader


def frame(payload: bytes, **headers: str) -> bytes:
    """A frame as the specification describes it, with text headers."""
    block = b""
    for name, value in headers.items():
        key = f":{name.replace('_', '-')}".encode()
        block += bytes([len(key)]) + key + b"\x07" + struct.pack(">H", len(value)) + value.encode()
    head = struct.pack(">II", 16 + len(block) + len(payload), len(block))
    head += struct.pack(">I", zlib.crc32(head))
    return head + block + payload + struct.pack(">I", zlib.crc32(head + block + payload))


TEXT = frame(
    b'{"delta": {"text": "caf\xc3\xa9"}}', event_type="contentBlockDelta", message_type="event"
)
STOP = frame(b'{"stopReason": "end_turn"}', event_type="messageStop", message_type="event")
EVENTS = [
    Event("contentBlockDelta", '{"delta": {"text": "café"}}'),
    Event("messageStop", '{"stopReason": "end_turn"}'),
]


@given(cuts=st.lists(st.integers(1, len(TEXT + STOP) - 1), max_size=20))
def test_frames_are_the_same_wherever_they_are_cut(cuts):
    """Inside the prelude, a header, a character or a checksum."""
    reader, found = FrameReader(), []
    bounds = sorted({0, *cuts, len(TEXT + STOP)})
    for begin, end in itertools.pairwise(bounds):
        found += reader.feed((TEXT + STOP)[begin:end])
    assert found + list(reader.end()) == EVENTS


@given(kept=st.integers(0, len(TEXT + STOP) - 1))
def test_a_cut_frame_says_nothing(kept):
    """What was not complete comes out as a cut event without data."""
    reader = FrameReader()
    found = list(reader.feed((TEXT + STOP)[:kept]))
    assert found == EVENTS[: 1 if kept >= len(TEXT) else 0]
    assert list(reader.end()) == ([] if kept in {0, len(TEXT)} else [Event("", "", cut=True)])


@given(place=st.integers(0, len(TEXT) - 1), change=st.integers(1, 255))
def test_one_changed_byte_never_comes_out_as_an_event(place, change):
    """Every byte is under a checksum; a length that grew waits for bytes that never come."""
    damaged = bytearray(TEXT)
    damaged[place] ^= change
    reader = FrameReader()
    try:
        assert list(reader.feed(bytes(damaged))) == []
    except DamagedStream:
        return
    assert list(reader.end()) == [Event("", "", cut=True)]


def test_an_exception_is_an_error_event_with_its_name():
    """The service throttles in the middle of an answer."""
    said = frame(
        b'{"message": "Too many tokens"}',
        exception_type="throttlingException",
        message_type="exception",
    )
    (event,) = FrameReader().feed(said)
    assert event.name == "error"
    assert json.loads(event.data)["type"] == "throttlingException"
    assert "Too many tokens" in event.data


def test_a_protocol_error_carries_its_code_and_message_in_headers():
    """The other sort of error the specification knows."""
    said = frame(b"", error_code="Overload", error_message="later", message_type="error")
    (event,) = FrameReader().feed(said)
    assert (event.name, json.loads(event.data)) == (
        "error",
        {"type": "Overload", "message": "later"},
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [(0, b""), (2, b"\x01"), (4, b"\0\0\0\1"), (8, b"\0" * 8), (9, b"\0" * 16), (6, b"\0\x02ab")],
)
def test_headers_of_every_type_are_passed_over(kind, value):
    """Only text is of interest; the others must not shift what follows."""
    block = b"\x01x" + bytes([kind]) + value
    block += b"\x0b:event-type\x07\x00\x04stop"
    head = struct.pack(">II", 16 + len(block) + 2, len(block))
    head += struct.pack(">I", zlib.crc32(head))
    whole = head + block + b"{}" + struct.pack(">I", zlib.crc32(head + block + b"{}"))
    assert list(FrameReader().feed(whole)) == [Event("stop", "{}")]
