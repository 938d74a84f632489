"""What a ``no_regression`` gate promises, tried out on experiments drawn by chance."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from random import Random

from p2re_eval import stats
from p2re_eval.compare.comparison import adjusted
from p2re_eval.compare.deltas import Asked, outcome_delta
from p2re_eval.compare.pairing import GroupKey
from p2re_eval.gates import NoRegression, judge_delta
from p2re_eval.records import Delta
from p2re_eval.tally import Tally

PAIRS = 1000


@dataclass(frozen=True)
class Cases:
    """Each case's chance to pass, how often each is run, and how many comparisons of such cases
    share one gate (its prompts, models and scorers)."""

    chances: tuple[float, ...]
    repeats: int = 1
    family: int = 1

    @property
    def pass_rate(self) -> float:
        """The mean chance."""
        return stats.mean(self.chances)

    def detectable(self, asked: NoRegression) -> float | None:
        """The smallest drop that the gate claims to find in these cases; ``None`` when none."""
        variance = stats.mean([stats.chance_variance(p, self.repeats) for p in self.chances])
        drop = stats.detectable_drop(
            stats.Design(len(self.chances), variance, self.repeats, self.pass_rate),
            margin=asked.margin,
            confidence=asked.confidence,
            family=self.family,
        )
        return None if drop is None or drop > self.pass_rate else drop


@dataclass(frozen=True)
class Trial:
    """How often the gate said ``regression`` in simulated pairs of experiments, and what is
    promised: ``at_most`` where nothing fell, ``at_least`` where something did."""

    name: str
    said: stats.Proportion
    at_most: float | None = None
    at_least: float | None = None

    @property
    def kept(self) -> bool:
        """Whether the share found is on the promised side."""
        low = self.at_most is None or self.said.rate <= self.at_most
        return low and (self.at_least is None or self.said.rate >= self.at_least)


def cases_of(counted: Tally, *, family: int = 1) -> Cases:
    """Cases like those of a recorded experiment.

    With repeats each case has its own chance, drawn a little to the mean of all. Without, all have
    the mean: nobody knows which of them waver, and so more is assumed to waver than may.
    Raises ValueError when no case was scored.
    """
    scored = [repeats for repeats in counted.cases.values() if repeats.scored]
    rate = stats.mean([repeats.rate for repeats in scored])
    most = max(repeats.scored for repeats in scored)
    if most == 1:
        return Cases((rate,) * len(scored), 1, family)
    chances = ((repeats.passed + rate) / (repeats.scored + 1) for repeats in scored)
    return Cases(tuple(chances), most, family)


def trials(
    cases: Cases,
    asked: NoRegression,
    *,
    pairs: int = PAIRS,
    seed: int = 1,
    tell: Callable[[int], None] = lambda done: None,
) -> Iterator[Trial]:
    """The gate on pairs in which nothing changed, and, where it claims to find a drop, on pairs
    with a drop of that size: once in all cases alike, once by cases that fail altogether."""
    random = Random(seed)  # noqa: S311 - statistics, not secrets
    share = 1 - asked.confidence

    def trial(after: Callable[[], Sequence[float]]) -> stats.Proportion:
        said = 0
        for _ in range(pairs):
            said += _regression(cases, after(), asked, random)
            tell(1)
        return stats.Proportion(said / pairs, pairs, *stats.wilson_interval(said, pairs))

    yield Trial("nothing changed", trial(lambda: cases.chances), at_most=share)
    drop = cases.detectable(asked)
    if drop is None:
        return
    size = f"a drop of {drop * 100:.1f} points"
    left = 1 - drop / cases.pass_rate
    alike = [chance * left for chance in cases.chances]
    yield Trial(f"{size} in all cases alike", trial(lambda: alike), at_least=stats.POWER)
    yield Trial(
        f"{size} by cases that break",
        trial(lambda: _broken(cases.chances, 1 - left, random)),
        at_least=stats.POWER,
    )


def _broken(chances: Sequence[float], share: float, random: Random) -> list[float]:
    return [0.0 if random.random() < share else chance for chance in chances]


def _regression(cases: Cases, after: Sequence[float], asked: NoRegression, random: Random) -> bool:
    """Whether the gate says so when the first of its comparisons has these chances afterwards."""
    others = [cases.chances] * (cases.family - 1)
    deltas = [
        _delta(cases, chances, asked, random, number)
        for number, chances in enumerate([after, *others])
    ]
    return any(judge_delta(delta, asked) == "regression" for delta in adjusted(deltas))


def _delta(
    cases: Cases, after: Sequence[float], asked: NoRegression, random: Random, number: int
) -> Delta:
    outcomes = [
        (_run(old, cases.repeats, random), _run(new, cases.repeats, random))
        for old, new in zip(cases.chances, after, strict=True)
    ]
    # The bootstrap only widens the interval; whether something fell does not depend on it.
    measure = Asked(asked.confidence, seed=0, resamples=0)
    return outcome_delta(GroupKey("simulated", f"prompt {number}", "chance"), outcomes, measure)


def _run(chance: float, repeats: int, random: Random) -> tuple[int, int]:
    return sum(random.random() < chance for _ in range(repeats)), repeats
