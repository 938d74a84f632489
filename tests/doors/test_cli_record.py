"""``p2re record``: the answers become a file that replays them."""

from __future__ import annotations

import json

from click.testing import CliRunner, Result

from p2re_eval.cli import main


def record(project, *arguments: str) -> Result:
    root, db = str(project.path), str(project.db)
    return CliRunner().invoke(main, ["record", "--root", root, "--db", db, *arguments])


def test_recordings_replay_without_the_model(project) -> None:
    """One line a run in recordings/NAME.jsonl; the replayed run has the same answers."""
    suite = project.suite({"a": "billing", "b": "billing"})
    result = record(project, str(suite))
    assert result.exit_code == 0
    assert result.output == "recordings/support.jsonl: 2 recordings\n"
    lines = (project.path / "recordings/support.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines if line]) >= 2
    replayed = project.run("--p2re-source", "replay")
    replayed.assert_outcomes(passed=2)
    assert {entry.source for entry in project.results()} == {"replay"}


def test_recording_again_gives_the_same_lines(project) -> None:
    """Answers that stay the same leave nothing for git to show but the moment they were made."""
    suite = project.suite({"a": "billing"})
    record(project, str(suite))
    path = project.path / "recordings/support.jsonl"
    first = path.read_text()
    assert record(project, "--source", "cache", str(suite)).exit_code == 0
    assert path.read_text() == first


def test_the_suite_names_its_file(project) -> None:
    """`recordings:` decides where they go."""
    suite = project.suite({"a": "billing"}, more="recordings: kept/here.jsonl")
    assert record(project, str(suite)).output == "kept/here.jsonl: 1 recording\n"
    assert (project.path / "kept/here.jsonl").is_file()


def test_a_wrong_answer_is_recorded_too(project) -> None:
    """Recordings hold what the model said, not what was hoped."""
    suite = project.suite({"a": "technical"})
    assert record(project, str(suite)).exit_code == 0


def test_a_broken_run_writes_nothing(project) -> None:
    """Half a recordings file would make replay fail later: said now, with exit code 1."""
    suite = project.suite({"a": "billing"}, extra={"error": "refused"})
    result = record(project, str(suite))
    assert result.exit_code == 1
    assert "suites/support.yaml: 1 run broke, nothing written\n" in result.output
    assert not (project.path / "recordings").exists()


def test_mistakes_come_before_any_call(project) -> None:
    """At their place in the file, with exit code 2."""
    suite = project.write("suites/typo.yaml", "promt: route\ncases: []\n")
    result = record(project, str(suite))
    assert result.exit_code == 2
    assert "suites/typo.yaml:1:1: " in result.output
    assert "did you mean 'prompt'?" in result.output


PLUGIN = """\
from p2re_eval import hookimpl


@hookimpl
def register_scorers(register):
    register("mine", lambda completion, case: True)


@hookimpl
def prepare_environment(environment):
    environment.filters["shout"] = str.upper
"""


def test_the_projects_own_plug_ins_work_without_pytest(project) -> None:
    """Scorers and filters of conftest.py, of the root folder and beside the suite."""
    project.write("conftest.py", PLUGIN)
    project.write("suites/conftest.py", PLUGIN.replace("mine", "beside").replace("shout", "loud"))
    prompt = project.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text().replace("{{ ticket }}", "{{ ticket | shout | loud }}"))
    suite = project.suite({"a": "billing"})
    suite.write_text(suite.read_text().replace("[equals]", "[equals, mine, beside]"))
    result = record(project, str(suite))
    assert result.output == "recordings/support.jsonl: 1 recording\n"
    folder = str(project.path / "prompts")
    command = ["prompts", "render", "route", "-i", "ticket=x", "--folder", folder]
    assert CliRunner().invoke(main, command).output.endswith("user\nX\n")
