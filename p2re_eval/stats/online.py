"""Statistics of A/B experiments that are looked at while they run: pure functions with sources."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from p2re_eval.stats.distributions import chi_square_tail, normal_quantile
from p2re_eval.stats.means import CONFIDENCE
from p2re_eval.stats.power import POWER

SRM_ALARM = 0.001
"""A ratio that is less likely than this is no chance. It is small because the ratio is looked at
again and again: Fabijan et al., "Diagnosing Sample Ratio Mismatch", KDD 2019, use 0.0005."""
FEWEST = 20
"""Units a variant: below that, a variance that was estimated is no ground to decide on."""


@dataclass(frozen=True)
class Sample:
    """The outcomes of a variant's units, one number each: count, mean and variance.

    ``binary`` when every outcome is 0 or 1.
    """

    n: int
    mean: float
    variance: float
    binary: bool

    @property
    def steady_variance(self) -> float:
        """The variance to compare with. Of a share it is taken as if one success and one failure
        more had been seen: none in a hundred is not a certainty."""
        if not self.binary:
            return self.variance
        rate = (self.mean * self.n + 1) / (self.n + 2)
        return rate * (1 - rate)


@dataclass(frozen=True)
class Sequential:
    """The difference of two means, with an interval and p that hold however often one looks."""

    difference: float
    low: float
    high: float
    p: float


def sample(outcomes: Iterable[float]) -> Sample:
    """The numbers of a variant's outcomes."""
    values = list(outcomes)
    n = len(values)
    mean = math.fsum(values) / n if n else 0.0
    squares = math.fsum((value - mean) ** 2 for value in values)
    binary = all(value in (0, 1) for value in values)
    return Sample(n, mean, squares / (n - 1) if n > 1 else 0.0, binary)


def always_valid(
    control: Sample, variant: Sample, *, scale: float, confidence: float = CONFIDENCE
) -> Sequential | None:
    """How far the variant's mean is from the control's; ``None`` below :data:`FEWEST` units.

    The mixture sequential probability ratio test with effects mixed over N(0, ``scale``^2): the
    interval excludes 0 in at most 1 - ``confidence`` of experiments without an effect, looked at
    after every unit. ``scale`` is the size of effects that are expected; a wrong one costs time,
    not truth. Raises ValueError when it is not above 0.

    Source: Robbins, "Statistical Methods Related to the Law of the Iterated Logarithm", Annals of
    Mathematical Statistics 41 (1970); Johari, Pekelis, Walsh, "Always Valid Inference", Operations
    Research 70 (2022), with the normal approximation of a difference of means.
    """
    if scale <= 0:
        raise ValueError(f"scale must be above 0, found {scale}")
    if min(control.n, variant.n) < FEWEST:
        return None
    difference = variant.mean - control.mean
    noise = control.steady_variance / control.n + variant.steady_variance / variant.n
    if noise == 0:
        return None if difference == 0 else Sequential(difference, difference, difference, 0.0)
    half = _half_width(noise, scale, confidence)
    return Sequential(
        difference, difference - half, difference + half, _p(difference, noise, scale)
    )


def _half_width(noise: float, scale: float, confidence: float) -> float:
    mixed = noise + scale**2
    return math.sqrt(
        2
        * noise
        * mixed
        / scale**2
        * (math.log(1 / (1 - confidence)) + math.log(mixed / noise) / 2)
    )


def _p(difference: float, noise: float, scale: float) -> float:
    """1 over the mixture likelihood ratio, which is never below its running minimum."""
    mixed = noise + scale**2
    log_ratio = difference**2 * scale**2 / (2 * noise * mixed) - math.log(mixed / noise) / 2
    return min(1.0, math.exp(-log_ratio)) if log_ratio > -700 else 1.0


def needed_units(
    variance: float, effect: float, *, scale: float, confidence: float = CONFIDENCE
) -> int:
    """Units a variant needs until :func:`always_valid` shows an effect of this size in
    :data:`POWER` of experiments, with two variants of this variance.

    The smallest n at which the effect is beyond the interval's half width by the estimate's own
    spread. Raises ValueError for an effect of 0.
    """
    if effect == 0:
        raise ValueError("no number of units shows an effect of 0")
    spread = normal_quantile(POWER)

    def enough(n: int) -> bool:
        noise = 2 * variance / n
        return abs(effect) >= _half_width(noise, scale, confidence) + spread * math.sqrt(noise)

    most = FEWEST
    while not enough(most):
        most *= 2
    least = max(FEWEST, most // 2)
    while least < most:
        middle = (least + most) // 2
        least, most = (least, middle) if enough(middle) else (middle + 1, most)
    return most


def sample_ratio_p(counts: Sequence[int], weights: Sequence[float]) -> float:
    """How likely units fall into the variants so unevenly by chance: chi-square, goodness of fit.

    Raises ValueError when the lists differ in length or have fewer than two entries, or a weight
    is not above 0. Source: Pearson 1900.
    """
    if len(counts) != len(weights) or len(counts) < 2 or min(weights) <= 0:
        raise ValueError("two or more counts are needed, and a weight above 0 for each")
    total, whole = sum(counts), math.fsum(weights)
    if total == 0:
        return 1.0
    expected = [total * weight / whole for weight in weights]
    statistic = math.fsum((n - e) ** 2 / e for n, e in zip(counts, expected, strict=True))
    return chi_square_tail(statistic, len(counts) - 1)
