"""Results counted in one pass: the sums that gates and reports are made of."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from p2re_eval import stats
from p2re_eval.errors import DecidedEarly
from p2re_eval.records import Evaluation, Outcome, Result, Source

ANSWERED: frozenset[Outcome] = frozenset({"passed", "failed", "unscored"})
"""The outcomes of runs that got an answer, whatever it is worth."""


class CaseKey(NamedTuple):
    """What the repeats of one case have in common."""

    suite: str
    prompt: str
    model: str
    case_id: str


class Repeats:
    """How the repeats of one case ended."""

    __slots__ = ("broken", "failed", "not_run", "passed")

    def __init__(self) -> None:
        self.passed = self.failed = self.broken = self.not_run = 0

    @property
    def scored(self) -> int:
        return self.passed + self.failed

    @property
    def total(self) -> int:
        return self.scored + self.broken + self.not_run

    @property
    def rate(self) -> float:
        """The share of the scored repeats that passed; only where one is scored."""
        return self.passed / self.scored

    @property
    def lowest(self) -> float:
        """The share that passed if every repeat without a score would have failed."""
        return self.passed / self.total

    @property
    def highest(self) -> float:
        """The share that passed if every repeat without a score would have passed."""
        return (self.total - self.failed) / self.total

    @property
    def mixed(self) -> bool:
        return bool(self.passed and self.failed)

    def add(self, outcome: Outcome) -> None:
        if outcome == "passed":
            self.passed += 1
        elif outcome == "failed":
            self.failed += 1
        elif outcome == "not_run":
            self.not_run += 1
        else:
            self.broken += 1


class Sum:
    """A total that knows how much of it is not known."""

    __slots__ = ("known", "total", "unknown")

    def __init__(self) -> None:
        self.total = 0.0
        self.known = self.unknown = 0

    @property
    def value(self) -> float | None:
        """The sum of what is known; ``None`` when nothing is."""
        return self.total if self.known else None

    def add(self, value: float | None) -> None:
        if value is None:
            self.unknown += 1
        else:
            self.total += value
            self.known += 1


class Values:
    """One scorer's values, averaged within each case first and then over the cases."""

    def __init__(self) -> None:
        self.scored = self.errored = self.without_value = 0
        self._cases: dict[CaseKey, tuple[float, int]] = {}

    @property
    def cases(self) -> int:
        return len(self._cases)

    @property
    def mean(self) -> float | None:
        if not self._cases:
            return None
        return stats.mean([total / n for total, n in self._cases.values()])

    def interval(self, clusters: Mapping[CaseKey, str]) -> stats.Mean | None:
        """The mean with its interval, cluster-robust where cases share a cluster."""
        if not self._cases:
            return None
        means = [total / n for total, n in self._cases.values()]
        named = [clusters.get(key, key) for key in self._cases] if clusters else None
        return stats.score_interval(means, named)

    def add(self, key: CaseKey, value: float) -> None:
        total, n = self._cases.get(key, (0.0, 0))
        self._cases[key] = (total + value, n + 1)
        self.scored += 1


class Tally:
    """Everything countable about some results. Latency, cost and tokens are those of the runs that
    got an answer; a result from the cache counts with what its answer once took and cost.

    A case in quarantine decides nothing: it stands apart, and only its cost and tokens count with
    the others'. Of the runs that were not made, ``stopped_early`` are those whose case was decided.
    """

    def __init__(self) -> None:
        self.outcomes: Counter[Outcome] = Counter()
        self.quarantined: Counter[Outcome] = Counter()
        self.stopped_early = 0
        self.sources: Counter[Source] = Counter()
        self.cases: dict[CaseKey, Repeats] = {}
        self.clusters: dict[CaseKey, str] = {}
        self.value = Values()
        self.scores: dict[str, Values] = {}
        self.durations_ns = array("q")
        self.unknown_durations = 0
        self.cost_usd = Sum()
        self.live_cost_usd = Sum()
        self.input_tokens = Sum()
        self.output_tokens = Sum()
        self.total_tokens = Sum()

    @property
    def runs(self) -> int:
        return self.outcomes.total()

    @property
    def recorded(self) -> int:
        """All results, those in quarantine as well."""
        return self.runs + self.quarantined.total()

    @property
    def unpaid(self) -> int:
        """Runs that were not made and whose case is not decided without them."""
        return self.outcomes["not_run"] - self.stopped_early

    @property
    def saved_usd(self) -> float | None:
        """What the runs stopped early would have cost, at the mean of the live ones; ``None`` when
        that is not known."""
        live = self.live_cost_usd
        return self.stopped_early * live.total / live.known if live.known else None

    @property
    def answered(self) -> int:
        return sum(self.outcomes[outcome] for outcome in ANSWERED)

    @property
    def scored(self) -> int:
        return self.outcomes["passed"] + self.outcomes["failed"]

    @property
    def repeats(self) -> int:
        """The most repeats that any case has."""
        return max((repeats.total for repeats in self.cases.values()), default=0)

    def pass_rate(self, confidence: float = stats.CONFIDENCE) -> stats.Proportion | None:
        cases = ((repeats.passed, repeats.scored) for repeats in self.cases.values())
        return stats.pass_rate(cases, confidence)

    def latency_ns(self, q: float) -> float | None:
        """The percentile ``q`` (0 to 1) of the known durations."""
        return stats.percentile(self.durations_ns, q) if self.durations_ns else None

    def add(self, result: Result) -> None:
        if result.quarantine is not None:
            self.quarantined[result.outcome] += 1
            if result.outcome in ANSWERED:
                self._add_usage(result)
            return
        key = CaseKey(result.suite, result.prompt, result.model, result.case_id)
        self.outcomes[result.outcome] += 1
        if result.outcome == "not_run" and result.fault is not None:
            self.stopped_early += result.fault.kind == DecidedEarly.kind
        self.cases.setdefault(key, Repeats()).add(result.outcome)
        if result.cluster is not None:
            self.clusters[key] = result.cluster
        if result.value is not None:
            self.value.add(key, result.value)
        for evaluation in result.evaluations:
            self._add_score(key, evaluation)
        if result.outcome in ANSWERED:
            self._add_answer(result)

    def _add_score(self, key: CaseKey, evaluation: Evaluation) -> None:
        values = self.scores.setdefault(evaluation.name, Values())
        if evaluation.score is None:
            values.errored += 1
        elif evaluation.score.value is None or not math.isfinite(evaluation.score.value):
            values.without_value += 1
        else:
            values.add(key, evaluation.score.value)

    def _add_answer(self, result: Result) -> None:
        if result.duration_ns is None:
            self.unknown_durations += 1
        else:
            self.durations_ns.append(result.duration_ns)
        self._add_usage(result)

    def _add_usage(self, result: Result) -> None:
        usage = result.usage
        self.sources[result.source] += 1
        self.cost_usd.add(result.cost_usd)
        if result.source == "live":
            self.live_cost_usd.add(result.cost_usd)
        self.input_tokens.add(usage.input_tokens)
        self.output_tokens.add(usage.output_tokens)
        known = usage.input_tokens is not None and usage.output_tokens is not None
        both = (usage.input_tokens or 0) + (usage.output_tokens or 0)
        self.total_tokens.add(both if known else None)


def tally(results: Iterable[Result]) -> Tally:
    """All results counted."""
    counted = Tally()
    for result in results:
        counted.add(result)
    return counted
