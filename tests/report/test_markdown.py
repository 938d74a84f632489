"""The report as Markdown: readable, bounded, and deaf to what a model says."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.report import markdown_report
from p2re_eval.report.markdown import code, escape, fenced


def report(made: Any, **options: Any) -> str:
    return markdown_report(made.experiment, lambda: iter(made.results), **options)


def test_the_verdict_is_the_heading(mixed: Any) -> None:
    lines = report(mixed).split("\n")
    assert lines[0] == "## ✗ FAILED: support"
    assert lines[2].startswith("1 of 2 gates missed, 2 of 8 runs passed")


def test_every_row_of_a_table_has_its_columns(mixed: Any) -> None:
    rows = [line for line in report(mixed).split("\n") if line.startswith("| ")]
    widths = {row.count("|") - 1 for row in rows}
    assert widths == {3, 4, 6, 15}


def test_gates_models_and_misses_are_there(mixed: Any) -> None:
    text = report(mixed)
    assert "| ✗ | <code>pass&#95;rate &#62;&#61; 0.9</code> |" in text
    assert "### Not passed: 4 cases" in text
    assert "- run again: <code>pytest" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a|b", "a&#124;b"),
        ("<img src=x>", "&#60;img src&#61;x&#62;"),
        ("`x` *y* _z_", "&#96;x&#96; &#42;y&#42; &#95;z&#95;"),
        ("[a](b)", "&#91;a&#93;(b)"),
        ("@team #12", "&#64;&#8203;team &#35;&#8203;12"),
        ("https://x.y", "https&#8203;://x.y"),
        ("two\nlines", "two lines"),
    ],
)
def test_words_keep_no_meaning(text: str, expected: str) -> None:
    assert escape(text) == expected


def test_code_in_a_cell_is_one_line_without_pipes() -> None:
    assert code("a|b\n</code>") == "<code>a&#124;b &#60;/code&#62;</code>"


def test_a_fence_cannot_be_closed_from_inside() -> None:
    """Four backticks inside need five outside."""
    assert fenced("x\n````\n<script>") == "`````text\nx\n````\n<script>\n`````\n"


def test_an_answer_stays_in_its_fence(made: Any) -> None:
    made.add("a", "failed", text="```\n</details><script>alert(1)</script>\n@team")
    text = report(made)
    outside, inside = [], False
    for line in text.split("\n"):
        if line.startswith("````"):
            inside = not inside
        elif not inside:
            outside.append(line)
    assert not any("<script>" in line or "@team" in line for line in outside)


def test_the_size_is_bounded_and_the_note_says_so(made: Any) -> None:
    for number in range(40):
        made.add(f"c{number}", "failed", text="y" * 500)
    text = report(made, most_bytes=10_000)
    assert len(text.encode()) <= 10_000
    assert "sections left out: this page holds 10 KB at most" in text


def test_each_outcome_has_a_column(mixed: Any) -> None:
    """passed, failed, error, unscored and not run, in this order."""
    text = report(mixed)
    assert "| cases | passed | failed | error | unscored | not run |" in text
    row = next(line for line in text.split("\n") if "local/smollm2" in line)
    assert "| 4 | 1 | 0 | 1 | 1 | 1 |" in row
