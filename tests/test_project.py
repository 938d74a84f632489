"""Where a project keeps things, as pytest itself reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from p2re_eval.errors import UsageError
from p2re_eval.project import layout, nearest_layout

ASK = """
import pytest
class Told:
    def pytest_collection(self, session):
        config = session.config
        print("ASKED", config.getini("p2re_prompts"), config.getini("p2re_suites"))
pytest.main(["-q", "-s", "."], plugins=[Told()])
"""
SAME = "p2re_prompts = asked\np2re_suites = one 'two three'\n"
FILES = {
    "pytest.ini": f"[pytest]\n{SAME}",
    ".pytest.ini": f"[pytest]\n{SAME}",
    "tox.ini": f"[tox]\nenvlist = py311\n[pytest]\n{SAME}",
    "setup.cfg": f"[metadata]\nname = x\n[tool:pytest]\n{SAME}",
    "pyproject.toml": '[tool.pytest.ini_options]\np2re_prompts = "asked"\n'
    "p2re_suites = [\"one\", 'two three']\n",
    "pytest.toml": '[pytest]\np2re_prompts = "asked"\np2re_suites = ["one", "two three"]\n',
}


@pytest.mark.parametrize("name", FILES)
def test_each_of_pytests_files_says_the_same_to_both(tmp_path: Path, name: str) -> None:
    """The folders are those that a real pytest sees there."""
    (tmp_path / name).write_text(FILES[name])
    found = layout(tmp_path)
    assert found.prompts == tmp_path / "asked"
    assert found.suites == (tmp_path / "one", tmp_path / "two three")
    run = subprocess.run(
        [sys.executable, "-c", ASK], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "ASKED asked ['one', 'two three']" in run.stdout


def test_without_settings_the_usual_folders(tmp_path: Path) -> None:
    """And no database of its own."""
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    found = layout(tmp_path)
    assert (found.prompts, found.suites) == (tmp_path / "prompts", (tmp_path / "suites",))
    assert found.database is None


def test_the_first_file_that_speaks_of_pytest_counts_alone(tmp_path: Path) -> None:
    """An empty pytest.ini hides the others, as it does for pytest."""
    (tmp_path / "tox.ini").write_text("[pytest]\np2re_db = runs/p2re.db\n")
    assert layout(tmp_path).database == tmp_path / "runs/p2re.db"
    (tmp_path / "pytest.ini").write_text("")
    assert layout(tmp_path).database is None


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """With what is wrong with it."""
    (tmp_path / "pyproject.toml").write_text("[tool.pytest\n")
    with pytest.raises(UsageError, match=r"pyproject.toml cannot be read \(.+\); correct it"):
        layout(tmp_path)


def test_a_project_is_found_from_below(tmp_path: Path) -> None:
    """The nearest folder upwards in which pytest has settings."""
    (tmp_path / "pytest.ini").write_text("[pytest]\np2re_prompts = asked\n")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert nearest_layout(below).prompts == tmp_path / "asked"


BROKEN = ["p2re_suites = it's", "p2re_db = ~nosuchuser/x", "p2re_suites ="]


@pytest.mark.parametrize("setting", BROKEN)
def test_a_setting_that_cannot_be_used_is_a_sentence(tmp_path: Path, setting: str) -> None:
    """Every command reads them: none may end in a traceback."""
    (tmp_path / "pytest.ini").write_text(f"[pytest]\n{setting}\n")
    with pytest.raises(UsageError, match=r"p2re_suites or p2re_db cannot be used \(.+\); correct"):
        layout(tmp_path)
