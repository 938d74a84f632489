"""Buckets of 4 %: percentiles within 2 %, and sums that do not depend on the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2re_eval.store.histogram import (
    HistogramSum,
    LatencyHistogram,
    add_histograms,
    bucket_of,
    column_of,
    middle_of,
    number_of,
    percentiles_of,
)


@pytest.mark.parametrize("duration_ns", [7, 1_000, 250_000_000, 3_600_000_000_000])
def test_a_bucket_tells_a_duration_within_two_percent(duration_ns: int) -> None:
    assert middle_of(bucket_of(duration_ns)) == pytest.approx(duration_ns, rel=0.02)


def column(sign: int, *durations: int | None) -> bytes | None:
    histogram = LatencyHistogram()
    for duration in durations:
        histogram.step(duration, sign)
    return histogram.finalize()


def test_percentiles_are_within_two_percent_of_the_exact_ones() -> None:
    """Against the sorted values of a skewed sample."""
    rng = random.Random(7)
    values = sorted(int(rng.lognormvariate(20, 1)) for _ in range(5000))
    histogram = number_of(column(1, *values))
    shares = (0.0, 0.5, 0.9, 0.95, 0.99, 1.0)
    for share, found in zip(shares, percentiles_of(histogram, *shares), strict=True):
        exact = values[int(share * (len(values) - 1))]
        assert found == pytest.approx(exact, rel=0.021)


def test_nothing_has_no_percentile_and_no_time_is_zero() -> None:
    assert percentiles_of(0, 0.5) == (None,)
    assert percentiles_of(number_of(column(1, 0, 0, 1)), 0.5, 0.99) == (0, 0)


def test_counts_add_up_in_any_order_and_vanish_when_taken_out() -> None:
    one, other = column(1, 5, 10, None), column(1, 10, 400)
    both = add_histograms(one, other)
    assert both == add_histograms(other, one) == column(1, 5, 10, 10, 400)
    assert add_histograms(both, column(-1, 10, 400)) == one
    assert add_histograms(one, column(-1, 5, 10)) is None
    assert add_histograms(None, one) == add_histograms(one, None) == one
    total = HistogramSum()
    for part in (one, None, column(-1, 10), other):
        total.step(part)
    assert total.finalize() == column(1, 5, 10, 400)


@given(st.lists(st.tuples(st.integers(0, 10**13), st.sampled_from([1, 1, 1, -1]))))
def test_a_column_reads_back_whatever_was_added_and_taken(steps: list[tuple[int, int]]) -> None:
    """Also while more of a bucket was taken out than was in it."""
    number = sum(sign << (32 * bucket_of(duration)) for duration, sign in steps)
    assert number_of(column_of(number)) == number
