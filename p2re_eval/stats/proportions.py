"""Shares of passed cases: intervals, flips, single cases, and the chance of k tries."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from p2re_eval.stats.distributions import coin_tail, normal_quantile, two_sided
from p2re_eval.stats.means import CONFIDENCE


@dataclass(frozen=True)
class Proportion:
    """A share of ``n`` cases, with the interval it stands in; all of ``rate low high`` in 0..1."""

    rate: float
    n: int
    low: float
    high: float


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
    z = normal_quantile(two_sided(confidence))
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


def mcnemar(broke: int, fixed: int) -> float:
    """Exact two-sided p value of so many flips each way, were both ways as likely.

    Source: McNemar, Psychometrika 12 (1947), with the binomial distribution in place of chi-square.
    """
    flips = broke + fixed
    return min(1.0, 2 * coin_tail(max(broke, fixed), flips))


def mcnemar_one_sided(flips_that_way: int, flips_other_way: int) -> float:
    """Exact p value of at least so many flips one way, were both ways as likely."""
    return coin_tail(flips_that_way, flips_that_way + flips_other_way)


def flip_interval(
    broke: int, fixed: int, n: int, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The score interval of the change of the pass rate, (fixed - broke) / n, of ``n`` paired cases
    that passed or failed. No flips at all still leave it as wide as ``n`` cases deserve.

    Raises ValueError when the flips are not within 0..n. Source: Tango, "Equivalence test and
    confidence interval for the difference in proportions for the paired-sample design", Statistics
    in Medicine 17 (1998), 891-908.
    """
    if n < 1 or min(broke, fixed) < 0 or broke + fixed > n:
        raise ValueError(f"flips must be within 0..n and n at least 1: {broke}, {fixed} of {n}")
    z = normal_quantile(two_sided(confidence))
    return _tango_bound(fixed, broke, n, z), _tango_bound(fixed, broke, n, -z)


def _tango_bound(up: int, down: int, n: int, z: float) -> float:
    """The difference at which the score statistic, which falls as it grows, is ``z``."""
    low, high = -1.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _tango_score(up, down, n, middle) > z:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _tango_score(up: int, down: int, n: int, difference: float) -> float:
    a = 2 * n
    b = -up - down + (2 * n - up + down) * difference
    c = -down * difference * (1 - difference)
    share_down = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = n * (2 * share_down + difference * (1 - difference))
    distance = up - down - n * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)


def fisher_exact(passed: int, scored: int, other_passed: int, other_scored: int) -> float:
    """Two-sided p value that two samples with so many passes share one pass rate.

    Source: Fisher, "Statistical Methods for Research Workers" (1934), section 21.02; two-sided as
    the sum of all tables that are no likelier than the one found.
    """
    total, passes = scored + other_scored, passed + other_passed
    ways = [
        math.comb(scored, k) * math.comb(other_scored, passes - k)
        for k in range(max(0, passes - other_scored), min(scored, passes) + 1)
    ]
    found = math.comb(scored, passed) * math.comb(other_scored, other_passed)
    return sum(way for way in ways if way <= found) / math.comb(total, passes)


def pass_at_k(passed: int, scored: int, k: int) -> float:
    """The chance that at least one of ``k`` tries passes, without bias from ``scored`` tries.

    Raises ValueError unless 1 <= k <= scored. Source: Chen et al., "Evaluating Large Language
    Models Trained on Code" (2021, https://arxiv.org/abs/2107.03374), equation 1.
    """
    _check_tries(passed, scored, k)
    return 1 - math.comb(scored - passed, k) / math.comb(scored, k)


def pass_hat_k(passed: int, scored: int, k: int) -> float:
    """The chance that all of ``k`` tries pass, without bias from ``scored`` tries: pass^k.

    Raises ValueError unless 1 <= k <= scored. Source: Yao et al., "tau-bench" (2024,
    https://arxiv.org/abs/2406.12045), section 4.
    """
    _check_tries(passed, scored, k)
    return math.comb(passed, k) / math.comb(scored, k)


def _check_tries(passed: int, scored: int, k: int) -> None:
    if not 0 <= passed <= scored or not 1 <= k <= scored:
        raise ValueError(f"k must be within 1..{scored} and {passed} passes within 0..{scored}")
