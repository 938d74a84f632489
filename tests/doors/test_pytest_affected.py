"""--p2re-affected: only what a change touches runs again."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

CASES = {"a": "billing", "b": "billing", "c": "billing"}


def _git(project: Any, *arguments: str) -> None:
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    subprocess.run(["git", *who, *arguments], cwd=project.path, check=True, capture_output=True)


@pytest.fixture
def recorded(project: Any) -> Any:
    """Two suites on two prompts that share a partial with nobody else, run once and committed."""
    project.write("prompts/partials/tone.jinja", "Be brief.\n")
    project.write(
        "prompts/polite.yaml",
        """\
        model: {provider: scripted, name: router}
        inputs:
          ticket: {type: string}
        messages:
          - system: '{% include "partials/tone.jinja" %}'
          - user: "{{ ticket }}"
        """,
    )
    project.suite(CASES, more="gates: [pass_rate >= 0.5]")
    polite = project.suite(CASES, name="polite", more="gates: [pass_rate >= 0.5]")
    polite.write_text(polite.read_text().replace("prompt: route", "prompt: polite"))
    _git(project, "init", "--quiet")
    _git(project, "add", "-A")
    _git(project, "commit", "--quiet", "--message", "first")
    assert project.run().ret == 0
    return project


def _ran(project: Any, *arguments: str, by: str = "--p2re-baseline=latest") -> list[str]:
    result = project.run("--p2re-affected", by, "-rA", *arguments)
    assert result.ret == 0
    passed = [line for line in result.outlines if line.startswith("PASSED ")]
    return [line.split()[1].split("[")[0].partition("::")[2] for line in passed if "::" in line]


@pytest.mark.parametrize("by", ["--p2re-baseline=latest", "--p2re-against=HEAD"])
def test_without_a_change_nothing_runs_and_all_is_well(recorded: Any, by: str) -> None:
    """Exit code 0: nothing can have become worse."""
    result = recorded.run("--p2re-affected", by)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["affected  since *; 6 unaffected runs left out", "*8 deselected*"])


@pytest.mark.parametrize("by", ["--p2re-baseline=latest", "--p2re-against=HEAD"])
def test_a_changed_partial_touches_the_prompts_that_reach_it(recorded: Any, by: str) -> None:
    """With the gate of its suite, and without the other suite's."""
    recorded.write("prompts/partials/tone.jinja", "Be very brief.\n")
    ran = _ran(recorded, by=by)
    assert ran == ["polite::case-0", "polite::case-1", "polite::case-2", "gate"]


def test_a_changed_row_touches_its_case_alone(recorded: Any) -> None:
    """Beside a recorded baseline, rows are looked at one by one."""
    suite = recorded.path / "suites/support.yaml"
    suite.write_text(suite.read_text().replace('"b"', '"bb"'))
    assert _ran(recorded) == ["route::case-1", "gate"]


def test_beside_a_revision_a_changed_suite_file_runs_whole(recorded: Any) -> None:
    """Nobody knows there which row it was: more than needed, never less."""
    suite = recorded.path / "suites/support.yaml"
    suite.write_text(suite.read_text().replace('"b"', '"bb"'))
    ran = _ran(recorded, by="--p2re-against=HEAD")
    assert ran == ["route::case-0", "route::case-1", "route::case-2", "gate"]


def test_a_changed_scorer_touches_what_it_judges(recorded: Any) -> None:
    """Its options are part of it."""
    suite = recorded.path / "suites/support.yaml"
    suite.write_text(suite.read_text().replace("[equals]", "[{equals: {ignore_case: true}}]"))
    assert _ran(recorded) == ["route::case-0", "route::case-1", "route::case-2", "gate"]


def test_what_has_no_verdict_yet_is_affected(recorded: Any) -> None:
    """A new case, and one that broke when the baseline was made."""
    suite = recorded.path / "suites/support.yaml"
    new = "  - id: case-9\n    inputs: {ticket: z}\n    expected: billing\n"
    suite.write_text(suite.read_text() + new)
    assert _ran(recorded) == ["route::case-9", "gate"]


def test_a_baseline_file_serves_as_well(recorded: Any) -> None:
    """On a CI machine with an empty database."""
    from click.testing import CliRunner

    from p2re_eval.cli import main

    blessed = ["experiments", "bless", "-o", "baseline.jsonl", "--db", str(recorded.db)]
    assert CliRunner().invoke(main, blessed).exit_code == 0
    recorded.db.unlink()
    by = "--p2re-baseline=baseline.jsonl"
    recorded.run("--p2re-affected", by).stdout.fnmatch_lines(["*6 unaffected runs left out"])
    recorded.write("prompts/partials/tone.jinja", "Be very brief.\n")
    assert len(_ran(recorded, by=by)) == 4


def test_it_needs_something_to_look_back_to(recorded: Any) -> None:
    """Without a baseline the question makes no sense; where there is none yet, all of it runs."""
    result = recorded.run("--p2re-affected")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--p2re-affected: give --p2re-baseline REF or --p2re-against*"])
    recorded.db.unlink()
    assert len(_ran(recorded)) == 8


def test_workers_agree_on_what_is_affected(recorded: Any) -> None:
    """With xdist too, and with nothing affected the exit code is 0."""
    arguments = ("--p2re-affected", "--p2re-baseline", "latest", "-n", "2")
    assert recorded.run(*arguments, subprocess=True).ret == 0
    recorded.write("prompts/partials/tone.jinja", "Be very brief.\n")
    recorded.run(*arguments, subprocess=True).assert_outcomes(passed=4)


def test_a_plan_of_what_is_affected(recorded: Any) -> None:
    """Each affected case, and its counterpart of the revision: both cost money."""
    recorded.write("prompts/partials/tone.jinja", "Be very brief.\n")
    looking = ("--p2re-affected", "--p2re-against", "HEAD", "--p2re-plan")
    recorded.run(*looking).stdout.fnmatch_lines(["6 runs: 3 live, 3 from the cache"])
    recorded.write("prompts/partials/tone.jinja", "Be brief.\n")
    result = recorded.run(*looking, "--p2re-shard", "1/9")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["0 runs: nothing to run"])
