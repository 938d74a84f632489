"""What every span has, whoever sent it: ids and times. Random bytes can look like OTLP."""

from __future__ import annotations

from p2re_eval.tracing.raw import RawSpan

_LATEST_NS = (1 << 63) - 1


def is_sound(span: RawSpan) -> bool:
    """Whether its ids are 16 and 8 bytes and not all zero, its times nanoseconds below 2^63."""
    ids = (len(span.trace_id), len(span.span_id)) == (32, 16)
    zero = not span.trace_id.strip("0") or not span.span_id.strip("0")
    times = (span.start_ns, span.end_ns or 0, *(event.time_ns for event in span.events))
    return ids and not zero and min(times) >= 0 and max(times) <= _LATEST_NS
