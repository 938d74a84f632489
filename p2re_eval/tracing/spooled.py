"""Raw spans that a process left in a file when it died, read by whoever finds them."""

from __future__ import annotations

from collections.abc import Mapping

from p2re_eval.records import JSON, CapturedSpan
from p2re_eval.tracing.mapping import captured
from p2re_eval.tracing.raw import RawEvent, RawSpan


def captured_of(told: Mapping[str, JSON]) -> CapturedSpan:
    """The span whose ``vars()`` these were. Raises TypeError for those of something else."""
    events = [RawEvent(**event) for event in told["events"]]
    return captured(RawSpan(**{**told, "events": events}))
