"""Commands look where pytest's settings say that prompts, suites and the database are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
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
