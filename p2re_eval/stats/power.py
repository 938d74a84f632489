"""What so many cases can show, and how many it would take."""

from __future__ import annotations

import math
from dataclasses import dataclass

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


@dataclass(frozen=True)
class Design:
    """What is compared: so many cases with so many repeats.

    ``variance`` is that of the cases' differences while nothing changes (see
    :func:`chance_variance`). ``pass_rate`` is set for passes and failures, where a drop may be one
    of single cases that fail altogether; ``None`` means scores that all move a little.
    """

    cases: int
    variance: float
    repeats: int = 1
    pass_rate: float | None = None

    def variance_after(self, drop: float) -> float:
        """The variance with a true drop of this size: the larger of what a drop in all cases alike
        and one of broken cases makes of it."""
        rate = self.pass_rate
        if rate is None or rate <= 0:
            return self.variance
        broke, fell = drop / rate, rate - drop  # the share of broken cases, the rate they leave
        kept = 1 - broke if self.repeats == 1 else 1 - broke / 2
        broken = self.variance * kept + drop * (1 - drop)
        alike = self.variance / 2 + fell * (1 - fell) / self.repeats
        return max(broken, alike)


def detectable_drop(
    design: Design, *, margin: float = 0.0, confidence: float = CONFIDENCE, family: int = 1
) -> float | None:
    """The smallest true drop that a ``no_regression`` gate with this margin finds with
    :data:`POWER`; ``None`` when so few cases find none.

    ``family``: how many comparisons share the confidence (Holm's first step). Raises ValueError
    when there are no cases. Source: Miller 2024 (https://arxiv.org/abs/2411.00640), section 5, with
    the weight of a flip or two added for their discreteness.
    """
    if design.cases < 1:
        raise ValueError("no case can show nothing")
    sure, often = _sure(confidence, family), normal_quantile(POWER)
    step = 0.0
    if design.pass_rate is not None:  # the net of flips moves two at a time, that of repeats less
        step = (2 if design.repeats == 1 else 1 / design.repeats) / design.cases
    most = 1.0 if design.pass_rate is None else design.pass_rate

    def found(drop: float) -> bool:
        error = math.sqrt(max(design.variance_after(drop), 0.0) / design.cases)
        return drop >= max((sure + often) * error, margin + often * error) + step

    low, high = 0.0, most
    if not found(high) or _never_sure(design, confidence, family):
        return None
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high


def _never_sure(design: Design, confidence: float, family: int) -> bool:
    """Whether not even a flip of every case would convince the exact test."""
    if design.pass_rate is None:
        return False
    return 0.5**design.cases > (1 - confidence) / family


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
    design: Design, within: float, margin: float, *, confidence: float = CONFIDENCE
) -> int | None:
    """How many repeats of these cases would show the same; ``None`` when the cases differ too much
    from one another, or are too few, for any number.

    ``within`` is the part of the variance that comes from the repeats being so few.
    """
    few = cases_needed(0.0, margin, confidence=confidence)
    if few is None or few > design.cases:
        return None
    between = max(design.variance - within, 0.0)
    reach = _sure(confidence, 1) + normal_quantile(POWER)
    left = design.cases * margin**2 / reach**2 - between
    if left <= 0:
        return None
    needed = math.ceil(within * design.repeats / left)
    return max(needed, design.repeats) if needed <= MOST else None


def _sure(confidence: float, family: int) -> float:
    return normal_quantile(two_sided(1 - (1 - confidence) / family))
