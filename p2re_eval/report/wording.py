"""What every report says the same way: sums, sources, reasons and how to run it again."""

from __future__ import annotations

import shlex
import unicodedata
from collections.abc import Iterator

from p2re_eval.quantities import count_text, money_text, number_text, tokens_text
from p2re_eval.records import Experiment, Result
from p2re_eval.report.summary import FlakyCase, Miss, Summary, Total

MOST_CUTS = 6
"""How many of a lane's cuts are spelt out, the last ones."""


def again(experiment: Experiment) -> str | None:
    """The command that runs the same again; ``None`` when nobody wrote it down."""
    arguments = experiment.settings.get("args")
    if not isinstance(arguments, list):
        return None
    return shlex.join(["pytest", *(str(argument) for argument in arguments)])


def revision_text(experiment: Experiment) -> str | None:
    """``1a2b3c4d5e6f on main, with uncommitted changes``."""
    revision = experiment.revision
    if revision is None:
        return None
    branch = f" on {revision.branch}" if revision.branch else ""
    dirty = ", with uncommitted changes" if revision.dirty else ""
    return f"{revision.commit[:12]}{branch}{dirty}"


def flaky_text(case: FlakyCase) -> str:
    """``2 of 5 passed (12 to 77 %)``: the interval is the 95 % one of its pass rate."""
    return (
        f"{case.passed} of {case.scored} passed ({case.low * 100:.0f} to {case.high * 100:.0f} %)"
    )


def sum_text(total: Total, *, money: bool = False) -> str:
    """A partial sum says that it is one."""
    text = money_text(total.value) if money else tokens_text(total.value)
    return f"{text}+?" if total.unknown and total.value is not None else text


def reasons(result: Result) -> Iterator[str]:
    """What each scorer had against the answer, or why there is none."""
    if result.fault is not None:
        tries = f" after {result.fault.attempts} attempts" if result.fault.attempts > 1 else ""
        yield f"{result.fault.kind}{tries}: {result.fault.message}"
        return
    for evaluation in result.evaluations:
        if evaluation.fault is not None:
            yield f"{evaluation.name} broke: {evaluation.fault.message}"
        elif evaluation.score is not None and evaluation.score.passed is False:
            told = evaluation.score.explanation or f"value {number_text(evaluation.score.value)}"
            yield f"{evaluation.name}: {told}"


def limits_text(experiment: Experiment) -> Iterator[str]:
    """What a service's limits did to the run: calls in flight after each refusal, and what was not
    run because nothing answered any more. Nothing where it all went as asked."""
    limits = experiment.settings.get("limits")
    for name, told in sorted(limits.items() if isinstance(limits, dict) else ()):
        if told.get("cuts"):
            steps = " -> ".join(f"{n:,}" for n in (told["reached"], *told["cuts"][-MOST_CUTS:]))
            cuts = count_text(told["cut"], "cut")
            yield f"{name}: {steps} in flight as it refused calls ({cuts}), {told['now']:,} at last"
        if told.get("closed"):
            lost = f"{count_text(told['not_run'], 'run')} not run: " if told["not_run"] else ""
            yield f"{lost}{told['closed']}"


def answers_text(summary: Summary) -> str:
    sources = summary.figures.sources
    words = (
        ("live", sources.live),
        ("from the cache", sources.cache),
        ("replayed from recordings", sources.replay),
    )
    return ", ".join(f"{n:,} {word}" for word, n in words if n) or "none"


def tokens_used_text(summary: Summary) -> str | None:
    figures = summary.figures
    read, written = figures.input_tokens, figures.output_tokens
    if read.value is None and written.value is None:
        return None
    unknown = max(read.unknown, written.unknown)
    left_out = f"; {count_text(unknown, 'answer')} unknown" if unknown else ""
    return f"{tokens_text(read.value)} in, {tokens_text(written.value)} out{left_out}"


def cost_text(summary: Summary) -> str | None:
    cost = summary.figures.cost_usd
    if cost.value is None:
        unknown = count_text(cost.unknown, "answer")
        return f"unknown for {unknown}" if cost.unknown else None
    left_out = f"; unknown for {count_text(cost.unknown, 'answer')}" if cost.unknown else ""
    return f"{money_text(cost.value)}{_spent(summary)}{left_out}"


def budget_text(experiment: Experiment) -> str | None:
    """``$0.08 of $0.10 spent``, judges included; ``None`` without a budget."""
    limit, spent = (experiment.settings.get(name) for name in ("p2re_budget", "p2re_spent"))
    if not isinstance(limit, int | float) or not isinstance(spent, int | float):
        return None
    return f"{money_text(spent)} of {money_text(limit)} spent"


def refused_text(summary: Summary) -> str | None:
    """Why runs were not made, by the first of them; ``None`` when money was no matter."""
    result = summary.refused
    return None if result is None or result.fault is None else result.fault.message


def saved_text(summary: Summary) -> str | None:
    """What early stop left out; ``None`` when nothing."""
    figures = summary.figures
    if not figures.stopped_early:
        return None
    saved = figures.saved_usd
    money = "" if saved == 0 else f", about {money_text(saved)}" if saved else ", money unknown"
    return f"{count_text(figures.stopped_early, 'run')} not needed{money}"


def quarantine_text(miss: Miss) -> str:
    """How a case in quarantine did, and why it is there."""
    how = f"{miss.missed} of {miss.repeats} failed" if miss.missed else "passes again"
    if miss.repeats == 1 and miss.missed:
        how = miss.result.outcome
    return f"{how}; {miss.result.quarantine}"


def _spent(summary: Summary) -> str:
    """How much of the cost is new: answers from the cache or a recording were paid for before."""
    sources, live = summary.figures.sources, summary.figures.live_cost_usd
    if not summary.figures.cost_usd.value or (not sources.cache and not sources.replay):
        return ""
    if not sources.live:
        return ", none of it spent now"
    if live.value is None:
        return ", how much of it now is unknown"
    return f", {money_text(live.value)} of it spent now"


_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def visible(text: str, *, keep: str = "") -> str:
    """The text with control, direction and lone surrogate characters as their numbers: a terminal
    or a reader can be fooled by them."""
    if text.isprintable():
        return text
    return "".join(
        f"\\u{ord(character):04x}"
        if character not in keep
        and (unicodedata.category(character) in _UNSEEN or character in _DIRECTIONS)
        else character
        for character in text
    )
