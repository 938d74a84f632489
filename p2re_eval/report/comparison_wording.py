"""What every report says the same way of a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2re_eval.quantities import count_text
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
