"""Statistics of experiments: pure functions, each with its source."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
"""The confidence of an interval that nobody asked to be otherwise."""


@dataclass(frozen=True)
class Proportion:
    """A share of ``n`` cases, with the interval it stands in; all of ``rate low high`` in 0..1."""

    rate: float
    n: int
    low: float
    high: float


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed without rounding on the way. Raises ValueError when empty."""
    if not values:
        raise ValueError("the mean of nothing is not defined")
    return math.fsum(values) / len(values)


def percentile(values: Sequence[float], q: float) -> float:
    """The value below which the share ``q`` (0 to 1) lies, interpolated linearly.

    Raises ValueError when empty or when ``q`` is outside 0..1. Source: Hyndman and Fan, "Sample
    Quantiles in Statistical Packages", The American Statistician 50 (1996), definition 7, which is
    also numpy's default.
    """
    if not values:
        raise ValueError("a percentile of nothing is not defined")
    if not 0 <= q <= 1:
        raise ValueError(f"q must be between 0 and 1, found {q}")
    ordered = sorted(values)
    position = (len(ordered) - 1) * q
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def wilson_interval(
    successes: float, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The score interval of a proportion, without continuity correction.

    ``successes`` may be fractional (a case that passed in one of two repeats adds 0.5). Raises
    ValueError when ``n`` is 0 or the successes are not within 0..n. Source: Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", JASA 22 (1927); method 3 of
    Newcombe, Statistics in Medicine 17 (1998).
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"successes must be within 0..n and n at least 1: {successes} of {n}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, found {confidence}")
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == n else min(1.0, centre + half)
    return low, high


def pass_rate(
    cases: Iterable[tuple[int, int]], confidence: float = CONFIDENCE
) -> Proportion | None:
    """The pass rate of cases given as (passed, scored) repeats; ``None`` when none is scored.

    Averages within each case first, then over the cases: the case is the unit, so repeats narrow
    nothing by themselves.
    """
    rates = [passed / scored for passed, scored in cases if scored]
    if not rates:
        return None
    total = min(math.fsum(rates), float(len(rates)))
    low, high = wilson_interval(total, len(rates), confidence)
    return Proportion(rate=total / len(rates), n=len(rates), low=low, high=high)
