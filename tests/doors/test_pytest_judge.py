"""A judge's calls come from the same source as the run they judge."""

from __future__ import annotations

from typing import Any

from click.testing import CliRunner

from p2re_eval.cli import main

BOTS = """\
import json
from pathlib import Path

def _count(name):
    with Path(__file__).with_name(name).open("a") as file:  # appended: threads call this at once
        file.write("x")

def answer(ticket):
    _count("answered.txt")
    return "billing"

def judge(prompt):
    _count("judged.txt")
    return json.dumps({"explanation": "polite", "score": 1, "verdict": "pass"})
"""


def _project(project: Any) -> None:
    project.write("bots.py", BOTS)
    project.write(
        "suites/s.yaml",
        """\
        prompt: route
        models: ["function/bots:answer"]
        scorers:
          - llm_judge: {rubric: Polite, model: "function/bots:judge"}
        cases:
          - {id: a, inputs: {ticket: x}}
          - {id: b, inputs: {ticket: y}}
        """,
    )


def _calls(project: Any) -> tuple[int, int]:
    names = ("answered.txt", "judged.txt")
    return tuple(len((project.path / name).read_text()) for name in names)  # type: ignore[return-value]


def test_a_cached_judge_is_not_called_again(project: Any) -> None:
    """Live asks both each time; the cache asks neither."""
    _project(project)
    project.run().assert_outcomes(passed=2)
    assert _calls(project) == (2, 2)
    project.run("--p2re-source", "cache").assert_outcomes(passed=2)
    assert _calls(project) == (2, 2)
    project.run().assert_outcomes(passed=2)
    assert _calls(project) == (4, 4)


def test_a_changed_rubric_asks_the_judge_and_not_the_model(project: Any) -> None:
    """Only what changed costs money."""
    _project(project)
    project.run().assert_outcomes(passed=2)
    suite = project.path / "suites/s.yaml"
    suite.write_text(suite.read_text().replace("Polite", "Friendly"))
    project.run("--p2re-source", "cache").assert_outcomes(passed=2)
    assert _calls(project) == (2, 4)


def test_recordings_hold_the_judges_calls_and_replay_calls_nobody(project: Any) -> None:
    """p2re record, then replay; a changed rubric has no recording and says so once."""
    _project(project)
    database = ["--root", str(project.path), "--db", str(project.db)]
    recorded = CliRunner().invoke(main, ["record", str(project.path / "suites/s.yaml"), *database])
    assert recorded.exit_code == 0, recorded.output
    assert len((project.path / "recordings/s.jsonl").read_text().splitlines()) == 4
    project.run("--p2re-source", "replay").assert_outcomes(passed=2)
    assert _calls(project) == (2, 2)
    suite = project.path / "suites/s.yaml"
    suite.write_text(suite.read_text().replace("Polite", "Friendly"))
    result = project.run("--p2re-source", "replay")
    result.assert_outcomes(errors=2)
    assert _calls(project) == (2, 2)
    said = result.stdout.str()
    assert "run p2re record, or run with --p2re-source live" in said
