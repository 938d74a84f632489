"""``--p2re-against REV``: yesterday's prompts answer today's cases beside today's prompts."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.records import Comparison, Experiment
from p2re_eval.store import open_store

POLITE = '"polite[\\\\s\\\\S]*(one|two|three|four|five|six)": "With the greatest pleasure: billing"'
NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
PROMPT = """\
    model: {provider: scripted, name: router}
    inputs:
      ticket: {type: string}
    messages:
      - user: "{% include 'tone.jinja' %} {{ ticket }}"
    """


def git(folder: Path, *arguments: str) -> str:
    names = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a"}
    environment = {**os.environ, **names, "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(
        ["git", *arguments], cwd=folder, env=environment, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(project: Any) -> Any:
    """Ten cases whose prompt includes a partial, committed; the working tree changes the partial
    so that six of them fail."""
    project.write("prompts/route.yaml", PROMPT)
    project.write("prompts/tone.jinja", "Be brief.")
    answers = f"{{answers: {{{POLITE}, '.*': billing}}}}"
    cases = "\n".join(
        f"- {{id: {number}, inputs: {{ticket: {number}}}, expected: billing}}" for number in NUMBERS
    )
    project.write(
        "suites/support.yaml",
        f"prompt: route\nmodels:\n- {{provider: scripted, name: router, extra: {answers}}}\n"
        f"scorers: [equals]\ngates: [no_regression]\ncases:\n{cases}\n",
    )
    project.write(".gitignore", "*.db*\n")
    git(project.path, "init", "--quiet", "--initial-branch", "main")
    git(project.path, "add", "--all")
    git(project.path, "commit", "--quiet", "-m", "brief")
    project.write("prompts/tone.jinja", "Be polite.")
    return project


def experiments(project: Any) -> list[Experiment]:
    with open_store(project.db) as store:
        return store.list_experiments()


def report(project: Any) -> Comparison:
    told = json.loads((project.path / "report.json").read_text())["comparison"]
    return Comparison.model_validate(told)


def test_a_changed_partial_is_found_and_the_gate_is_red(repository: Any) -> None:
    """The prompts of the revision ran beside, the six flips are named, the working tree stays."""
    result = repository.run("--p2re-against", "main", "--p2re-report", "report.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "Flips since main (*): 6 worse, of 10 cases",
            "  ✗ five  passed -> failed by equals",
            "    was billing",
            "    is  With the greatest pleasure: billing",
            "*✗ no_regression*regression: pass_rate went from 100 %*",
            "  pass_rate  100 %  40.0 %   -60.0*",
            "  wording: route, * -> *",
            "  rendered text: route (10 cases)",
        ]
    )
    found = report(repository)
    assert (found.cases, found.broke, found.fixed) == (10, 6, 0)
    assert found.deltas[0].p_value == pytest.approx(0.03125)
    assert (repository.path / "prompts/tone.jinja").read_text() == "Be polite."
    other, now = experiments(repository)
    assert now.settings["baseline"] == other.experiment_id
    assert (other.settings["against"], other.status) == ("main", "COMPLETE")
    assert now.verdicts[0].judgement == "regression"


def test_what_is_identical_is_not_run_again(repository: Any) -> None:
    """An unchanged prompt has the same runs on both sides: that is no change for sure."""
    repository.write("prompts/tone.jinja", "Be brief.")
    result = repository.run("--p2re-against", "main")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "*no_regression*no change: all 10 cases are the very same*",
            "  10 runs identical at main (*), reused",
        ]
    )
    with open_store(repository.db) as store:
        assert len(store.list_traces()) == 10


def test_recorded_runs_of_the_revision_are_reused(repository: Any) -> None:
    """A second look calls the model for the working tree only."""
    repository.run("--p2re-against", "main")
    repository.run("--p2re-against", "main")
    with open_store(repository.db) as store:
        assert len(store.list_traces()) == 30


def test_a_partial_selection_is_compared_alone_and_says_so(repository: Any) -> None:
    """Two of ten: nothing is missing, only not selected."""
    result = repository.run("--p2re-against", "main", "-k", "one or seven or gate")
    result.stdout.fnmatch_lines(
        ["Flips since main (*): 1 worse, of 2 cases", "*only the 2 selected of 10 runs*"]
    )


def test_xdist_workers_share_one_other_side(repository: Any) -> None:
    """Each runs the counterparts of its own items; the controller compares."""
    result = repository.run("--p2re-against", "main", "-n", "2", subprocess=True)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["Flips since main (*): 6 worse, of 10 cases", "*✗ no_regression*regression:*"]
    )
    assert len(experiments(repository)) == 2


def test_shards_merge_both_sides(repository: Any) -> None:
    """Each machine runs its share of both; the gate decides on the whole, as on one machine."""
    for number in ("1", "2"):
        shard = ("--p2re-db", str(repository.path / f"{number}.db"), "--p2re-shard", f"{number}/2")
        assert repository.run("--p2re-against", "main", *shard).ret == 0
    arguments = ["merge", "1.db", "2.db", "-o", "whole.db", "--report", "report.json"]
    with contextlib.chdir(repository.path):
        merged = CliRunner().invoke(main, arguments)
    assert merged.exit_code == 1
    assert ": 6 worse, of 10 cases" in merged.output
    assert "✗ no_regression" in merged.output
    found = report(repository)
    assert (found.cases, found.broke) == (10, 6)


def test_a_new_prompt_has_nothing_to_be_compared_with(repository: Any) -> None:
    """It is named, and its gate is red: nobody knows whether it is worse than nothing."""
    repository.write("prompts/fresh.yaml", PROMPT)
    suite = (repository.path / "suites/support.yaml").read_text()
    repository.write("suites/support.yaml", suite.replace("prompt: route", "prompt: fresh"))
    result = repository.run("--p2re-against", "main")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["*no_regression*incomparable:*", "*10 runs without a partner: no working prompt 'fresh'*"]
    )


def test_a_new_input_is_left_out_for_the_old_prompt(repository: Any) -> None:
    """The older prompt did not know it, and could not have used it."""
    repository.write(
        "prompts/route.yaml",
        PROMPT.replace("{type: string}", "{type: string}\n      mood: {type: string}").replace(
            "tone.jinja' %}", "tone.jinja' %} {{ mood }}"
        ),
    )
    suite = (repository.path / "suites/support.yaml").read_text()
    repository.write("suites/support.yaml", suite.replace("{ticket", "{mood: sad, ticket"))
    result = repository.run("--p2re-against", "main")
    result.stdout.fnmatch_lines(["Flips since main (*): 6 worse, of 10 cases"])


def test_an_unknown_revision_is_an_error_before_any_call(repository: Any) -> None:
    """With the nearest branch."""
    result = repository.run("--p2re-against", "mian")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*does not know the revision 'mian'*did you mean 'main'?*"])


def test_a_shallow_detached_checkout_says_what_to_fetch_and_then_works(
    repository: Any, tmp_path: Path
) -> None:
    """As CI makes it: one commit, no branch. After the command it names, main is enough."""
    git(repository.path, "checkout", "--quiet", "-b", "change")
    git(repository.path, "commit", "--quiet", "-am", "polite")
    clone = tmp_path / "clone"
    address = f"file://{repository.path}"
    git(tmp_path, "clone", "--quiet", "--depth", "1", "--branch", "change", address, str(clone))
    git(clone, "checkout", "--quiet", "--detach")
    arguments = ("--p2re-against", "main", "--rootdir", str(clone), str(clone / "suites"))
    refused = repository.run(*arguments, subprocess=True)
    assert refused.ret == pytest.ExitCode.USAGE_ERROR
    command = "git fetch --depth 1 origin main:refs/remotes/origin/main"
    refused.stderr.fnmatch_lines([f"*this clone is shallow; run `{command}`"])
    git(clone, *command.split()[1:])
    result = repository.run(*arguments, subprocess=True)
    result.stdout.fnmatch_lines(["Flips since main (*): 6 worse, of 10 cases"])


def test_replay_compares_with_the_recordings_of_both_revisions(repository: Any) -> None:
    """No model, no key: each side's answers were committed with its prompts."""
    command = str(Path(sys.executable).with_name("p2re"))
    record = [command, "record", "suites/support.yaml", "--db", str(repository.db)]
    repository.write("prompts/tone.jinja", "Be brief.")
    repository.pytester.run(*record)
    git(repository.path, "add", "--all")
    git(repository.path, "commit", "--quiet", "-m", "recordings")
    repository.write("prompts/tone.jinja", "Be polite.")
    repository.pytester.run(*record)
    arguments = ("--p2re-against", "main", "--p2re-source", "replay")
    result = repository.run(*arguments)
    result.stdout.fnmatch_lines(
        ["Flips since main (*): 6 worse, of 10 cases", "  answers    10 replayed, was 10 replayed"]
    )
