"""The interval of a mean score, honest where nearly all scores are the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import replace

from p2re_eval.stats.means import CONFIDENCE, Mean, mean_interval
from p2re_eval.stats.proportions import wilson_interval

_FEW = 5
"""Scores unlike the others below which the spread is not known."""


def score_interval(
    values: Sequence[float],
    clusters: Sequence[Hashable] | None = None,
    confidence: float = CONFIDENCE,
) -> Mean:
    """The mean with its t interval (see :func:`mean_interval`), within 0 to 1 where all scores are.

    Scores from 0 to 1 of which hardly any differ get Wilson's interval, as if each were a pass or a
    failure, which spreads most: ten times 1.0 do not prove that the next one is 1.0. Raises
    ValueError when empty.
    """
    found = mean_interval(values, clusters, confidence)
    if found.low is None or found.high is None or min(values) < 0 or max(values) > 1:
        return found
    unlike = len(values) - max(Counter(values).values())
    if unlike >= min(_FEW, len(values) / 2):
        return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))
    groups = found.df + 1
    low, high = wilson_interval(min(found.value, 1.0) * groups, groups, confidence)
    return replace(found, low=min(low, found.value), high=max(high, found.value))
