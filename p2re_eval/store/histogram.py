"""Latencies as counts in buckets of 4 %: small, mergeable, and percentiles within 2 %.

A histogram is one large number with 32 bits a bucket: adding two histograms is one addition, and
taking one out is one subtraction. A column holds it without the empty buckets below the first.
Source: Masson, Rim and Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with
Relative-Error Guarantees", VLDB 2019.
"""

from __future__ import annotations

import math
import struct
from bisect import bisect_right
from functools import cache
from itertools import accumulate

GROWTH = 1.04
"""Each bucket ends at this many times the end of the one before."""
_LOG = math.log(GROWTH)
_LANE = 32
_MOST = (1 << _LANE) - 1


def bucket_of(duration_ns: int) -> int:
    """The bucket that a duration falls into; a nanosecond or less is in bucket 0."""
    return max(0, math.ceil(math.log(duration_ns) / _LOG)) if duration_ns > 0 else 0


def middle_of(bucket: int) -> float:
    """The duration that is off by the same share from both ends of a bucket."""
    return 0.0 if bucket == 0 else 2 * math.exp(bucket * _LOG) / (GROWTH + 1)


def number_of(column: bytes | None) -> int:
    """The histogram that a column holds; 0 is empty."""
    if not column:
        return 0
    first = int.from_bytes(column[:2], "little")
    return int.from_bytes(column[2:], "little", signed=True) << (_LANE * first)


def column_of(histogram: int, before: int = 0) -> bytes | None:
    """The histogram as a column holds it, with so many empty buckets before it; None for an empty
    one."""
    if histogram == 0:
        return None
    first, kept = _shifted(histogram)
    size = kept.bit_length() // 8 + 1
    return (before + first).to_bytes(2, "little") + kept.to_bytes(size, "little", signed=True)


def percentiles_of(histogram: int, *shares: float) -> tuple[int | None, ...]:
    """The durations in ns below which these shares (0 to 1) lie; None of an empty histogram.

    Off by at most 2 % from the value of that rank.
    """
    first, kept = _shifted(histogram)
    reached = list(accumulate(_lanes(kept)))
    if not reached:
        return (None,) * len(shares)
    ranks = [share * (reached[-1] - 1) for share in shares]
    return tuple(_rounded_middle(first + bisect_right(reached, rank)) for rank in ranks)


@cache
def _rounded_middle(bucket: int) -> int:
    return round(middle_of(bucket))


def _shifted(histogram: int) -> tuple[int, int]:
    """The first bucket that has any, and the histogram from there on."""
    first = max(0, (histogram & -histogram).bit_length() - 1) // _LANE
    return first, histogram >> (_LANE * first)


def _lanes(histogram: int) -> tuple[int, ...]:
    """The counts of all buckets up to the last that has any."""
    if histogram <= 0:
        return ()
    size = -(-histogram.bit_length() // _LANE)
    return struct.unpack(f"<{size}I", histogram.to_bytes(size * 4, "little"))


def add_histograms(one: bytes | None, other: bytes | None) -> bytes | None:
    """Two columns together; SQL calls it ``histogram_add``."""
    if one is None or other is None:
        return one if other is None else other
    return column_of(number_of(one) + number_of(other))


class LatencyHistogram:
    """The SQL aggregate ``latency_histogram(duration_ns, sign)``."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}

    def step(self, duration_ns: int | None, sign: int) -> None:
        """One row; unknown durations are not counted."""
        if duration_ns is not None:
            bucket = bucket_of(duration_ns)
            self._counts[bucket] = self._counts.get(bucket, 0) + sign

    def finalize(self) -> bytes | None:
        """The column."""
        if not self._counts:
            return None
        lowest = min(self._counts)
        counts = self._counts.items()
        kept = sum(count << (_LANE * (bucket - lowest)) for bucket, count in counts)
        return column_of(kept, lowest)


class HistogramSum:
    """The SQL aggregate ``histogram_sum(column)``."""

    def __init__(self) -> None:
        self._columns: list[bytes] = []

    def step(self, column: bytes | None) -> None:
        """One row."""
        if column:
            self._columns.append(column)

    def finalize(self) -> bytes | None:
        """The column; added as the short numbers that columns hold, not as whole histograms."""
        if not self._columns:
            return None
        firsts = [column[0] | column[1] << 8 for column in self._columns]
        lowest = min(firsts)
        total = 0
        for first, column in zip(firsts, self._columns, strict=True):
            number = int.from_bytes(column[2:], "little", signed=True)
            total += number << (_LANE * (first - lowest))
        return column_of(total, lowest)
