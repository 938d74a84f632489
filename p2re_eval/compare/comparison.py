"""The comparison of two experiments, put together."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from p2re_eval import stats
from p2re_eval.compare.changes import changes_of
from p2re_eval.compare.deltas import Asked, deltas_of
from p2re_eval.compare.flips import flips_of
from p2re_eval.compare.pairing import Pair, Pairing, by_case, listed, pair_up
from p2re_eval.compare.sample import Sample, sample_of
from p2re_eval.garbage import collector_paused
from p2re_eval.quantities import count_text
from p2re_eval.records import (
    Comparison,
    Delta,
    Experiment,
    Observation,
    Result,
    Side,
    SideFigures,
)
from p2re_eval.tally import ANSWERED, CaseKey

SEED = 20250
"""Every resampling starts here unless told otherwise; the comparison keeps it."""


@dataclass(frozen=True)
class Match:
    """Two experiments paired case by case, ready for any question about them.

    ``partial`` says that only some cases were selected: what the older side has beyond them is
    then no news.
    """

    before: Sample
    after: Sample
    pairing: Pairing
    partial: str = ""

    @property
    def same_runs(self) -> bool:
        """Whether both sides are the same recorded runs, judged alike: nothing changed."""
        pairs = list(self.pairing.pairs)
        return bool(pairs) and all(_same(pair) for pair in pairs)

    def deltas(
        self,
        metrics: Collection[str],
        *,
        confidence: float = stats.CONFIDENCE,
        seed: int = SEED,
    ) -> tuple[Delta, ...]:
        """How far these metrics moved for each prompt and model, adjusted for one another."""
        asked = Asked(confidence, seed, metrics=frozenset(metrics))
        return adjusted(tuple(deltas_of(self.pairing, asked)))


def _same(pair: Pair) -> bool:
    before = [(one.trace_id, one.outcome) for one in pair.before]
    known = all(trace_id is not None for trace_id, _ in before)
    same = before == [(one.trace_id, one.outcome) for one in pair.after]
    return pair.refused is None and known and same


def match(
    before: Sample,
    after: Sample,
    *,
    partial: str = "",
    tell: Callable[[str], None] = lambda sentence: None,
) -> Match:
    """The two experiments paired; ``tell`` hears what is being done, which may take seconds."""
    with collector_paused():  # it would look through all of it again and again
        cases = [_read(sample, tell) for sample in (before, after)]
        return Match(before, after, pair_up(*cases), partial)


def compare(
    before: Sample,
    after: Sample,
    *,
    confidence: float = stats.CONFIDENCE,
    seed: int = SEED,
    partial: str = "",
    tell: Callable[[str], None] = lambda sentence: None,
) -> Comparison:
    """The two experiments side by side, paired by (suite, prompt, model, case) and averaged over
    the repeats of a case first; see :class:`Match` and :func:`match` for the parameters."""
    with collector_paused():
        matched = match(before, after, partial=partial, tell=tell)
        return _compared(matched, Asked(confidence, seed), tell)


def _compared(matched: Match, asked: Asked, tell: Callable[[str], None]) -> Comparison:
    before, after, pairing = matched.before, matched.after, matched.pairing
    fair = sum(pair.refused is None for pair in pairing.pairs)
    tell(f"comparing {count_text(fair, 'case')}")
    moved = flips_of(pairing, before, after)
    lonely = [] if matched.partial else pairing.only_before
    return Comparison(
        before=_side(before, (pair.before for pair in pairing.pairs)),
        after=_side(after, (pair.after for pair in pairing.pairs)),
        confidence=asked.confidence,
        seed=asked.seed,
        cases=fair,
        broke=moved.broke,
        fixed=moved.fixed,
        flips=moved.flips,
        deltas=adjusted(tuple(deltas_of(pairing, asked))),
        changes=tuple(changes_of(pairing, before, after)),
        incomparable=pairing.incomparable(),
        only_before=listed(f"only in {before.label}", lonely) if lonely else None,
        only_after=listed(f"only in {after.label}", pairing.only_after)
        if pairing.only_after
        else None,
        note=matched.partial,
    )


def compare_results(
    before: Iterable[Result], after: Iterable[Result], *, confidence: float = stats.CONFIDENCE
) -> Comparison:
    """Two lists of results side by side, wherever they come from."""
    sides = [
        sample_of(Experiment(experiment_id=name, name=name, started_ns=0), results, label=name)
        for name, results in (("before", before), ("after", after))
    ]
    return compare(*sides, confidence=confidence)


def adjusted(deltas: Sequence[Delta]) -> tuple[Delta, ...]:
    """The deltas with their p values adjusted for one another."""
    known = [delta for delta in deltas if delta.p_direction is not None]
    p_values = stats.holm([delta.p_direction or 0.0 for delta in known])
    by_id = {id(delta): p for delta, p in zip(known, p_values, strict=True)}
    family = max(len(known), 1)
    return tuple(
        delta.model_copy(update={"p_adjusted": by_id.get(id(delta)), "family": family})
        for delta in deltas
    )


def _read(sample: Sample, tell: Callable[[str], None]) -> dict[CaseKey, tuple[Observation, ...]]:
    tell(f"reading {sample.label}")
    return by_case(sample.observations())


def _side(sample: Sample, paired: Iterable[Sequence[Observation]]) -> Side:
    """The side with the figures of its paired runs: both sides are then about the same cases."""
    experiment = sample.experiment
    return Side(
        experiment_id=experiment.experiment_id,
        label=sample.label,
        started_ns=experiment.started_ns,
        revision=experiment.revision,
        figures=_figures([one for repeats in paired for one in repeats]),
    )


def _figures(observations: Sequence[Observation]) -> SideFigures:
    outcomes = Counter(one.outcome for one in observations)
    answered = [one for one in observations if one.outcome in ANSWERED]
    sources = Counter(one.source for one in answered)
    costs = [one.cost_usd for one in answered if one.cost_usd is not None]
    durations = sorted(one.duration_ns for one in answered if one.duration_ns is not None)
    return SideFigures(
        runs=len(observations),
        **{str(outcome): n for outcome, n in outcomes.items()},
        **{str(source): n for source, n in sources.items()},
        cost_usd=math.fsum(costs) if costs else None,
        unknown_costs=len(answered) - len(costs),
        input_tokens=_total([one.input_tokens for one in answered]),
        output_tokens=_total([one.output_tokens for one in answered]),
        p50_ns=stats.percentile(durations, 0.5) if durations else None,
        p95_ns=stats.percentile(durations, 0.95) if durations else None,
    )


def _total(tokens: Sequence[int | None]) -> int | None:
    known = [n for n in tokens if n is not None]
    return sum(known) if known else None
