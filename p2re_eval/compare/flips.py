"""Cases whose pass rate is not what it was, with the texts a reader wants to see."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import NamedTuple

from p2re_eval import stats
from p2re_eval.compare.deltas import passed_scored
from p2re_eval.compare.pairing import Pair, Pairing, Repeats
from p2re_eval.compare.sample import Sample
from p2re_eval.records import Evaluation, Flip, Result, Tries

MOST_FLIPS = 200
"""How many flips each way a comparison keeps with their texts."""


class Moved(NamedTuple):
    """The flips of a comparison: all counted, the worst told."""

    broke: int
    fixed: int
    flips: tuple[Flip, ...]


def flips_of(pairing: Pairing, before: Sample, after: Sample) -> Moved:
    """The flips, the worst first and those for the better last."""
    worse: list[tuple[float, Pair]] = []
    better: list[tuple[float, Pair]] = []
    for pair in pairing.pairs:
        if pair.refused is None and (moved := _moved(pair)):
            (worse if moved < 0 else better).append((moved, pair))
    kept = heapq.nsmallest(MOST_FLIPS, worse, key=_by_size)
    kept += heapq.nsmallest(MOST_FLIPS, better, key=_by_size)
    flips = tuple(_flip(pair, before, after) for _, pair in kept)
    return Moved(len(worse), len(better), flips)


def _by_size(one: tuple[float, Pair]) -> tuple[float, tuple[str, ...]]:
    return -abs(one[0]), one[1].key


def _moved(pair: Pair) -> float:
    passed, scored = passed_scored(pair.before)
    now_passed, now_scored = passed_scored(pair.after)
    if not scored or not now_scored:
        return 0.0
    return now_passed / now_scored - passed / scored


def _flip(pair: Pair, before: Sample, after: Sample) -> Flip:
    old, new = _tries(pair.before), _tries(pair.after)
    repeated = max(old.scored, new.scored) > 1
    flip = Flip(
        **pair.key._asdict(),
        before=old,
        after=new,
        p_value=stats.fisher_exact(new.passed, new.scored, old.passed, old.scored)
        if repeated
        else None,
    )
    shown = _shown(before.case_results(pair.old_key), after.case_results(pair.key), flip.worse)
    return flip if shown is None else _told(flip, *shown)


def _tries(repeats: Repeats) -> Tries:
    passed, scored = passed_scored(repeats)
    values = [one.value for one in repeats if one.value is not None and math.isfinite(one.value)]
    value = stats.mean(values) if values else None
    return Tries(passed=passed, scored=scored, runs=len(repeats), value=value)


def _shown(
    before: Sequence[Result], after: Sequence[Result], worse: bool
) -> tuple[Result, Result] | None:
    """The first result of each side that shows the flip."""
    was, now = ("passed", "failed") if worse else ("failed", "passed")
    old = next((r for r in before if r.outcome == was), None)
    new = next((r for r in after if r.outcome == now), None)
    return None if old is None or new is None else (old, new)


def _told(flip: Flip, old: Result, new: Result) -> Flip:
    bad = new if flip.worse else old
    return flip.model_copy(
        update={
            "scorers": _flipped_scorers(bad, old if flip.worse else new),
            "why": tuple(_against(bad)),
            "before_trace": old.trace_id,
            "after_trace": new.trace_id,
            "before_output": old.output_preview,
            "after_output": new.output_preview,
            "inputs_preview": new.inputs_preview,
            "expected_preview": new.expected_preview,
            "place": new.place,
        }
    )


def _flipped_scorers(bad: Result, good: Result) -> tuple[str, ...]:
    """The scorers that failed the one answer and not the other."""
    fine = {one.name for one in good.evaluations if _passed(one) is not False}
    return tuple(
        one.name
        for one in bad.evaluations
        if one.weight > 0 and _passed(one) is False and one.name in fine
    )


def _passed(one: Evaluation) -> bool | None:
    return None if one.score is None else one.score.passed


def _against(result: Result) -> list[str]:
    said = []
    for one in result.evaluations:
        if one.weight > 0 and one.score is not None and one.score.passed is False:
            said.append(f"{one.name}: {one.score.explanation or f'value {one.score.value}'}")
    return said
