"""The report on a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.report import summarize, terminal_report


def report(made: Any, **options: Any) -> str:
    options.setdefault("encoding", "utf-8")
    return terminal_report(made.experiment, summarize(iter(made.results)), **options)


def test_the_verdict_is_the_first_line(mixed: Any) -> None:
    assert report(mixed, width=120).split("\n")[0] == (
        "FAILED  1 of 2 gates missed, 2 of 8 runs passed, 3 failed, 1 errored, 1 unscored, "
        "1 not run, 1 flaky case"
    )


def test_the_whole_report_at_100_columns(mixed: Any) -> None:
    """Verdict, misses, gates, tables, flaky cases, sources, how to run it again."""
    text = report(mixed, width=100)
    titles = [line for line in text.split("\n") if line and not line.startswith(" ")]
    assert [title.split(":")[0].split("  ")[0] for title in titles] == [
        "FAILED",
        "Not passed",
        "Gates",
        "Prompts and models",
        "Mean scores (scored/errored)",
        "Flaky",
        "answers",
        "tokens",
        "cost",
        "revision",
        "again",
    ]
    assert "✗ late-parcel  openai/small, 2 of 2 runs" in text
    assert "equals: expected 'billing', got 'technical'" in text
    assert "! broken  local/smollm2, no answer" in text
    assert "timeout after 3 attempts: no answer" in text
    assert "equals broke: the scorer raised KeyError" in text
    assert "5 live, 1 from the cache" in text
    assert "$0.0050, $0.0040 of it spent now; unknown for 1 answer" in text
    assert "again     pytest --p2re suites/support.yaml -k 'refund or late'" in text


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(mixed: Any, width: int) -> None:
    mixed.add("x" * 300, "failed", model="openai/" + "m" * 200, told="why " * 200)
    lines = report(mixed, width=width).split("\n")
    assert max(len(line) for line in lines if not line.startswith("again")) <= width


def test_color_is_only_paint(mixed: Any) -> None:
    """Without color there is not one escape; with it, the same text."""
    import re

    plain, painted = report(mixed), report(mixed, color=True)
    assert "\x1b" not in plain
    assert painted.startswith("\x1b[31;1mFAILED\x1b[0m")
    assert re.sub(r"\x1b\[[0-9;]*m", "", painted) == plain


def test_an_ascii_terminal_gets_ascii(mixed: Any) -> None:
    mixed.add("größe", "failed")
    text = report(mixed, encoding="ascii")
    assert text.isascii()
    assert "x late-parcel" in text
    assert "gr\\xf6\\xdfe" in text


def test_a_model_cannot_write_to_the_terminal(made: Any) -> None:
    """Escape sequences, bells and direction marks arrive as numbers."""
    made.add("a", "failed", told="\x1b]0;owned\x07 \x9b2J \u202egnp.exe")
    text = report(made)
    assert not set(text) & {"\x1b", "\x07", "\x9b", "\u202e"}
    assert "\\u001b]0;owned\\u0007" in text


def test_what_all_rows_share_stands_in_the_title(made: Any) -> None:
    made.add("a", model="openai/small")
    made.add("a", model="openai/large")
    lines = report(made).split("\n")
    assert "Prompts and models: route" in lines
    assert sum(line.startswith("  openai/large ") for line in lines) == 2


def test_more_misses_than_are_shown_are_counted(made: Any) -> None:
    for number in range(25):
        made.add(f"c{number}", "failed")
    assert "  and 15 more" in report(made).split("\n")


def test_an_experiment_without_results_says_so(made: Any) -> None:
    assert report(made).startswith("NOTHING SCORED  0 of 0 runs passed")
