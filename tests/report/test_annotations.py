"""GitHub's annotations: at the line of YAML, and nothing that a model said becomes a command."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from p2re_eval.report import summarize
from p2re_eval.report.annotations import MOST, annotation_lines, wanted_annotations


def lines(made: Any, **options: Any) -> list[str]:
    return list(annotation_lines(made.experiment, summarize(made.results), **options))


def test_red_gates_come_first_then_cases_at_their_lines(mixed: Any) -> None:
    """A bad answer that gates decide about is a warning; a broken machine is an error."""
    said = lines(mixed)
    assert said[0] == (
        "::error title=gate missed%3A pass_rate >= 0.9::pass_rate is 0.500; misses >= 0.9"
    )
    assert (
        "::warning file=suites/support.yaml,line=3,title=late-parcel failed%2C 2 of 2 runs "
        "(route%2C openai/small)::equals: expected 'billing', got 'technical'%0Aanswer: technical"
    ) in said
    assert (
        "::error file=suites/support.yaml,line=5,title=broken no answer (route%2C local/smollm2)::"
        "timeout after 3 attempts: no answer"
    ) in said
    assert len(said) == 5


def test_without_gates_a_bad_answer_is_an_error(made: Any) -> None:
    """It fails the run."""
    made.add("bad", "failed")
    assert lines(made)[0].startswith("::error file=suites/support.yaml,line=1,title=bad failed")


def test_what_a_model_said_begins_no_command(made: Any) -> None:
    """Line breaks, per cent signs and control characters are written so that GitHub reads text."""
    made.add("a,b:c", "failed", text="50%\n::error::owned\r::stop-commands::x\x1b[31m")
    (line,) = lines(made)
    assert "\n" not in line
    assert "\r" not in line
    assert "title=a%2Cb%3Ac failed" in line
    assert "answer: 50%25%0A::error::owned\\u000d::stop-commands::x\\u001b[31m" in line


def test_places_are_below_the_top_of_the_repository(made: Any, tmp_path: Path) -> None:
    """Where the project is a folder of it, the path says so; elsewhere than on GitHub, nothing."""
    made.add("bad", "failed")
    summary = summarize(made.results)
    project = tmp_path / "services" / "bot"
    project.mkdir(parents=True)
    inside = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(tmp_path)}
    (line,) = wanted_annotations(made.experiment, summary, project, inside)
    assert line.startswith("::error file=services/bot/suites/support.yaml,line=1,")
    (line,) = wanted_annotations(made.experiment, summary, tmp_path, inside)
    assert line.startswith("::error file=suites/support.yaml,line=1,")
    assert list(wanted_annotations(made.experiment, summary, project, {})) == []


def test_a_long_list_is_cut(made: Any) -> None:
    """Nobody reads a thousand, and GitHub shows ten."""
    for number in range(30):
        made.add(f"bad-{number}", "failed")
        made.add(f"broken-{number}", "error")
    said = lines(made)
    assert len(said) == MOST + 1
    assert said[-1] == "::notice::10 more are in the report"
