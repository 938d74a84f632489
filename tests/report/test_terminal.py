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
        "Tokens, cost and time",
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
    lines = report(made, width=120).split("\n")
    assert "Prompts and models: route" in lines
    assert sum(line.startswith("  openai/large ") for line in lines) == 2


def test_more_misses_than_are_shown_are_counted(made: Any) -> None:
    for number in range(25):
        made.add(f"c{number}", "failed")
    assert "  and 15 more" in report(made).split("\n")


def test_an_experiment_without_results_says_so(made: Any) -> None:
    assert report(made).startswith("NOTHING SCORED  0 of 0 runs passed")


def test_each_outcome_is_counted_by_its_own_name(mixed: Any) -> None:
    """What a scorer broke is not added to what the provider broke, nor to what failed."""
    lines = report(mixed, width=140).split("\n")
    header = next(line for line in lines if "pass rate" in line)
    assert header.split() == [
        "model",
        "pass",
        "rate",
        "95",
        "%",
        "cases",
        "passed",
        "failed",
        "error",
        "unscored",
        "not",
        "run",
        "tok",
        "in/out",
        "cost",
        "p50",
        "p95",
    ]
    small, local = (
        next(line.split() for line in lines if line.startswith(f"  {model}"))
        for model in ("openai/small", "local/smollm2")
    )
    assert small[-11:-5] == ["1", "3", "0", "0", "0", "400/80"]
    assert local[-11:-5] == ["1", "0", "1", "1", "1", "200/40"]


@pytest.mark.parametrize("width", [80, 100, 140])
def test_a_narrow_window_takes_no_figure_away(mixed: Any, width: int) -> None:
    """What does not fit beside the outcomes gets a table of its own."""
    text = report(mixed, width=width)
    for title in ("passed", "failed", "error", "unscored", "tok in/out", "cost", "p50", "p95"):
        assert f"  {title}" in text, title
    assert ("Tokens, cost and time" in text) == (width < 140)


def test_more_scorers_than_columns_are_listed_in_rows(made: Any) -> None:
    """No scorer disappears because the window is narrow."""
    names = [f"scorer_number_{n}" for n in range(12)]
    for model in ("openai/small", "openai/large"):
        one = made.add("a", model=model)
        (score,) = one.evaluations
        scores = tuple(score.model_copy(update={"name": name}) for name in names)
        made.results[-1] = one.model_copy(update={"evaluations": scores})
    lines = report(made, width=80).split("\n")
    start = lines.index("Mean scores (scored/errored)")
    assert lines[start + 1].split() == ["model", "scorer", "mean", "scored", "errored"]
    assert len([line for line in lines[start:] if "scorer_number_" in line]) == 24


def test_the_suite_is_left_out_where_the_prompt_says_it(made: Any) -> None:
    """Six suites of six prompts: their files would only take the figures' room."""
    for name in ("one", "two"):
        made.add("a")
        own = {"suite": f"suites/{name}.yaml", "prompt": name}
        made.results[-1] = made.results[-1].model_copy(update=own)
    header = next(line for line in report(made).split("\n") if "pass rate" in line)
    assert header.split()[0] == "prompt"
