"""Whether anything fell: the verdict of a ``no_regression`` gate on two matched experiments.

A delta is a ``regression`` when it lies below -margin and the evidence (adjusted for all the deltas
of the gate) excludes that nothing fell; ``improved`` when it excludes that nothing rose; ``no
change`` when the whole interval lies above -margin; and else there is ``insufficient data``.
"""

from __future__ import annotations

from collections.abc import Sequence

from p2re_eval import stats
from p2re_eval.compare import Match
from p2re_eval.gates.gate import NO_BASELINE, Gate, NoRegression
from p2re_eval.quantities import (
    change_text,
    count_text,
    number_text,
    p_text,
    share_text,
    signed_text,
)
from p2re_eval.records import Delta, GateVerdict, Judgement

_SLACK = 1e-12
_WORST_FIRST: tuple[Judgement, ...] = (
    "regression",
    "incomparable",
    "insufficient data",
    "improved",
    "no change",
)


def decide_regression(
    gate: Gate, matched: Match | None, *, suite: str = "", why: str = NO_BASELINE
) -> GateVerdict:
    """The verdict on a suite's matched experiments; ``None``: there is no baseline, and ``why``."""
    asked = gate.relative
    assert asked is not None
    if matched is None:
        return _verdict(gate, suite, "incomparable", why)
    if matched.same_runs:
        cases = count_text(sum(1 for _ in matched.pairing.pairs), "case")
        told = [f"all {cases} are the very same runs", *_notes(matched, (), "no change")]
        return _verdict(gate, suite, "no change", "; ".join(told), (), asked)
    deltas = matched.deltas(asked.metrics, confidence=asked.confidence)
    judged = [(judge_delta(delta, asked), delta) for delta in deltas]
    refused = _refused(matched, deltas, asked)
    if refused and not any(word == "regression" for word, _ in judged):
        return _verdict(gate, suite, "incomparable", refused, deltas, asked)
    found = {word for word, _ in judged}
    worst: Judgement = next((word for word in _WORST_FIRST if word in found), "incomparable")
    several = len({(delta.prompt, delta.model) for delta in deltas}) > 1
    told = [_told(word, delta, asked, several) for word, delta in judged if word == worst]
    told += _notes(matched, judged, worst)
    return _verdict(gate, suite, worst, "; ".join(told), deltas, asked)


def judge_delta(delta: Delta, asked: NoRegression) -> Judgement:
    """What one delta comes to."""
    moved, low, evidence = delta.difference, delta.low, delta.p_adjusted
    if moved is None or low is None or evidence is None:
        return "insufficient data"
    sure = evidence <= 1 - asked.confidence + _SLACK
    if sure and moved < -asked.margin - _SLACK:
        return "regression"
    if sure and moved > 0:
        return "improved"
    return "no change" if low > -asked.margin else "insufficient data"


def _verdict(
    gate: Gate,
    suite: str,
    word: Judgement,
    why: str,
    deltas: Sequence[Delta] = (),
    asked: NoRegression | None = None,
) -> GateVerdict:
    passed = None if word == "incomparable" else word not in (asked or NoRegression()).fails_on
    found = [delta.difference for delta in deltas if delta.difference is not None]
    return GateVerdict(
        gate=gate.text,
        suite=suite,
        passed=passed,
        value=min(found, default=None),
        explanation=f"{word}: {why}",
        place=gate.place,
        judgement=word,
        deltas=tuple(deltas),
    )


def _refused(matched: Match, deltas: Sequence[Delta], asked: NoRegression) -> str:
    """Why nothing can be said of a prompt and model that both sides have; "" when all is said."""
    pairing = matched.pairing
    seen = {(delta.metric, delta.suite, delta.prompt, delta.model) for delta in deltas}
    missing = [
        group for group in pairing.groups for metric in asked.metrics
        if (metric, *group) not in seen
    ]  # fmt: skip
    if not missing and deltas:
        return ""
    reasons = [f"{one.reason} ({count_text(one.cases, 'case')})" for one in pairing.incomparable()]
    if not reasons and not pairing.groups:
        reasons = [f"no case of {matched.before.label} was selected"]
    return "; ".join(reasons) or f"{matched.before.label} has no {', '.join(asked.metrics)}"


