"""`register_redactions`: a function of the user's sees every text before the disk does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import RenderedPrompt
from p2re_eval.store import open_store

PLUGIN = """\
from p2re_eval import hookimpl

@hookimpl
def register_redactions(register):
    register("names", lambda text: text.replace("Winterbottom", "[a name]"))
"""
CAPTURED = """
from p2re_eval.tracing import capture, span
with capture({db!r}, sdks=False), span("call", kind="LLM") as step:
    step.input("my name is Winterbottom")
    step.output("hello, Winterbottom")
"""


def bytes_beside(db: Path) -> bytes:
    """Everything on disk: the database, its WAL, whatever is beside it."""
    return b"".join(path.read_bytes() for path in db.parent.glob(f"{db.name}*"))


@pytest.fixture
def installed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which a package with the hook is installed."""
    folder = tmp_path / "site"
    known = folder / "names_plugin-1.0.dist-info"
    known.mkdir(parents=True)
    (folder / "names_plugin.py").write_text(PLUGIN)
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: names-plugin\nVersion: 1.0\n")
    (known / "entry_points.txt").write_text("[p2re_eval]\nnames = names_plugin\n")
    return {**os.environ, "PYTHONPATH": str(folder)}


def test_a_projects_conftest_redacts_its_runs(project: Any) -> None:
    """What is asked and what is answered; the model itself gets the whole text."""
    project.write("conftest.py", PLUGIN)
    project.suite({"I am Winterbottom": "Winterbottom"}, answers={"I am Winter": "Winterbottom"})
    project.run().assert_outcomes(passed=1)
    assert b"[a name]" in bytes_beside(project.db)
    assert b"Winterbottom" not in bytes_beside(project.db)


def test_an_installed_package_redacts_captured_calls_and_commands(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    """No line of the program says so; a note given by hand passes the same gate."""
    db = tmp_path / "runs.db"
    code = CAPTURED.format(db=str(db))
    subprocess.run([sys.executable, "-c", code], env=installed, check=True)
    with open_store(db, read_only=True) as store:
        [row] = store.list_traces()
        prompt = store.read_trace(row.trace_id).prompt
    assert isinstance(prompt, RenderedPrompt)
    assert prompt.messages[0].content == "my name is [a name]"
    give = ["feedback", "give", row.trace_id, "--failed", "--note", "ask Winterbottom"]
    command = [str(Path(sys.executable).with_name("p2re")), *give, "--db", str(db)]
    subprocess.run(command, env=installed, check=True, capture_output=True)
    assert b"Winterbottom" not in bytes_beside(db)
    assert b"ask [a name]" in bytes_beside(db)


def test_where_a_redaction_fails_nothing_is_stored(project: Any) -> None:
    """Not the text as it was: that is what it was to prevent. The run says why."""
    project.write(
        "conftest.py", PLUGIN.replace('text.replace("Winterbottom", "[a name]")', "1 / 0")
    )
    project.suite({"I am Winterbottom": "billing"})
    result = project.run()
    assert result.ret != 0
    assert "the redaction 'names' failed" in result.stdout.str() + result.stderr.str()
    assert b"Winterbottom" not in bytes_beside(project.db)


def test_a_captured_call_goes_on_and_is_counted(tmp_path: Path, installed: dict[str, str]) -> None:
    """The program hears of it in its log."""
    (tmp_path / "site" / "names_plugin.py").write_text(
        PLUGIN.replace("text.replace", "text.nothing")
    )
    code = CAPTURED.format(db=str(tmp_path / "runs.db"))
    done = subprocess.run(
        [sys.executable, "-c", code], env=installed, check=True, capture_output=True, text=True
    )
    assert "the redaction 'names' failed" in done.stderr
    assert "1 span lost" in done.stderr
    assert b"Winterbottom" not in bytes_beside(tmp_path / "runs.db")
