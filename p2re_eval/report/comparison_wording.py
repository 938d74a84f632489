"""What every report says the same way of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from p2re_eval.quantities import (
    UNKNOWN,
    change_text,
    count_text,
    duration_text,
    money_text,
    number_text,
    p_text,
    share_text,
    signed_text,
    tokens_text,
)
from p2re_eval.records import Change, Comparison, Delta, Side, Tries


def flips_line(comparison: Comparison) -> str:
    """``3 worse, 1 better, of 100 cases``."""
    if not comparison.cases:
        return "nothing was compared"
    parts = [(comparison.broke, "worse"), (comparison.fixed, "better")]
    told = [f"{n:,} {word}" for n, word in parts if n] or ["none"]
    return f"{', '.join(told)}, of {count_text(comparison.cases, 'case')}"


def tries_text(tries: Tries) -> str:
    """``passed``, ``failed``, or ``2/3`` where a case has repeats."""
    if tries.scored == 1:
        return "passed" if tries.passed else "failed"
    return f"{tries.passed}/{tries.scored}"


def side_line(side: Side) -> str:
    """How the other side was named, its experiment and its commit."""
    shown = side.experiment_id[:12]
    text = side.label if side.label == shown else f"{side.label}, experiment {shown}"
    return f"{text} at {side.revision.commit[:7]}" if side.revision else text


def worth_showing(deltas: Sequence[Delta]) -> list[Delta]:
    """A scorer whose mean moved just as its prompt's pass rate adds a line and nothing else."""
    rates = {
        (d.suite, d.prompt, d.model): (d.before, d.after) for d in deltas if d.metric == "pass_rate"
    }
    return [
        delta
        for delta in deltas
        if delta.metric == "pass_rate"
        or rates.get((delta.suite, delta.prompt, delta.model)) != (delta.before, delta.after)
    ]


@dataclass(frozen=True)
class DeltaTexts:
    """A metric's move in words: a pass rate in percent and points, anything else as numbers."""

    was: str
    now: str
    moved: str
    interval: str
    p: str
    repeats: str


def delta_texts(delta: Delta) -> DeltaTexts:
    """What every report says of a metric's move; UNKNOWN for what there were too few cases for."""
    rate = delta.metric == "pass_rate"
    said, moved = (share_text, change_text) if rate else (number_text, signed_text)
    low, high = delta.low, delta.high
    return DeltaTexts(
        was=said(delta.before),
        now=said(delta.after),
        moved=UNKNOWN if delta.difference is None else moved(delta.difference),
        interval=UNKNOWN if low is None or high is None else f"{moved(low)} to {moved(high)}",
        p=p_text(delta.p_value),
        repeats=f" x{delta.repeats}" if delta.repeats > 1 else "",
    )


def figure_rows(comparison: Comparison) -> Iterator[tuple[str, str, str]]:
    """What the compared cases took: (name, then, now), without what neither side knows."""
    old, new = comparison.before.figures, comparison.after.figures
    rows = (
        ("cost", money_text(old.cost_usd), money_text(new.cost_usd)),
        ("tokens in", tokens_text(old.input_tokens), tokens_text(new.input_tokens)),
        ("tokens out", tokens_text(old.output_tokens), tokens_text(new.output_tokens)),
        ("latency p50", duration_text(old.p50_ns), duration_text(new.p50_ns)),
        ("latency p95", duration_text(old.p95_ns), duration_text(new.p95_ns)),
    )
    yield from (row for row in rows if {row[1], row[2]} != {UNKNOWN})


def left_out_lines(comparison: Comparison) -> Iterator[str]:
    """Which cases were not compared, and why."""
    for one in (*comparison.incomparable, comparison.only_before, comparison.only_after):
        if one is not None:
            names = ", ".join(one.examples) + (", ..." if one.cases > len(one.examples) else "")
            yield f"{count_text(one.cases, 'case')} not compared: {one.reason} ({names})"


def change_line(change: Change) -> str:
    """``parameters: route, temperature 0 -> 1 (12 cases)``."""
    text = f"{change.what}: {change.name}"
    if change.before is not None or change.after is not None:
        text += f", {change.before or 'nothing'} -> {change.after or 'nothing'}"
    return f"{text} ({count_text(change.cases, 'case')})" if change.cases is not None else text
