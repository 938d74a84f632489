"""``p2re experiments``: what was run, and its reports again."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main


def experiments(project, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["experiments", *arguments, "--db", str(project.db)])


@pytest.fixture
def ran(project):
    """A project whose suite ran: one case passed, one missed."""
    project.suite({"a": "billing", "b": "technical"}, more="gates: [pass_rate >= 0.4]")
    project.run()
    return project


def test_the_newest_comes_first(ran) -> None:
    """One line each: id, start, status, runs, suites."""
    ran.run("-k", "case-0")
    listed = json.loads(experiments(ran, "list", "--json").output)
    assert [entry["planned"] for entry in listed] == [1, 2]
    lines = experiments(ran, "list").output.splitlines()
    assert lines[0].split() == ["experiment", "started", "status", "runs", "commit", "suites"]
    assert lines[2].startswith(listed[0]["experiment_id"][:12])
    assert lines[2].endswith("suites/support.yaml")
    assert len(experiments(ran, "list", "--limit", "1").output.splitlines()) == 3


def test_many_suites_are_counted(ran) -> None:
    """A line stays a line: the first suite and how many more."""
    for name in ("one", "two"):
        ran.suite({"a": "billing"}, name=name)
    ran.run()
    line = experiments(ran, "list", "--limit", "1").output.splitlines()[2]
    assert line.endswith("suites/one.yaml and 2 more")


def test_the_report_again(ran) -> None:
    """The latest by default, with its verdict first."""
    result = experiments(ran, "show")
    assert result.exit_code == 0
    assert result.output.lstrip().startswith("PASSED  1 gate met, 1 of 2 runs passed")
    assert "\x1b" not in result.output


def test_the_report_as_json(ran) -> None:
    """On standard output, for other programs."""
    report = json.loads(experiments(ran, "show", "latest", "--json").output)
    assert report["verdict"]["passed"] is True
    assert [result["outcome"] for result in report["results"]] == ["passed", "failed"]


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
def test_the_report_as_a_file(ran, suffix: str) -> None:
    """By its suffix, as `--p2re-report` writes it."""
    path = ran.path / f"report.{suffix}"
    assert experiments(ran, "show", "--report", str(path)).output == f"report    {path}\n"
    assert "support" in path.read_text()


def test_an_id_nobody_has(ran) -> None:
    """Exit code 2 and where to look."""
    result = experiments(ran, "show", "zzz")
    assert result.exit_code == 2
    assert result.output == (
        f"{ran.db}: no experiment 'zzz'; `p2re experiments list` shows those there are\n"
    )


def test_a_database_that_is_not_there_is_not_made(project) -> None:
    """Looking leaves nothing behind."""
    result = experiments(project, "list")
    assert result.exit_code == 2
    assert result.output == (
        f"{project.db}: there is no database yet; "
        "run a suite with --p2re, or name another with --db\n"
    )
    assert not project.db.exists()
