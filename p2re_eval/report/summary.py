"""Results condensed: what every report shows before the single results."""

import heapq
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import Field

from p2re_eval.errors import OverBudget
from p2re_eval.quantities import count_text
from p2re_eval.records import Experiment, Outcome, Record, Result
from p2re_eval.stats import Proportion, wilson_interval
from p2re_eval.tally import CaseKey, Repeats, Sum, Tally, Values

MOST_MISSES = 50
"""How many cases of each outcome a summary keeps whole."""
MOST_FLAKY = 100
_MISSED: tuple[Outcome, ...] = ("failed", "error", "unscored")


class Counts(Record):
    """Runs by outcome."""

    passed: int = 0
    failed: int = 0
    error: int = 0
    unscored: int = 0
    not_run: int = 0

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.error + self.unscored + self.not_run


class Sources(Record):
    """Where the answers came from: a call made now, an identical earlier run, a recording."""

    live: int = 0
    cache: int = 0
    replay: int = 0


class Total(Record):
    """A sum over the runs that got an answer; ``value`` is the part that is known (``None`` when
    nothing is), ``unknown`` counts the answers it leaves out."""

    value: float | None = None
    unknown: int = 0


class Latency(Record):
    """How long the answers took; ``unknown`` counts those without a time."""

    p50_ns: float | None = None
    p95_ns: float | None = None
    max_ns: float | None = None
    known: int = 0
    unknown: int = 0


class ScoreMean(Record):
    """A scorer's mean value, within each case first; ``errored`` counts where it broke."""

    name: str
    mean: float | None
    scored: int
    errored: int


class Figures(Record):
    """Everything counted about some runs. ``live_cost_usd`` is what was spent now; ``cost_usd`` is
    what all the answers cost when they were made. ``quarantined`` are runs that decide nothing and
    are in no other count; ``stopped_early`` are those of ``not_run`` whose case was decided without
    them, and ``saved_usd`` what they would have cost, at the mean of the live answers."""

    counts: Counts
    sources: Sources
    cases: int
    repeats: int
    pass_rate: Proportion | None
    mean: float | None
    scores: tuple[ScoreMean, ...]
    latency: Latency
    cost_usd: Total
    live_cost_usd: Total
    input_tokens: Total
    output_tokens: Total
    quarantined: Counts = Counts()
    stopped_early: int = 0
    saved_usd: float | None = None


class Row(Record):
    """The figures of one prompt with one model in one suite."""

    suite: str
    prompt: str
    prompt_versions: tuple[str, ...]
    model: str
    figures: Figures


class FlakyCase(Record):
    """A case whose repeats disagree; ``low`` to ``high``: the Wilson 95 % interval of its rate."""

    suite: str
    prompt: str
    model: str
    case_id: str
    passed: int
    scored: int
    low: float
    high: float


class Miss(Record):
    """A case that did not pass: its first such result, and how many of its repeats ended so."""

    result: Result
    missed: int
    repeats: int


class Summary(Record):
    """An experiment in figures. ``misses`` holds the first cases of each outcome, failed first;
    ``missed_cases`` counts them all. ``quarantine`` holds the cases that decide nothing, with the
    first result that did not pass where there is one; ``refused`` is the first run that was not
    made for want of money."""

    figures: Figures
    rows: tuple[Row, ...]
    flaky: tuple[FlakyCase, ...]
    flaky_cases: int
    missed_cases: int
    misses: tuple[Miss, ...] = Field(default=(), exclude=True)
    quarantine: tuple[Miss, ...] = Field(default=(), exclude=True)
    refused: Result | None = Field(default=None, exclude=True)


@dataclass(frozen=True)
class Headline:
    """The verdict in one line. ``passed`` ``None``: something broke or was not run, so that neither
    yes nor no is true."""

    passed: bool | None
    word: str
    why: str


def summarize(results: Iterable[Result]) -> Summary:
    """The results' figures, in one pass that keeps counts and numbers but no texts beyond
    :data:`MOST_MISSES` cases an outcome."""
    counting = _Counting()
    for result in results:
        counting.add(result)
    return counting.summary()


