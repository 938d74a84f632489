"""Report files: the format by suffix, and never half a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import UsageError
from p2re_eval.records import Result
from p2re_eval.report import SUFFIXES, write_report


def write(path: Path, made: Any) -> None:
    write_report(path, made.experiment, lambda: iter(made.results), made.traces.__getitem__)


@pytest.mark.parametrize(
    ("name", "start"), [("a.html", "<!doctype html>"), ("a.md", "## "), ("a.JSON", "{")]
)
def test_the_suffix_chooses(tmp_path: Path, mixed: Any, name: str, start: str) -> None:
    write(tmp_path / name, mixed)
    assert (tmp_path / name).read_text(encoding="utf-8").startswith(start)


def test_an_unknown_suffix_names_the_three(tmp_path: Path, mixed: Any) -> None:
    with pytest.raises(UsageError, match=r"must end in one of \.html, \.md, \.json"):
        write(tmp_path / "a.pdf", mixed)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_leaves_the_old_report(tmp_path: Path, mixed: Any, suffix: str) -> None:
    path = tmp_path / f"report{suffix}"
    path.write_text("old")

    def broken() -> Iterator[Result]:
        yield mixed.results[0]
        raise OSError("the disk went away")

    with pytest.raises(OSError, match="went away"):
        write_report(path, mixed.experiment, broken, mixed.traces.__getitem__)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_missing_folders_are_made(tmp_path: Path, mixed: Any) -> None:
    write(tmp_path / "out" / "ci" / "report.md", mixed)
    assert (tmp_path / "out" / "ci" / "report.md").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_lone_surrogate_does_not_break_the_file(tmp_path: Path, made: Any, suffix: str) -> None:
    """Models do answer with half a character."""
    made.add("a", "failed", text="half \ud83d", told="half \ud83d")
    path = tmp_path / f"report{suffix}"
    write(path, made)
    assert "ud83d" in path.read_bytes().decode("utf-8")
    if suffix == ".json":
        assert json.loads(path.read_text())["results"][0]["output_preview"] == "half \ud83d"
