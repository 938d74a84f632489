"""Buckets of 4 %: percentiles within 2 %, and sums that do not depend on the order."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from p2re_eval.store.histogram import (
    LatencyHistogram,
    add_counts,
    bucket_of,
    counts_of,
    middle_of,
    percentile_of,
)


@pytest.mark.parametrize("duration_ns", [7, 1_000, 250_000_000, 3_600_000_000_000])
def test_a_bucket_tells_a_duration_within_two_percent(duration_ns: int) -> None:
    assert middle_of(bucket_of(duration_ns)) == pytest.approx(duration_ns, rel=0.02)


def test_percentiles_are_within_two_percent_of_the_exact_ones() -> None:
    """Against the sorted values of a skewed sample."""
    rng = random.Random(7)
    values = sorted(int(rng.lognormvariate(20, 1)) for _ in range(5000))
    counts = Counter(bucket_of(value) for value in values)
    for q in (0.0, 0.5, 0.9, 0.95, 0.99, 1.0):
        exact = values[int(q * (len(values) - 1))]
        assert percentile_of(counts, q) == pytest.approx(exact, rel=0.021)


def test_nothing_has_no_percentile_and_no_time_is_zero() -> None:
    assert percentile_of({}, 0.5) is None
    assert percentile_of({0: 3}, 0.5) == 0


def test_counts_add_up_in_any_order_and_vanish_when_taken_out() -> None:
    def column(sign: int, *durations: int | None) -> str | None:
        histogram = LatencyHistogram()
        for duration in durations:
            histogram.step(duration, sign)
        return histogram.finalize()

    one, other = column(1, 5, 10, None), column(1, 10, 400)
    both = add_counts(one, other)
    assert both == add_counts(other, one) == column(1, 5, 10, 10, 400)
    assert add_counts(both, column(-1, 10, 400)) == one
    assert add_counts(one, column(-1, 5, 10)) is None
    assert add_counts(None, one) == add_counts(one, None) == one
    assert sum(counts_of(both).values()) == 4
