"""A comparison as Markdown: the flips with both answers, then how far each metric moved."""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.quantities import count_text, p_text
from p2re_eval.records import Comparison, Delta, Flip
from p2re_eval.report.comparison_wording import (
    change_line,
    delta_texts,
    flips_line,
    left_out_lines,
    side_line,
    tries_text,
    worth_showing,
)
from p2re_eval.report.markdown_text import code, escape, fenced, table

MOST_TOLD = 20
"""How many flips show both answers; the table lists more."""
MOST_LISTED = 100


def flip_sections(comparison: Comparison) -> Iterator[str]:
    """Each flip a section of its own, so that the size limit drops the last ones."""
    label = escape(comparison.before.label)
    yield f"\n### Since {label}: {escape(flips_line(comparison))}\n"
    if comparison.note:
        yield f"\n{escape(comparison.note)}\n"
    if comparison.flips:
        rows = [_row(flip) for flip in comparison.flips[:MOST_LISTED]]
        yield table(["", "case", "prompt", "model", "was → is", "scorers", "p"], "cllllll", rows)
    for flip in comparison.flips[:MOST_TOLD]:
        yield _told(flip, comparison.before.label)
    more = comparison.broke + comparison.fixed - min(len(comparison.flips), MOST_LISTED)
    if more > 0:
        yield f"\nand {more:,} more\n"


def comparison_sections(comparison: Comparison) -> Iterator[str]:
    """The differences, what changed, and what was not compared."""
    deltas = worth_showing(comparison.deltas)
    if deltas:
        titles = ["metric", "suite", "prompt", "model", "was", "is", "change"]
        titles += [f"{deltas[0].confidence * 100:g} %", "p", "cases"]
        rows = [_delta(delta) for delta in deltas]
        title = f"\n### Compared with {escape(side_line(comparison.before))}\n"
        yield title + table(titles, "llllrrrrrr", rows)
    lines = [change_line(change) for change in comparison.changes]
    if lines:
        yield "\nWhat changed\n\n" + "".join(f"- {escape(line)}\n" for line in lines)
    left_out = list(left_out_lines(comparison))
    if left_out:
        yield "\nNot compared\n\n" + "".join(f"- {escape(line)}\n" for line in left_out)


def _row(flip: Flip) -> list[str]:
    return [
        "✗" if flip.worse else "✓",
        code(flip.case_id),
        code(flip.prompt),
        code(flip.model),
        f"{tries_text(flip.before)} → {tries_text(flip.after)}",
        code(", ".join(flip.scorers)),
        "" if flip.p_value is None else escape(p_text(flip.p_value)),
    ]


def _told(flip: Flip, label: str) -> str:
    word = "worse" if flip.worse else "better"
    title = f"{code(flip.case_id)} {word}: {tries_text(flip.before)} → {tries_text(flip.after)}"
    parts = [f"\n<details><summary>{title}</summary>\n\n"]
    parts += [fenced(why) for why in flip.why]
    for name, text in (
        ("input", flip.inputs_preview),
        (f"answer at {label}", flip.before_output),
        ("answer now", flip.after_output),
        ("expected", flip.expected_preview),
    ):
        if text:
            parts.append(f"\n{escape(name)}\n\n{fenced(text)}")
    return "".join([*parts, "\n</details>\n"])


def _delta(delta: Delta) -> list[str]:
    texts = delta_texts(delta)
    return [
        code(delta.metric),
        code(delta.suite),
        code(delta.prompt),
        code(delta.model),
        escape(texts.was),
        escape(texts.now),
        escape(texts.moved),
        escape(texts.interval),
        escape(texts.p),
        count_text(delta.cases, "case") + texts.repeats,
    ]
