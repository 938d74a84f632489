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


def column_of(histogram: int) -> bytes | None:
    """The histogram as a column holds it; None for an empty one."""
    if histogram == 0:
        return None
    first = ((histogram & -histogram).bit_length() - 1) // _LANE
    kept = histogram >> (_LANE * first)
    size = kept.bit_length() // 8 + 1
    return first.to_bytes(2, "little") + kept.to_bytes(size, "little", signed=True)


def percentiles_of(histogram: int, *shares: float) -> tuple[int | None, ...]:
    """The durations in ns below which these shares (0 to 1) lie; None of an empty histogram.

    Off by at most 2 % from the value of that rank.
    """
    reached = list(accumulate(_lanes(histogram)))
    if not reached:
        return (None,) * len(shares)
    ranks = [share * (reached[-1] - 1) for share in shares]
    return tuple(round(middle_of(bisect_right(reached, rank))) for rank in ranks)


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
        self._number = 0

    def step(self, duration_ns: int | None, sign: int) -> None:
        """One row; unknown durations are not counted."""
        if duration_ns is not None:
            self._number += sign << (_LANE * bucket_of(duration_ns))

    def finalize(self) -> bytes | None:
        """The column."""
        return column_of(self._number)


class HistogramSum:
    """The SQL aggregate ``histogram_sum(column)``."""

    def __init__(self) -> None:
        self._kept: dict[bytes, int] = {}

    def step(self, column: bytes | None) -> None:
        """One row; those that begin with the same bucket are added as short numbers."""
        if column:
            first = column[:2]
            number = int.from_bytes(column[2:], "little", signed=True)
            self._kept[first] = self._kept.get(first, 0) + number

    def finalize(self) -> bytes | None:
        """The column."""
        parts = self._kept.items()
        return column_of(
            sum(number << (_LANE * int.from_bytes(first, "little")) for first, number in parts)
        )