def headline(experiment: Experiment, summary: Summary) -> Headline:
    """The verdict: gates decide where a suite has them, its cases where it has none; a broken
    machine, an undecided gate or a missing run leaves it open."""
    counts = _planned_counts(experiment, summary)
    gates = [verdict for verdict in experiment.verdicts if verdict.passed is False]
    undecided = [verdict for verdict in experiment.verdicts if verdict.passed is None]
    shard = experiment.settings.get("p2re_shard") or {}
    gated = gated_suites(experiment)
    ungated_failure = any(
        row.figures.counts.failed for row in summary.rows if row.suite not in gated
    )
    why = _why(experiment, summary, counts)
    left = shard.get("gates", [])
    if left and not ungated_failure:
        gate = count_text(len(left), "gate")
        return Headline(None, f"SHARD {shard['number']}/{shard['of']}", f"{why}; {gate} to merge")
    if gates or ungated_failure:
        return Headline(False, "FAILED", why)
    if not counts.passed + counts.failed:
        return Headline(None, "NOTHING SCORED", why)
    if undecided:
        return Headline(None, "UNDECIDED", why)
    if counts.error or counts.unscored:
        return Headline(None, "BROKEN", why)
    unpaid = counts.not_run - summary.figures.stopped_early
    if unpaid or experiment.status in {"INTERRUPTED", "ABANDONED"}:
        return Headline(None, "INCOMPLETE", why)
    return Headline(True, "PASSED", why)


def gated_suites(experiment: Experiment) -> set[str]:
    """The suites in which gates decide, here or when the shards are merged."""
    shard = experiment.settings.get("p2re_shard") or {}
    left = {str(gate["suite"]) for gate in shard.get("gates", [])}
    return left | {verdict.suite for verdict in experiment.verdicts}


def _why(experiment: Experiment, summary: Summary, counts: Counts) -> str:
    parts: list[str] = []
    verdicts = experiment.verdicts
    missed = sum(verdict.passed is False for verdict in verdicts)
    undecided = sum(verdict.passed is None for verdict in verdicts)
    parts += dict.fromkeys(str(v.judgement) for v in verdicts if v.judgement and not v.passed)
    if missed:
        parts.append(f"{missed} of {count_text(len(verdicts), 'gate')} missed")
    if undecided:
        parts.append(f"{undecided} of {count_text(len(verdicts), 'gate')} undecided")
    if verdicts and not missed and not undecided:
        parts.append(f"{count_text(len(verdicts), 'gate')} met")
    parts.append(f"{counts.passed:,} of {count_text(counts.total, 'run')} passed")
    early, aside = summary.figures.stopped_early, summary.figures.quarantined.total
    for number, word in (
        (counts.failed, "failed"),
        (counts.error, "errored"),
        (counts.unscored, "unscored"),
        (counts.not_run - early, "not run"),
        (early, "stopped early"),
        (aside, "in quarantine"),
    ):
        if number:
            parts.append(f"{number:,} {word}")
    if summary.flaky_cases:
        parts.append(count_text(summary.flaky_cases, "flaky case"))
    if experiment.status in {"INTERRUPTED", "ABANDONED"}:
        parts.append(experiment.status.lower())
    return ", ".join(parts)


def _planned_counts(experiment: Experiment, summary: Summary) -> Counts:
    """The counts, with the planned runs that left no result among those not run."""
    counts = summary.figures.counts
    aside = summary.figures.quarantined.total
    missing = max(0, experiment.planned - counts.total - aside)
    return counts.model_copy(update={"not_run": counts.not_run + missing})


