"""Where answers come from: live, cache, replay."""

from __future__ import annotations

import json
from typing import Any

from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.store import open_store


def test_the_cache_answers_identical_runs_only(project: Any) -> None:
    """The second run calls nothing; another parameter, word or repeat is another run."""
    project.suite({"x": "billing", "y": "billing"}, more="repeat: 2")
    project.run()
    project.run("--p2re-source", "cache").assert_outcomes(passed=4)
    assert [r.source for r in project.results()] == ["cache"] * 4
    project.suite({"x": "billing", "z": "billing"}, more="repeat: 3")
    project.run("--p2re-source", "cache")
    assert [r.source for r in project.results()] == ["cache", "cache", "live"] + ["live"] * 3


def test_cases_that_share_a_cached_answer_keep_their_own_scores(project: Any) -> None:
    """The same ticket, expected otherwise: one answer, two verdicts, each with one reason."""
    path = project.suite({"x": "billing"})
    path.write_text(path.read_text() + "  - {id: other, inputs: {ticket: x}, expected: account}\n")
    project.run()
    project.run("--p2re-source", "cache").assert_outcomes(passed=1, failed=1)
    first, second = project.results()
    assert first.trace_id == second.trace_id
    for result, outcome, value in ((first, "passed", 1.0), (second, "failed", 0.0)):
        assert result.outcome == outcome
        assert [e.score.value for e in result.evaluations if e.score] == [value]
    with open_store(project.db) as store:
        seen = list(store.observations(first.experiment_id))
    assert [[score.value for score in one.scores] for one in seen] == [[1.0], [0.0]]


def test_live_never_reads_the_cache(project: Any) -> None:
    """The default pays for a fresh answer."""
    project.suite({"x": "billing"})
    project.run()
    project.run()
    assert [r.source for r in project.results()] == ["live"]


def test_replay_answers_from_recordings_and_a_miss_is_an_error(project: Any) -> None:
    """p2re record writes them; replay needs no model; a changed prompt is a miss with a reason."""
    project.suite({"x": "billing", "y": "billing"})
    recorded = CliRunner().invoke(
        main, ["record", "suites/support.yaml", "--db", str(project.db)], catch_exceptions=False
    )
    assert recorded.exit_code == 0, recorded.output
    lines = (project.path / "recordings/support.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert {json.loads(line)["completion"]["text"] for line in lines} == {"billing"}
    project.run("--p2re-source", "replay").assert_outcomes(passed=2)
    assert [r.source for r in project.results()] == ["replay"] * 2

    prompt = project.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text().replace("Route the ticket", "Send the ticket"))
    result = project.run("--p2re-source", "replay")
    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(["*not_recorded*p2re record*"])


def test_replay_without_recordings_is_a_mistake_before_any_run(project: Any) -> None:
    """The missing file is named."""
    project.suite({"x": "billing"})
    result = project.run("--p2re-source", "replay")
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*recordings/support.jsonl*"])


def test_the_report_counts_live_cached_and_replayed(project: Any) -> None:
    """Nobody mistakes a cached answer for a fresh one."""
    project.suite({"x": "billing"})
    project.run()
    project.suite({"x": "billing", "y": "billing"})
    project.run("--p2re-source", "cache", "--p2re-report", "r.json")
    text = (project.path / "r.json").read_text()
    report = json.loads(text)
    assert report["summary"]["figures"]["sources"] == {"cache": 1, "live": 1, "replay": 0}


def test_reports_are_written_without_a_terminal_too(project: Any) -> None:
    """-p no:terminal silences pytest, not the report that was asked for."""
    project.suite({"x": "billing"})
    project.run("-p", "no:terminal", "--p2re-report", "r.md", subprocess=True)
    assert "1 of 1 run passed" in (project.path / "r.md").read_text()
