"""What so many cases can show, and how many it would take."""

from __future__ import annotations

import math

from p2re_eval.stats.distributions import normal_quantile, two_sided
from p2re_eval.stats.means import CONFIDENCE

POWER = 0.8
"""How often a drop of the claimed size is found."""
MOST = 10_000_000
"""Cases or repeats beyond which nobody goes."""


def chance_variance(pass_rate: float, repeats: int = 1) -> float:
    """The variance of a case's difference between two experiments in which nothing changed, when
    each case passes with this chance. Cases of which some always pass and some never vary less:
    what this says of a suite errs on the safe side."""
    return 2 * pass_rate * (1 - pass_rate) / repeats


def detectable_drop(
    variance: float,
    n: int,
    *,
    margin: float = 0.0,
    confidence: float = CONFIDENCE,
    family: int = 1,
    whole_cases: bool = True,
) -> float | None:
    """The smallest true drop that a ``no_regression`` gate with this margin finds with
    :data:`POWER`; ``None`` when so few cases find none.

    ``variance`` is that of the cases' differences while nothing changes. A drop of
    ``whole_cases``, some of which now fail, adds its own. ``family``: how many comparisons share
    the confidence (Holm's first step). Raises ValueError when ``n`` is 0. Source: Miller 2024
    (https://arxiv.org/abs/2411.00640), section 5, with 1 / n for the discreteness of flips.
    """
    if n < 1:
        raise ValueError("no case can show nothing")
    sure, often = _sure(confidence, family), normal_quantile(POWER)

    def found(drop: float) -> bool:
        spread = variance + (drop * (1 - drop) if whole_cases else 0.0)
        error = math.sqrt(spread / n)
        steps = 1 / n if whole_cases else 0.0
        return drop >= max((sure + often) * error, margin + often * error) + steps

    low, high = 0.0, 1.0
    if not found(high):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def cases_needed(
    variance: float, margin: float, *, confidence: float = CONFIDENCE, family: int = 1
) -> int | None:
    """How many cases show, with :data:`POWER`, that nothing fell by more than the margin when
    nothing did; ``None`` when no number does."""
    if margin <= 0:
        return None
    sure = normal_quantile(two_sided(confidence))
    by_spread = (_sure(confidence, family) + normal_quantile(POWER)) ** 2 * variance / margin**2
    by_no_flips = sure * sure * (1 - margin) / margin
    needed = math.ceil(max(by_spread, by_no_flips))
    return needed if needed <= MOST else None


def repeats_needed(
    variance: float,
    within: float,
    repeats: int,
    n: int,
    margin: float,
    *,
    confidence: float = CONFIDENCE,
) -> int | None:
    """How many repeats of these ``n`` cases would show the same; ``None`` when the cases differ
    too much from one another, or are too few, for any number.

    ``within`` is the part of ``variance`` that comes from so many ``repeats``.
    """
    if margin <= 0 or (cases_needed(0.0, margin, confidence=confidence) or MOST) > n:
        return None
    between = max(variance - within, 0.0)
    reach = _sure(confidence, 1) + normal_quantile(POWER)
    left = n * margin**2 / reach**2 - between
    if left <= 0:
        return None
    needed = math.ceil(within * repeats / left)
    return max(needed, repeats) if needed <= MOST else None


def _sure(confidence: float, family: int) -> float:
    return normal_quantile(two_sided(1 - (1 - confidence) / family))
