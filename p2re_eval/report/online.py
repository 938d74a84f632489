"""What an A/B experiment has shown, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from tabulate import tabulate

from p2re_eval.online import Finding, Findings
from p2re_eval.quantities import count_text, share_text


def online_report(found: Findings) -> str:
    """The verdict, the variants, and what is still needed."""
    return "\n".join(_lines(found))


def _lines(found: Findings) -> Iterator[str]:
    experiment = found.experiment
    if found.mismatch:
        yield (
            "SAMPLE RATIO MISMATCH: units are assigned so unevenly that it is no chance "
            f"(p = {found.ratio_p:.2g}). Something loses or repeats units of a variant; do not "
            "believe any comparison below before that is found."
        )
        yield ""
    state = experiment.status.lower()
    winner = f", everybody gets {experiment.winner}" if experiment.winner else ""
    yield f"{experiment.name}: {state}{winner}; {_verdict(found)}"
    yield ""
    yield _table(found)
    yield ""
    yield _needed(found)
    yield (
        f"Differences hold at {share_text(experiment.confidence)} however often you look "
        "(mixture SPRT); a rate's own interval is for one look."
    )


def _verdict(found: Findings) -> str:
    leader, outcome = found.leader, found.experiment.outcome
    if found.mismatch:
        return "no verdict, the assignment is broken"
    if leader is not None:
        return f"{leader.variant} is better in '{outcome}' than {found.variants[0].variant}"
    worse = [one.variant for one in found.variants if one.verdict == "worse"]
    if worse:
        return f"{', '.join(worse)} worse in '{outcome}' than {found.variants[0].variant}"
    return f"no difference in '{outcome}' is shown yet"


def _table(found: Findings) -> str:
    rows = [
        (
            one.variant,
            described.prompt or "",
            described.model or "",
            f"{one.assigned:,}",
            f"{one.judged:,}",
            _number(one.rate),
            _range(one.low, one.high),
            _signed(one.difference),
            _range(one.difference_low, one.difference_high, sign=True),
            "" if one.p is None else f"{one.p:.2g}",
            _word(one),
        )
        for one, described in zip(found.variants, found.experiment.variants, strict=True)
    ]
    headers = ["variant", "prompt", "model", "units", "judged", found.experiment.outcome]
    headers += ["interval", "difference", "always-valid", "p", "verdict"]
    return tabulate(rows, headers=headers, disable_numparse=True)


def _needed(found: Findings) -> str:
    effect = _number(found.experiment.effect)
    if found.needed is None:
        return f"How many units show an effect of {effect} is known once outcomes come in."
    fewest = min(one.judged for one in found.variants)
    left = found.needed - fewest
    more = f"{count_text(left, 'unit')} more" if left > 0 else "reached"
    return f"An effect of {effect} needs {found.needed:,} judged units a variant: {more}."


def _word(one: Finding) -> str:
    return one.verdict or "control"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3g}"


def _range(low: float | None, high: float | None, *, sign: bool = False) -> str:
    if low is None or high is None:
        return ""
    return f"{low:+.3g} to {high:+.3g}" if sign else f"{low:.3g} to {high:.3g}"
