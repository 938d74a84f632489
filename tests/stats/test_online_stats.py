"""Statistics that may be looked at while they grow, against scipy and by simulation."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import pytest
from scipy import stats as scipy_stats

from p2re_eval.stats.online import FEWEST, always_valid, needed_units, sample, sample_ratio_p


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([50, 50], [1, 1]),
        ([480, 520], [0.5, 0.5]),
        ([4800, 5400], [1, 1]),
        ([100, 210, 90], [1, 2, 1]),
        ([10, 20, 30, 40], [1, 1, 1, 1]),
        ([100_000, 101_000], [1, 1]),
    ],
)
def test_the_sample_ratio_is_scipys_chi_square(counts: list[int], weights: list[float]) -> None:
    """Goodness of fit, two variants and more."""
    expected = [sum(counts) * weight / sum(weights) for weight in weights]
    wanted = scipy_stats.chisquare(counts, expected).pvalue
    assert sample_ratio_p(counts, weights) == pytest.approx(wanted, rel=1e-9, abs=1e-300)


def test_no_units_are_no_mismatch() -> None:
    """Nothing was assigned yet."""
    assert sample_ratio_p([0, 0], [1, 1]) == 1.0


@pytest.mark.parametrize(("counts", "weights"), [([1], [1]), ([1, 2], [1]), ([1, 2], [1, 0])])
def test_a_ratio_needs_two_variants_with_weights(counts: list[int], weights: list[float]) -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="two or more counts"):
        sample_ratio_p(counts, weights)


def test_a_sample_has_its_mean_and_variance() -> None:
    """One pass, whatever the numbers; shares are told from amounts."""
    values = [1e9 + number for number in (4.0, 7.0, 13.0, 16.0)]
    found = sample(values)
    assert (found.n, found.mean, found.variance) == (4, 1e9 + 10, 30)
    assert found.binary is False
    assert sample([1, 0, 1]).binary is True
    assert sample([]).n == 0


def test_the_interval_and_p_agree() -> None:
    """The interval excludes 0 exactly when p is below the error rate."""
    control = sample([1] * 100 + [0] * 900)
    for passed in range(60, 200, 5):
        found = always_valid(control, sample([1] * passed + [0] * (1000 - passed)), scale=0.05)
        assert found is not None
        assert (found.low > 0 or found.high < 0) == (found.p < 0.05)
        assert found.low < found.difference < found.high


def test_a_known_interval() -> None:
    """By hand: noise 2 * 0.25 / 1000 (a half, with one more of each), scale 0.1, 95 %."""
    half = sample([1] * 500 + [0] * 500)
    found = always_valid(half, half, scale=0.1)
    noise = 0.5 / 1000
    wide = math.sqrt(2 * noise * (noise + 0.01) / 0.01 * (math.log(20) + math.log(21) / 2))
    assert found is not None
    assert (found.difference, found.p) == (0, 1)
    assert found.high == pytest.approx(wide)
    assert wide == pytest.approx(0.068876, abs=1e-6)


def test_too_few_units_are_not_compared() -> None:
    """A variance that was estimated from a handful decides nothing."""
    few, enough = sample([1] * (FEWEST - 1)), sample([0] * FEWEST)
    assert always_valid(few, enough, scale=0.05) is None
    assert always_valid(enough, enough, scale=0.05) is not None


def test_amounts_that_do_not_vary() -> None:
    """Nothing to estimate: equal means say nothing, different ones everything."""
    same, more = sample([2.5] * 30), sample([3.5] * 30)
    assert always_valid(same, same, scale=0.05) is None
    found = always_valid(same, more, scale=0.05)
    assert found is not None
    assert (found.low, found.high, found.p) == (1, 1, 0)


def test_a_scale_must_be_above_zero() -> None:
    """There is no effect to look for."""
    with pytest.raises(ValueError, match="scale must be above 0"):
        always_valid(sample([1]), sample([1]), scale=0)


def _peeks(
    rates: tuple[float, float], daily: int, days: int, generator: random.Random
) -> Iterator[bool]:
    """Whether each day's look would decide."""
    seen: tuple[list[int], list[int]] = ([], [])
    for _ in range(days):
        for values, rate in zip(seen, rates, strict=True):
            values.extend(int(generator.random() < rate) for _ in range(daily))
        found = always_valid(sample(seen[0]), sample(seen[1]), scale=0.05)
        yield found is not None and found.p < 0.05


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_daily_peeking_at_nothing_rarely_finds_something(rate: float) -> None:
    """A/A, looked at each day of ten: at or below the error rate (tests/benchmarks has 1,000)."""
    generator = random.Random(7)
    wrong = sum(any(_peeks((rate, rate), 40, 10, generator)) for _ in range(150))
    assert wrong / 150 <= 0.05


def test_the_needed_units_show_the_effect() -> None:
    """With as many as were said, about 80 % of experiments find it."""
    needed = needed_units(0.5 * 0.5, 0.15, scale=0.15)
    generator = random.Random(3)
    found = sum(next(_peeks_at(needed, (0.425, 0.575), generator)) for _ in range(200))
    assert 0.72 <= found / 200 <= 0.88


def _peeks_at(n: int, rates: tuple[float, float], generator: random.Random) -> Iterator[bool]:
    samples = [sample(int(generator.random() < rate) for _ in range(n)) for rate in rates]
    found = always_valid(samples[0], samples[1], scale=0.15)
    yield found is not None and found.low > 0


def test_smaller_effects_need_more_units() -> None:
    """Half the effect, more than four times the units."""
    large, small = (needed_units(0.25, effect, scale=0.05) for effect in (0.1, 0.05))
    assert small > 3 * large
    with pytest.raises(ValueError, match="effect of 0"):
        needed_units(0.25, 0, scale=0.05)
