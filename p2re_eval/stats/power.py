"""What so many cases can show: the smallest drop that is found four times of five."""

from __future__ import annotations

import math

from p2re_eval.stats.distributions import normal_quantile, two_sided
from p2re_eval.stats.means import CONFIDENCE

POWER = 0.8
"""How often a drop of the claimed size is found."""


def independent_sd(before: float, after: float, repeats: int = 1) -> float:
    """The standard deviation of a case's difference of pass rates, when every case passes with the
    same chance, ``before`` and ``after``, independently. Cases that differ spread less: what this
    says of a suite errs on the safe side."""
    return math.sqrt((before * (1 - before) + after * (1 - after)) / repeats)


def detectable_drop(
    sd: float, n: int, *, margin: float = 0.0, confidence: float = CONFIDENCE, family: int = 1
) -> float:
    """The smallest true drop that a ``no_regression`` gate with this margin finds with
    :data:`POWER`, where cases' differences have the standard deviation ``sd``.

    ``family``: how many comparisons share the confidence (Holm's first step). Raises ValueError
    when ``n`` is 0. Source: Miller 2024 (https://arxiv.org/abs/2411.00640), section 5, with the
    discreteness of flips (1 / n) added.
    """
    if n < 1:
        raise ValueError("no case can show nothing")
    z = normal_quantile(two_sided(1 - (1 - confidence) / family))
    often = normal_quantile(POWER)
    error = sd / math.sqrt(n)
    return max(z * error + often * error, margin + often * error) + 1 / n


def cases_needed(sd: float, drop: float, *, confidence: float = CONFIDENCE, family: int = 1) -> int:
    """How many cases show a true drop of this size with :data:`POWER`.

    Raises ValueError when the drop is not above 0.
    """
    if drop <= 0:
        raise ValueError("a drop must be above 0")
    z = normal_quantile(two_sided(1 - (1 - confidence) / family)) + normal_quantile(POWER)
    root = (z * sd + math.sqrt(z * z * sd * sd + 4 * drop)) / (2 * drop)
    return math.ceil(root * root)
