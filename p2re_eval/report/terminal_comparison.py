"""A comparison on a terminal: the flips, how far each metric moved, what changed, what it took."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence

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
from p2re_eval.records import Comparison, Delta, Flip, SideFigures
from p2re_eval.report.comparison_wording import (
    change_line,
    flips_line,
    left_out_lines,
    side_line,
    tries_text,
    worth_showing,
)
from p2re_eval.report.terminal_page import Column, Page, encodable, one_line

MOST_FLIPS = 10
"""How many flips are spelt out."""


def comparison_report(comparison: Comparison, *, color: bool = False, width: int = 100) -> str:
    """The comparison alone, as text of at most ``width`` columns."""
    page = Page(color=color, width=max(width, 40))
    add_flips(page, comparison)
    add_comparison(page, comparison)
    text = "\n".join(page.lines).lstrip("\n")
    return encodable(text, sys.stdout.encoding or "utf-8")


def add_flips(page: Page, comparison: Comparison) -> None:
    """The flips, the worst first."""
    before = comparison.before.label
    flips = comparison.flips[:MOST_FLIPS]
    counted = comparison.broke + comparison.fixed
    page.title(f"Flips since {before}: {flips_line(comparison)}")
    for flip in flips:
        _add_flip(page, flip)
    if counted > len(flips):
        more = count_text(counted - len(flips), "more", "more")
        page.lines.append(page.paint(f"  and {more}", "dim"))


def _add_flip(page: Page, flip: Flip) -> None:
    mark = page.paint("✗", "red") if flip.worse else page.paint("✓", "green")
    moved = f"{tries_text(flip.before)} -> {tries_text(flip.after)}"
    if flip.p_value is not None:
        moved += f", p {p_text(flip.p_value)}"
    if flip.scorers:
        moved += f" by {', '.join(flip.scorers)}"
    page.lines.append(f"  {page.row(mark, flip.case_id, moved)}")
    answers = [("was", flip.before_output), ("is", flip.after_output)]
    for word, output in answers:
        if output:
            page.lines.append(f"    {word:<4}{one_line(output, page.width - 8)}")
    if flip.worse:
        for line in flip.why:
            page.lines.append(f"    {one_line(line, page.width - 4)}")


def add_comparison(page: Page, comparison: Comparison) -> None:
    """The table of differences, what was left out, what changed, and what the runs took."""
    page.title(f"Compared with {side_line(comparison.before)}")
    if comparison.note:
        page.lines += page.block(comparison.note)
    deltas = worth_showing(comparison.deltas)
    if deltas:
        page.table(_columns(deltas))
    for line in left_out_lines(comparison):
        page.lines += page.block(line)
    if comparison.changes:
        page.title("What changed")
        for change in comparison.changes:
            page.lines += page.block(change_line(change))
    _add_figures(page, comparison)


def _columns(deltas: Sequence[Delta]) -> list[Column]:
    names = [
        ("suite", [d.suite for d in deltas]),
        ("prompt", [d.prompt for d in deltas]),
        ("model", [d.model for d in deltas]),
        ("metric", [d.metric for d in deltas]),
    ]
    columns = [
        Column(title, tuple(one_line(cell) for cell in cells), align="left")
        for title, cells in names
        if len(set(cells)) > 1 or title == "metric"
    ]
    share = f"{deltas[0].confidence * 100:g} %"
    columns += [
        Column("was", tuple(_value(d, d.before) for d in deltas)),
        Column("is", tuple(_value(d, d.after) for d in deltas)),
        Column("change", tuple(_moved(d, d.difference) for d in deltas)),
        Column(share, tuple(_interval(d) for d in deltas), rank=1),
        Column("p", tuple(p_text(d.p_value) for d in deltas), rank=2),
        Column("cases", tuple(_cases(d) for d in deltas)),
    ]
    if any(d.left_out for d in deltas):
        columns.append(Column("left out", tuple(f"{d.left_out:,}" for d in deltas)))
    return columns


def _value(delta: Delta, value: float | None) -> str:
    return share_text(value) if delta.metric == "pass_rate" else number_text(value)


def _moved(delta: Delta, value: float | None) -> str:
    if value is None:
        return UNKNOWN
    return change_text(value) if delta.metric == "pass_rate" else signed_text(value)


def _interval(delta: Delta) -> str:
    if delta.low is None:
        return UNKNOWN
    return f"{_moved(delta, delta.low)} to {_moved(delta, delta.high)}"


def _cases(delta: Delta) -> str:
    times = f" x{delta.repeats}" if delta.repeats > 1 else ""
    return f"{delta.cases:,}{times}"


def _add_figures(page: Page, comparison: Comparison) -> None:
    old, new = comparison.before.figures, comparison.after.figures
    lines = [line for line in _figure_lines(old, new) if line]
    if not lines:
        return
    page.title(f"Now, and then ({comparison.before.label}), for the cases compared")
    page.lines += [f"  {line}" for line in lines]


def _figure_lines(old: SideFigures, new: SideFigures) -> Iterator[str]:
    yield _pair("cost", new.cost_usd, old.cost_usd, money_text)
    yield _pair("tokens in", new.input_tokens, old.input_tokens, tokens_text)
    yield _pair("tokens out", new.output_tokens, old.output_tokens, tokens_text)
    yield _pair("p50", new.p50_ns, old.p50_ns, duration_text)
    yield _pair("p95", new.p95_ns, old.p95_ns, duration_text)
    yield f"{'answers':<11}{_sources(new)}, was {_sources(old)}"


def _pair(
    name: str, new: float | None, old: float | None, text: Callable[[float | None], str]
) -> str:
    if new is None and old is None:
        return ""
    return f"{name:<11}{text(new)}, was {text(old)}"


def _sources(figures: SideFigures) -> str:
    words = ((figures.live, "live"), (figures.cache, "cached"), (figures.replay, "replayed"))
    return " + ".join(f"{n:,} {word}" for n, word in words if n) or "none"
