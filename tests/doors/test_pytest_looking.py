"""Options that only look: no model is called and no database made."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("option", ["--collect-only", "--setup-only", "--setup-plan"])
def test_looking_calls_no_model(project: Any, option: str) -> None:
    """Setup awaits the answer, so pytest's setup options would otherwise cost money."""
    project.suite({"x": "billing"}, more="gates: [pass_rate >= 0.9]")
    result = project.run(option)
    assert result.ret == 0
    assert not project.db.exists()


CLIENT = """
import sys
import time


def pytest_sessionfinish():
    limit = time.monotonic() + {wait_s}
    while "aiohttp.client" not in sys.modules and time.monotonic() < limit:
        time.sleep(0.01)
    print("client:", "aiohttp.client" in sys.modules)
"""


@pytest.mark.parametrize(
    "options", [["--collect-only"], ["--setup-plan"], ["--p2re-plan"], ["--p2re-source", "replay"]]
)
def test_who_calls_nobody_does_not_import_the_http_client(project: Any, options: list[str]) -> None:
    """It is imported early, beside our own modules, only where a call may follow."""
    project.suite({"x": "billing"})
    project.write("conftest.py", CLIENT.format(wait_s=0))
    result = project.run("-s", *options, subprocess=True)
    result.stdout.fnmatch_lines(["*client: False*"])


def test_a_session_that_may_call_imports_the_http_client_early(project: Any) -> None:
    """The scripted provider needs none: here only the early import can have brought it."""
    project.suite({"x": "billing"})
    project.write("conftest.py", CLIENT.format(wait_s=30))
    result = project.run("-s", subprocess=True)
    result.stdout.fnmatch_lines(["*client: True*"])
    assert result.ret == 0


def test_a_broken_http_client_troubles_nobody_who_does_not_call(project: Any) -> None:
    """The early import fails in silence; a call would say what is wrong."""
    project.suite({"x": "billing"})
    project.write("aiohttp.py", "raise RuntimeError('no such wheel')")
    result = project.run("-W", "error", subprocess=True)
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*no such wheel*")
    result.stderr.no_fnmatch_line("*no such wheel*")


def test_a_file_that_a_program_left_open_is_whole(project: Any) -> None:
    """Python's last search for garbage writes the rest of such files, so it is not spared."""
    project.write("test_one.py", "def test_one(): pass")
    project.write(
        "program.py",
        "import pytest, sys\n"
        "notes = open('notes.txt', 'w')\n"
        "notes.write('not yet on disk')\n"
        "def forget(): return notes\n"
        "sys.exit(pytest.main(['--p2re', '--p2re-db', 'runs.db']))\n",
    )
    done = project.pytester.runpython(project.path / "program.py")
    assert done.ret == 0
    assert (project.path / "notes.txt").read_text() == "not yet on disk"
