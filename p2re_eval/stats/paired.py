"""Two measurements of the same cases: how far apart they are and how sure that is.

Each difference carries two p values. ``p_value`` is the usual two-sided one. ``p_direction`` is
what gates decide on: it is small only when the interval excludes 0 and the exact test of the flips
(or, with repeats, the number of cases that moved) agrees; where nothing changed, it cries wolf in
at most 1 - confidence of the experiments, and mostly in half of that.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from p2re_eval.stats.bootstrap import RESAMPLES, bca_interval, bootstrap_means
from p2re_eval.stats.distributions import normal_tail, t_two_sided
from p2re_eval.stats.means import CONFIDENCE, mean_interval
from p2re_eval.stats.proportions import flip_interval, mcnemar, mcnemar_one_sided

SMALL = 100
"""Cases up to which a t interval is checked against the bootstrap."""
FEW_MOVED = 5
"""Moved cases below which nothing is known of the spread: 5 flips one way are the first that an
exact test believes at 95 %."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of ``n`` cases; bounds and p values are ``None`` where ``n`` is too
    small. ``sd`` is the standard deviation of the cases' differences."""

    value: float
    n: int
    low: float | None
    high: float | None
    p_value: float | None
    p_direction: float | None
    sd: float | None
    method: str


def flip_difference(broke: int, fixed: int, n: int, confidence: float = CONFIDENCE) -> Difference:
    """The change of the pass rate of ``n`` cases that ran once on each side.

    Raises ValueError when the flips are not within 0..n.
    """
    low, high = flip_interval(broke, fixed, n, confidence)
    flips, net = broke + fixed, fixed - broke
    score = 2 * normal_tail(abs(net) / math.sqrt(flips)) if flips else 1.0
    exact = mcnemar_one_sided(max(broke, fixed), min(broke, fixed)) if flips else 1.0
    return Difference(
        value=net / n,
        n=n,
        low=low,
        high=high,
        p_value=mcnemar(broke, fixed) if flips else 1.0,
        p_direction=max(score, exact),
        sd=math.sqrt(max(flips / n - (net / n) ** 2, 0.0)),
        method="exact McNemar, Tango interval",
    )


def mean_difference(
    differences: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
    scale: float = 1.0,
) -> Difference:
    """The mean of the cases' differences (of scores, or of pass rates over repeats).

    A t interval; of up to 100 cases, the wider ends of that and of a BCa bootstrap (with
    ``resamples`` 0 of the t interval alone); cluster-robust
    where cases share a cluster. Where fewer than five cases moved, the spread is unknown, and the
    interval is as wide as if each case that moves did so by the whole ``scale``.

    Raises ValueError when empty. Source: Miller 2024 (see :func:`mean_interval`); Tango 1998 (see
    :func:`flip_interval`) for few that moved.
    """
    found = mean_interval(differences, clusters, confidence)
    moved = sum(d != 0 for d in differences)
    if found.error is None or found.low is None or found.high is None:
        return Difference(found.value, found.n, None, None, None, None, None, "one case")
    p_value = _t_p_value(found.value, found.error, found.df)
    method = "paired t" if clusters is None else "cluster-robust t"
    low, high = found.low, found.high
    if moved < FEW_MOVED:
        down = sum(d < 0 for d in differences)
        ends = flip_interval(down, moved - down, max(found.df + 1, moved), confidence)
        low, high = min(low, ends[0] * scale), max(high, ends[1] * scale)
        method += " and Tango interval"
    elif clusters is None and found.n <= SMALL and resamples:
        means = bootstrap_means(differences, seed=seed, resamples=resamples)
        ends = bca_interval(differences, means, confidence)
        low, high = min(low, ends[0]), max(high, ends[1])
        method += " and BCa bootstrap"
    return Difference(
        value=found.value,
        n=found.n,
        low=low,
        high=high,
        p_value=p_value,
        p_direction=max(p_value, 0.5**moved),
        sd=found.error * math.sqrt(found.n),
        method=method,
    )


def _t_p_value(value: float, error: float, df: int) -> float:
    if error == 0:
        return 1.0 if value == 0 else 0.0
    return t_two_sided(value / error, df)
