"""A comparison on a terminal: the flips, how far each metric moved, what changed, what it took."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from p2re_eval.quantities import count_text, p_text
from p2re_eval.records import Comparison, Delta, Flip, SideFigures
from p2re_eval.report.comparison_wording import (
    change_line,
    delta_texts,
    figure_rows,
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
    texts = [delta_texts(d) for d in deltas]
    columns += [
        Column("was", tuple(one.was for one in texts)),
        Column("is", tuple(one.now for one in texts)),
        Column("change", tuple(one.moved for one in texts)),
        Column(share, tuple(one.interval for one in texts), rank=1),
        Column("p", tuple(one.p for one in texts), rank=2),
        Column(
            "cases", tuple(f"{d.cases:,}{t.repeats}" for d, t in zip(deltas, texts, strict=True))
        ),
    ]
    if any(d.left_out for d in deltas):
        columns.append(Column("left out", tuple(f"{d.left_out:,}" for d in deltas)))
    return columns


def _add_figures(page: Page, comparison: Comparison) -> None:
    page.title(f"Now, and then ({comparison.before.label}), for the cases compared")
    for name, was, now in figure_rows(comparison):
        page.lines.append(f"  {name.removeprefix('latency '):<11}{now}, was {was}")
    old, new = (_sources(side.figures) for side in (comparison.before, comparison.after))
    page.lines.append(f"  {'answers':<11}{new}, was {old}")


def _sources(figures: SideFigures) -> str:
    words = ((figures.live, "live"), (figures.cache, "cached"), (figures.replay, "replayed"))
    return " + ".join(f"{n:,} {word}" for n, word in words if n) or "none"
