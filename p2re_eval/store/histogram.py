"""Latencies as counts in buckets of 4 %: small, mergeable, and percentiles within 2 %.

Source: Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", VLDB 2019.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping

GROWTH = 1.04
"""Each bucket ends at this many times the end of the one before."""
_LOG = math.log(GROWTH)


def bucket_of(duration_ns: int) -> int:
    """The bucket that a duration falls into; a nanosecond or less is in bucket 0."""
    return max(0, math.ceil(math.log(duration_ns) / _LOG)) if duration_ns > 0 else 0


def middle_of(bucket: int) -> float:
    """The duration that is off by the same share from both ends of a bucket."""
    return 0.0 if bucket == 0 else 2 * math.exp(bucket * _LOG) / (GROWTH + 1)


def counts_of(text: str | None) -> Counter[int]:
    """The counts that a column holds."""
    return Counter({int(key): count for key, count in json.loads(text or "{}").items()})


def text_of_counts(counts: Mapping[int, int]) -> str | None:
    """The counts as a column holds them; None for none."""
    kept = {str(bucket): count for bucket, count in sorted(counts.items()) if count}
    return json.dumps(kept, separators=(",", ":")) if kept else None


def percentile_of(counts: Mapping[int, int], q: float) -> int | None:
    """The duration in ns below which the share ``q`` (0 to 1) lies; None of nothing.

    Off by at most 2 % from the value of that rank.
    """
    total = sum(counts.values())
    if total <= 0:
        return None
    rank = q * (total - 1)
    reached = 0
    for bucket in sorted(counts):
        reached += counts[bucket]
        if reached > rank:
            return round(middle_of(bucket))
    return round(middle_of(max(counts)))


def add_counts(one: str | None, other: str | None) -> str | None:
    """Two columns' counts together; SQL calls it ``histogram_add``."""
    if one is None or other is None:
        return one if other is None else other
    counts = counts_of(one)
    counts.update(counts_of(other))
    return text_of_counts(counts)


class LatencyHistogram:
    """The SQL aggregate ``latency_histogram(duration_ns, sign)``."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def step(self, duration_ns: int | None, sign: int) -> None:
        """One row; unknown durations are not counted."""
        if duration_ns is not None:
            self._counts[bucket_of(duration_ns)] += sign

    def finalize(self) -> str | None:
        """The column's text."""
        return text_of_counts(self._counts)