class _Counting:
    """The one pass: a tally of everything, and one a row."""

    def __init__(self) -> None:
        self._all = Tally()
        self._rows: dict[tuple[str, str, str], tuple[Tally, dict[str, None]]] = {}
        self._misses: dict[Outcome, dict[CaseKey, tuple[Result, int]]] = {o: {} for o in _MISSED}
        self._missed: set[CaseKey] = set()
        self._aside: dict[CaseKey, Miss] = {}
        self._refused: Result | None = None

    def add(self, result: Result) -> None:
        self._all.add(result)
        key = (result.suite, result.prompt, result.model)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = (Tally(), {})
        row[0].add(result)
        if result.prompt_version is not None:
            row[1].setdefault(result.prompt_version)
        fault = result.fault
        if fault is not None and fault.kind == OverBudget.kind and self._refused is None:
            self._refused = result
        if result.quarantine is not None:
            self._set_aside(result)
        elif result.outcome in self._misses:
            self._keep(result)

    def _set_aside(self, result: Result) -> None:
        key = CaseKey(result.suite, result.prompt, result.model, result.case_id)
        missed = result.outcome in self._misses
        known = self._aside.get(key)
        if known is None:
            self._aside[key] = Miss(result=result, missed=int(missed), repeats=1)
            return
        first = result if missed and not known.missed else known.result
        self._aside[key] = Miss(
            result=first, missed=known.missed + missed, repeats=known.repeats + 1
        )

    def _keep(self, result: Result) -> None:
        key = CaseKey(result.suite, result.prompt, result.model, result.case_id)
        self._missed.add(key)
        kept = self._misses[result.outcome]
        if key in kept:
            first, times = kept[key]
            kept[key] = (first, times + 1)
        elif len(kept) < MOST_MISSES:
            kept[key] = (result, 1)

    def summary(self) -> Summary:
        mixed = [(key, repeats) for key, repeats in self._all.cases.items() if repeats.mixed]
        flaky = [
            _flaky(key, repeats)
            for key, repeats in heapq.nsmallest(MOST_FLAKY, mixed, key=lambda pair: pair[0])
        ]
        rows = self._all_rows()
        saved = [row.figures.saved_usd for row in rows if row.figures.stopped_early]
        return Summary(
            figures=_figures(self._all).model_copy(update={"saved_usd": _sum_of(saved)}),
            rows=rows,
            flaky=tuple(flaky),
            flaky_cases=len(mixed),
            missed_cases=len(self._missed),
            misses=tuple(self._all_misses()),
            quarantine=tuple(self._aside.values()),
            refused=self._refused,
        )

    def _all_rows(self) -> tuple[Row, ...]:
        return tuple(
            Row(
                suite=suite,
                prompt=prompt,
                prompt_versions=tuple(versions),
                model=model,
                figures=_figures(counted),
            )
            for (suite, prompt, model), (counted, versions) in sorted(
                self._rows.items(), key=lambda item: item[0]
            )
        )

    def _all_misses(self) -> Iterable[Miss]:
        for outcome in _MISSED:
            for key, (result, times) in self._misses[outcome].items():
                yield Miss(result=result, missed=times, repeats=self._all.cases[key].total)


def _figures(counted: Tally) -> Figures:
    outcomes, sources = counted.outcomes, counted.sources
    return Figures(
        counts=_counts(outcomes),
        sources=Sources(**{name: sources[name] for name in Sources.model_fields}),  # type: ignore[index]
        cases=len(counted.cases),
        repeats=counted.repeats,
        pass_rate=counted.pass_rate(),
        mean=counted.value.mean,
        scores=tuple(_score_mean(name, values) for name, values in counted.scores.items()),
        latency=Latency(
            p50_ns=counted.latency_ns(0.5),
            p95_ns=counted.latency_ns(0.95),
            max_ns=max(counted.durations_ns, default=None),
            known=len(counted.durations_ns),
            unknown=counted.unknown_durations,
        ),
        cost_usd=_total(counted.cost_usd),
        live_cost_usd=_total(counted.live_cost_usd),
        input_tokens=_total(counted.input_tokens),
        output_tokens=_total(counted.output_tokens),
        quarantined=_counts(counted.quarantined),
        stopped_early=counted.stopped_early,
        saved_usd=counted.saved_usd if counted.stopped_early else None,
    )


def _counts(outcomes: Counter[Outcome]) -> Counts:
    return Counts(**{name: outcomes[name] for name in Counts.model_fields})  # type: ignore[index]


def _sum_of(values: Sequence[float | None]) -> float | None:
    """The sum, unknown when nothing is there or one of them is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None


def _score_mean(name: str, values: Values) -> ScoreMean:
    return ScoreMean(name=name, mean=values.mean, scored=values.scored, errored=values.errored)


def _total(total: Sum) -> Total:
    return Total(value=total.value, unknown=total.unknown)


def _flaky(key: CaseKey, repeats: Repeats) -> FlakyCase:
    low, high = wilson_interval(repeats.passed, repeats.scored)
    counts = {"passed": repeats.passed, "scored": repeats.scored}
    return FlakyCase(**key._asdict(), **counts, low=low, high=high)
