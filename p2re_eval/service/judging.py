"""Judges held against people: do they say the same of the same traces, and where not, which way."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from p2re_eval.records import Record
from p2re_eval.stats import Agreement, judge_agreement
from p2re_eval.store.evaluation_queries import JudgementRow

FEEDBACK = "feedback"
"""What people's word is called unless they say otherwise."""
MOST_SHOWN = 200


class Confusion(Record):
    """How many traces fell where; ``only_judge`` passed the judge and failed with people."""

    both_pass: int
    both_fail: int
    only_judge: int
    only_people: int


class Disagreement(Record):
    """A trace of which a judge and people said the opposite, and why each did."""

    trace_id: str
    judge_passes: bool
    judge_value: float | None = None
    judge_why: str | None = None
    people: tuple[str, ...] = ()
    people_why: str | None = None
    input_preview: str = ""
    output_preview: str = ""


class JudgeAgreement(Record):
    """One version of a judge against what people said under the name ``people``.

    ``figures`` is None where no trace has a verdict of both. ``left_out`` traces were judged by
    both without one: people were split, or somebody gave a word and no verdict. At most 200
    ``disagreements`` are listed, the newest first.
    """

    name: str
    scorer: str
    scorer_version: str
    people: str
    figures: Agreement | None
    confusion: Confusion
    left_out: int
    disagreements: tuple[Disagreement, ...] = ()


class _Word:
    """A verdict with its reasons."""

    def __init__(self, passes: bool | None, value: float | None, who: str, why: str | None) -> None:
        self.passes, self.value, self.who, self.why = passes, value, who, why


def judges_against_people(
    rows: Iterable[JudgementRow], *, people: str | None = None, threshold: float | None = None
) -> tuple[JudgeAgreement, ...]:
    """Every judge and version of it against people, those with most in common first.

    A judge is held against what people said under the name ``people``; else under its own name,
    and where nobody used that, as ``feedback``. People count once for each trace, by majority. A
    judge passes as it says, else from a value of 0.5 on; ``threshold`` lets its value alone
    decide. The newest judgement of a version counts.
    """
    said: dict[str, dict[str, list[_Word]]] = defaultdict(lambda: defaultdict(list))
    judges: dict[tuple[str, str, str], dict[str, _Word]] = defaultdict(dict)
    for row in rows:
        if row.kind == "HUMAN":
            word = _Word(_passes(row, None), row.value, row.identifier, row.explanation)
            said[row.name][row.trace_id].append(word)
        else:
            word = _Word(_passes(row, threshold), row.value, row.scorer, row.explanation)
            judges[row.name, row.scorer, row.scorer_version][row.trace_id] = word
    found = []
    for (name, scorer, version), verdicts in judges.items():
        against = people or (name if name in said else FEEDBACK)
        found.append(_agreement((name, scorer, version), verdicts, against, said[against]))
    return tuple(sorted(found, key=lambda one: -one.figures.n if one.figures else 0))


def _agreement(
    judge: tuple[str, str, str],
    verdicts: Mapping[str, _Word],
    people: str,
    said: Mapping[str, Sequence[_Word]],
) -> JudgeAgreement:
    both = [trace_id for trace_id in verdicts if trace_id in said]
    words = {trace_id: (verdicts[trace_id], said[trace_id]) for trace_id in both}
    pairs = {
        trace_id: (word.passes, majority)
        for trace_id, (word, theirs) in words.items()
        if word.passes is not None and (majority := _majority(theirs)) is not None
    }
    odd = [trace_id for trace_id, (one, other) in pairs.items() if one != other]
    counted = list(pairs.values())
    name, scorer, version = judge
    return JudgeAgreement(
        name=name,
        scorer=scorer,
        scorer_version=version,
        people=people,
        figures=judge_agreement(counted) if counted else None,
        confusion=Confusion(
            both_pass=counted.count((True, True)),
            both_fail=counted.count((False, False)),
            only_judge=counted.count((True, False)),
            only_people=counted.count((False, True)),
        ),
        left_out=len(both) - len(counted),
        disagreements=tuple(
            _disagreement(trace_id, *words[trace_id]) for trace_id in odd[::-1][:MOST_SHOWN]
        ),
    )


def _disagreement(trace_id: str, word: _Word, theirs: Sequence[_Word]) -> Disagreement:
    return Disagreement(
        trace_id=trace_id,
        judge_passes=bool(word.passes),
        judge_value=word.value,
        judge_why=word.why,
        people=tuple(one.who for one in theirs),
        people_why="; ".join(one.why for one in theirs if one.why) or None,
    )


def _majority(words: Sequence[_Word]) -> bool | None:
    passes = sum(word.passes is True for word in words)
    fails = sum(word.passes is False for word in words)
    return None if passes == fails else passes > fails


def _passes(row: JudgementRow, threshold: float | None) -> bool | None:
    if threshold is not None:
        return None if row.value is None else row.value >= threshold
    if row.passed is not None:
        return bool(row.passed)
    return None if row.value is None else row.value >= 0.5
