"""Resampling, always from a seed: what a mean could as well have been."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from random import Random

from p2re_eval.stats.distributions import normal_quantile, normal_tail, two_sided
from p2re_eval.stats.means import CONFIDENCE, mean, percentile

RESAMPLES = 2000
_FEW = 64
"""Different values up to which a resample is drawn as a count of each, not value by value."""


def bootstrap_means(
    values: Sequence[float], *, seed: int, resamples: int = RESAMPLES
) -> list[float]:
    """Sorted means of so many resamples. Raises ValueError when empty.

    Passes and failures have few different values: then a resample is a multinomial draw of their
    counts, which costs hardly more for 100,000 cases than for 100.
    """
    if not values:
        raise ValueError("nothing to resample")
    random, n = Random(seed), len(values)  # noqa: S311 - statistics, not secrets
    counts = sorted(Counter(values).items())
    if len(counts) <= min(_FEW, n // 4):
        return sorted(_counted_mean(random, counts, n) for _ in range(resamples))
    return sorted(math.fsum(random.choices(values, k=n)) / n for _ in range(resamples))


def _counted_mean(random: Random, counts: Sequence[tuple[float, int]], n: int) -> float:
    left, of, total = n, n, 0.0
    for value, count in counts[:-1]:
        drawn = binomial(random, left, count / of) if left else 0
        total += value * drawn
        left, of = left - drawn, of - count
    return (total + counts[-1][0] * left) / n


def binomial(random: Random, n: int, p: float) -> int:
    """A draw from the binomial distribution, exact to the 53 bits of ``p``.

    Each of ``n`` uniform numbers is compared with ``p`` one binary digit after the other; those
    that are still equal toss the next coin, all of them in one number of random bits.
    """
    below, undecided = 0, n
    while undecided and p > 0:
        p *= 2
        ones = random.getrandbits(undecided).bit_count()
        if p >= 1:
            p -= 1
            below += undecided - ones
            undecided = ones
        else:
            undecided -= ones
    return below


def percentile_interval(
    means: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The middle of the resampled means. Source: Efron and Tibshirani, "An Introduction to the
    Bootstrap" (1993), chapter 13."""
    upper = two_sided(confidence)
    return percentile(means, 1 - upper), percentile(means, upper)


def bca_interval(
    values: Sequence[float], means: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The resampled means' middle, corrected for bias and skew; the plain percentiles where there
    is nothing to correct by. Source: Efron, "Better Bootstrap Confidence Intervals", JASA 82
    (1987)."""
    centre = mean(values)
    below = sum(m < centre for m in means) + sum(m == centre for m in means) / 2
    share = below / len(means)
    squares = math.fsum((v - centre) ** 2 for v in values)
    if not 0 < share < 1 or squares == 0:
        return percentile_interval(means, confidence)
    bias = normal_quantile(share)
    skew = math.fsum((v - centre) ** 3 for v in values) / (6 * squares**1.5)
    z = normal_quantile(two_sided(confidence))
    low, high = (_bca_share(bias, skew, end) for end in (-z, z))
    return percentile(means, low), percentile(means, high)


def _bca_share(bias: float, skew: float, z: float) -> float:
    shifted = bias + z
    return normal_tail(-(bias + shifted / (1 - skew * shifted)))
