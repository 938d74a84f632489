"""Means and percentiles, and the interval that a mean stands in."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from p2re_eval.stats.distributions import t_quantile, two_sided

CONFIDENCE = 0.95
"""The confidence of an interval that nobody asked to be otherwise."""


@dataclass(frozen=True)
class Mean:
    """A mean of ``n`` values with its standard error; ``low`` and ``high`` are ``None`` where one
    value (or one cluster) says nothing about the spread. ``df`` are the degrees of freedom."""

    value: float
    n: int
    error: float | None
    low: float | None
    high: float | None
    df: int


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, summed without rounding on the way. Raises ValueError when empty."""
    if not values:
        raise ValueError("the mean of nothing is not defined")
    return math.fsum(values) / len(values)


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample (n - 1 below). Raises ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError("a standard deviation needs two values")
    centre = mean(values)
    return math.sqrt(math.fsum((v - centre) ** 2 for v in values) / (len(values) - 1))


def mean_interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
) -> Mean:
    """The mean with its t interval; with ``clusters`` (one for each value) robust to values of one
    cluster that move together.

    Raises ValueError when empty. Source: Student, Biometrika 6 (1908); for clusters Liang and
    Zeger, Biometrika 73 (1986) with the factor G / (G - 1) and G - 1 degrees of freedom, as Miller,
    "Adding Error Bars to Evals" (2024, https://arxiv.org/abs/2411.00640) recommends.
    """
    centre, n = mean(values), len(values)
    if clusters is None:
        groups, squares = n, math.fsum((v - centre) ** 2 for v in values)
    else:
        groups, squares = _cluster_squares(values, clusters, centre)
    if groups < 2:
        return Mean(centre, n, None, None, None, 0)
    error = math.sqrt(squares * groups / (groups - 1)) / n
    half = t_quantile(two_sided(confidence), groups - 1) * error
    return Mean(centre, n, error, centre - half, centre + half, groups - 1)


def _cluster_squares(
    values: Sequence[float], clusters: Sequence[Hashable], centre: float
) -> tuple[int, float]:
    sums: dict[Hashable, float] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums[cluster] = sums.get(cluster, 0.0) + value - centre
    return len(sums), math.fsum(total * total for total in sums.values())


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