def _told(word: Judgement, delta: Delta, asked: NoRegression, several: bool) -> str:
    whose = f" of {delta.prompt} on {delta.model}" if several else ""
    text = f"{delta.metric}{whose} {_moved(delta)}"
    if word == "insufficient data":
        return f"{text}: {_unsettled(delta, asked)}"
    return text


def _moved(delta: Delta) -> str:
    """``went from 90.0 % to 85.0 % (-5.0 points, 95 % interval -14.1 to +3.9, p 0.13) ...``."""
    if delta.difference is None or delta.before is None or delta.after is None:
        return "was scored on neither side"
    if delta.low is None or delta.high is None:
        return f"moved by {change_text(delta.difference)} in one case"
    rate = delta.metric == "pass_rate"
    said, moved = (share_text, change_text) if rate else (number_text, signed_text)
    text = f"went from {said(delta.before)} to {said(delta.after)} "
    text += f"({moved(delta.difference)}{' points' if rate else ''}, "
    text += f"{delta.confidence * 100:g} % interval {moved(delta.low)} to {moved(delta.high)}, "
    text += f"one-sided p {p_text(delta.p_adjusted)}"
    if delta.family > 1:
        text += f" among {delta.family}"
    text += f") over {count_text(delta.cases, 'case')}"
    if delta.repeats > 1:
        text += f" x {delta.repeats}"
    if delta.left_out:
        text += f", {count_text(delta.left_out, 'case')} not scored on a side"
    return text


def _unsettled(delta: Delta, asked: NoRegression) -> str:
    rate = delta.metric == "pass_rate"
    margin = f"{asked.margin * 100:g} points" if rate else f"{asked.margin:g}"
    design = stats.Design(
        max(delta.cases, 1), _variance(delta), delta.repeats, delta.before if rate else None
    )
    drop = stats.detectable_drop(
        design, margin=asked.margin, confidence=asked.confidence, family=delta.family
    )
    text = f"a loss of more than {margin} cannot be ruled out; "
    if drop is None:
        text += "so few cases show no drop for certain"
    else:
        size = f"{drop * 100:.0f} points" if rate else f"{drop:.2g}"
        text += f"{count_text(delta.cases, 'case')} show a drop from {size} on"
    return text + _settled_by(delta, asked, design)


def _variance(delta: Delta) -> float:
    """The variance of the cases' differences; where hardly any moved, what so few could hide."""
    return max((delta.sd or 0.0) ** 2, 1 / max(delta.cases, 1))


def _settled_by(delta: Delta, asked: NoRegression, design: stats.Design) -> str:
    cases = stats.cases_needed(
        design.variance, asked.margin, confidence=asked.confidence, family=delta.family
    )
    if cases is None:
        return ""
    text = f"; about {_rounded(max(cases, delta.cases + 1))} cases"
    if delta.within is not None:
        repeats = stats.repeats_needed(
            design, delta.within, asked.margin, confidence=asked.confidence
        )
        if repeats is not None and repeats > delta.repeats:
            text += f", or {_rounded(repeats)} repeats of these,"
    return f"{text} would settle it"


def _rounded(number: int) -> str:
    """Two digits are all that such an estimate is worth."""
    digits = max(len(str(number)) - 2, 0)
    return f"{-(-number // 10**digits) * 10**digits:,}"


def _notes(
    matched: Match, judged: Sequence[tuple[Judgement, Delta]], worst: Judgement
) -> list[str]:
    notes = []
    for word in dict.fromkeys(word for word, _ in judged if word != worst):
        alike = sum(other == word for other, _ in judged)
        notes.append(f"{word} in {alike} of {len(judged)} comparisons")
    for one in matched.pairing.incomparable():
        notes.append(f"{count_text(one.cases, 'case')} not compared: {one.reason}")
    if matched.pairing.only_after:
        new = len(matched.pairing.only_after)
        notes.append(f"{count_text(new, 'case')} not in {matched.before.label}")
    if matched.partial:
        notes.append(matched.partial)
    return notes
