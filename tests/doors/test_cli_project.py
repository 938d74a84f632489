"""Commands look where pytest's settings say that prompts, suites and the database are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.records import Experiment
from p2re_eval.store import open_store

PROMPT = "model: {provider: scripted, name: a}\nprompt: hello\n"
SUITE = "prompt: greet\ncases: [{id: only}]\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with folders of its own names, as the working folder."""
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\np2re_prompts = asked\np2re_suites = evals\np2re_db = runs/calls.db\n"
    )
    for name, text in (("asked/greet.yaml", PROMPT), ("evals/greet.yaml", SUITE)):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(*arguments: str) -> str:
    found = CliRunner().invoke(main, arguments)
    assert found.exit_code == 0, found.output
    return found.output


def test_doctor_counts_what_is_there(project: Path) -> None:
    """Not what would be in the usual folders."""
    lines = [" ".join(line.split()) for line in said("doctor").splitlines()]
    assert "ok prompts 1 prompt" in lines
    assert "ok suites 1 suite with 1 case" in lines
    assert f"ok file {project}/runs/calls.db, not there yet; the first run makes it" in lines


def test_prompts_are_listed_from_their_folder(project: Path) -> None:
    """Without --folder."""
    assert "greet" in said("prompts", "list")


def test_traces_come_from_the_projects_database(project: Path) -> None:
    """That which a session there wrote to; --db still wins."""
    with open_store(project / "runs/calls.db"):
        pass
    assert "no traces" in said("traces", "list")
    other = CliRunner().invoke(main, ["traces", "list", "--db", "other.db"])
    assert "other.db: there is no database yet" in other.output


def test_run_collects_the_projects_suites(project: Path) -> None:
    """Without a path."""
    asked = [Path(sys.executable).with_name("p2re"), "run", "--collect-only", "-q"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert "evals/greet.yaml::greet::only[scripted/a#0]" in found.stdout, found.stderr


def test_a_folder_of_its_own_name_that_is_missing_is_the_settings_matter(project: Path) -> None:
    """`p2re init` would make another one."""
    (project / "evals" / "greet.yaml").unlink()
    (project / "evals").rmdir()
    sentence = "no folder evals/, which the setting p2re_suites names; make it, or correct that"
    assert sentence in said("doctor")
    asked = [Path(sys.executable).with_name("p2re"), "run"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert found.stderr.endswith(f"{sentence}\n")


def test_experiments_come_from_the_projects_database(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of --root, else of the project around the working folder."""
    with open_store(project / "runs/calls.db") as store:
        store.finish_experiment(
            Experiment(experiment_id="e1", name="n", started_ns=1, status="COMPLETE")
        )
    below = project / "evals" / "deep"
    below.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for folder, more in ((below, ()), (elsewhere, ("--root", str(project)))):
        monkeypatch.chdir(folder)
        gates = ["experiments", "gate", "e1", "--gate", "pass_rate >= 0.9", *more]
        decided = CliRunner().invoke(main, gates)
        assert "pass_rate" in decided.stdout, decided.output
        same = CliRunner().invoke(main, ["experiments", "compare", "e1", "e1", *more])
        assert same.exit_code == 0, same.output


def test_a_prompts_folder_belongs_to_the_project_around_it(project: Path) -> None:
    """Filters come from that project's conftest.py, however deep the folder lies in it."""
    (project / "conftest.py").write_text(
        "from p2re_eval import hookimpl\n\n\n@hookimpl\n"
        "def prepare_environment(environment):\n"
        "    environment.filters['loud'] = str.upper\n"
    )
    deep = project / "asked" / "deep"
    deep.mkdir()
    (deep / "shout.yaml").write_text(
        "model: {provider: scripted, name: a}\ninputs: {word: {}}\nprompt: '{{ word | loud }}'\n"
    )
    shown = said("prompts", "render", "shout", "--folder", "asked/deep", "-i", "word=hi")
    assert "HI" in shown
