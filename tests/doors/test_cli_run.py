"""``p2re`` and ``p2re run``: the way in, and what a slip of the finger gets."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main

COMMAND = "import sys; from p2re_eval.cli import main; sys.argv[0] = 'p2re'; main()"


def p2re(project, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a shell runs it."""
    return subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_near_command_is_suggested() -> None:
    """Exit code 2, and the command that was meant."""
    result = CliRunner().invoke(main, ["promts"])
    assert result.exit_code == 2
    assert "no command is called 'promts'; did you mean 'prompts'?" in result.output


def test_no_help_line_is_cut_short() -> None:
    """On 80 columns, every command's line is whole."""
    for group in ([], ["prompts"], ["traces"], ["experiments"], ["models"]):
        assert "..." not in CliRunner().invoke(main, [*group, "-h"]).output.split("Commands:")[1]


def test_only_the_suites_run(project) -> None:
    """Without a path the tests beside the suites stay out; no warning comes from the way in."""
    project.suite({"I was charged twice.": "billing"})
    project.write("tests/test_other.py", "def test_other():\n    raise AssertionError\n")
    result = p2re(project, "run", "--p2re-db", str(project.db))
    assert result.returncode == 0
    assert "1 passed in" in result.stdout
    assert "warning" not in result.stdout


def test_an_options_value_is_no_path(project) -> None:
    """`-k WORD` chooses among the suites."""
    project.suite({"a": "billing", "b": "technical"})
    project.write("tests/test_case_0.py", "def test_case_0():\n    raise AssertionError\n")
    result = p2re(project, "run", "--p2re-db", str(project.db), "-k", "case-0 or case_0")
    assert result.returncode == 0
    assert "1 passed, 1 deselected" in result.stdout


def test_paths_are_pytests(project) -> None:
    """Exactly what is named runs, and pytest's exit code comes back."""
    project.suite({"a": "technical"}, name="wrong")
    project.suite({"a": "billing"}, name="right")
    assert p2re(project, "run", "--p2re-db", str(project.db), "suites/wrong.yaml").returncode == 1
    assert p2re(project, "run", "--p2re-db", str(project.db), "suites/right.yaml").returncode == 0


def test_a_folder_without_suites(project) -> None:
    """Nothing ran: what to do is said."""
    (project.path / "suites").rmdir()
    result = p2re(project, "run", "--p2re-db", str(project.db))
    assert result.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert result.stderr.endswith("no folder suites/; `p2re init` makes one\n")
