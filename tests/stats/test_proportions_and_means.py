"""Statistics against published values and, where installed, numpy and statsmodels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2re_eval import stats

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "data" / "stats_published_values.json"


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_wilson_interval_equals_newcombe(successes: int, n: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3; the last by symmetry with the third."""
    assert stats.wilson_interval(successes, n) == pytest.approx((low, high), abs=6e-5)


def test_wilson_interval_equals_the_shared_published_values() -> None:
    """Every published row of the shared file, to its four digits."""
    if not PUBLISHED.exists():
        pytest.skip("the shared test data is not beside the repository")
    for row in json.loads(PUBLISHED.read_text())["wilson_newcombe1998"]:
        found = stats.wilson_interval(row["x"], row["n"])
        assert found == pytest.approx(row["published"], abs=6e-5)


def test_wilson_interval_equals_statsmodels() -> None:
    """All n up to 25 and two confidences."""
    proportion = pytest.importorskip("statsmodels.stats.proportion")
    for n in range(1, 26):
        for successes in range(n + 1):
            for confidence in (0.9, 0.95):
                expected = proportion.proportion_confint(
                    successes, n, alpha=1 - confidence, method="wilson"
                )
                found = stats.wilson_interval(successes, n, confidence)
                assert found == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("successes", "n", "confidence"), [(1, 0, 0.95), (3, 2, 0.95), (-1, 2, 0.95), (1, 2, 1.0)]
)
def test_wilson_interval_refuses_what_is_no_proportion(
    successes: int, n: int, confidence: float
) -> None:
    with pytest.raises(ValueError, match="must be"):
        stats.wilson_interval(successes, n, confidence)


@pytest.mark.parametrize(
    ("q", "expected"), [(0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.95, 3.85), (1, 4.0)]
)
def test_percentile_interpolates_linearly(q: float, expected: float) -> None:
    """numpy.percentile([4, 1, 3, 2], 100 * q)."""
    assert stats.percentile([4, 1, 3, 2], q) == pytest.approx(expected)


def test_percentile_of_one_value_is_that_value() -> None:
    assert stats.percentile([7.0], 0.95) == 7.0


@pytest.mark.parametrize(("values", "q"), [([], 0.5), ([1.0], 1.1), ([1.0], -0.1)])
def test_percentile_refuses_nothing_and_impossible_shares(values: list[float], q: float) -> None:
    with pytest.raises(ValueError, match=r"percentile|between 0 and 1"):
        stats.percentile(values, q)


def test_percentile_equals_numpy() -> None:
    numpy = pytest.importorskip("numpy")
    values = [((i * 7919) % 1009) / 7 for i in range(500)]
    for q in (0, 0.01, 0.5, 0.95, 0.999, 1):
        assert stats.percentile(values, q) == pytest.approx(
            float(numpy.percentile(values, 100 * q))
        )


def test_mean_sums_without_rounding() -> None:
    """0.1 ten times is exactly 0.1 on average; a plain sum gives 0.09999999999999999."""
    assert stats.mean([0.1] * 10) == 0.1


def test_pass_rate_averages_within_the_case_first() -> None:
    """A case with 1 of 4 and a case with 1 of 1 make 0.625, not 2 of 5."""
    rate = stats.pass_rate([(1, 4), (1, 1)])
    assert rate is not None
    assert (rate.rate, rate.n) == (0.625, 2)


def test_pass_rate_leaves_out_cases_without_a_score() -> None:
    rate = stats.pass_rate([(2, 2), (0, 0)])
    assert rate is not None
    assert (rate.rate, rate.n) == (1.0, 1)


def test_pass_rate_of_no_scored_case_is_unknown() -> None:
    assert stats.pass_rate([(0, 0), (0, 0)]) is None
