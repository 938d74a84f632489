"""Report files: the format by suffix, and never half a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from p2re_eval.errors import UsageError
from p2re_eval.records import Comparison, Experiment, Result, Trace

SUFFIXES = (".html", ".md", ".json")
"""The kinds of report files."""


def write_report(
    path: Path | str,
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    details: Callable[[str], Trace],
    comparison: Comparison | None = None,
) -> None:
    """Write the report that the suffix asks for, replacing the file only when it is whole.

    ``results_factory`` is called once a pass; ``details`` gives the trace of an id and may raise
    StoreError where it is gone; ``comparison`` is what it was compared with. Missing folders are
    made. Raises UsageError for an unknown suffix and OSError when the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise UsageError(f"{path}: a report's name must end in one of {', '.join(SUFFIXES)}")
    _write_whole(path.resolve(), _pieces(suffix, experiment, results_factory, details, comparison))


def append_markdown(
    path: Path,
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    comparison: Comparison | None = None,
) -> None:
    """Add the Markdown report to a file, as ``$GITHUB_STEP_SUMMARY`` wants it. Raises OSError."""
    from p2re_eval.report.markdown import markdown_report

    text = markdown_report(experiment, results_factory, comparison)
    with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def _pieces(
    suffix: str,
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    details: Callable[[str], Trace],
    comparison: Comparison | None,
) -> Iterator[str]:
    """The report's text; each format is imported only when it is asked for."""
    if suffix == ".html":
        from p2re_eval.report.html import html_report

        return html_report(experiment, results_factory, details, comparison)
    if suffix == ".md":
        from p2re_eval.report.markdown import markdown_report

        return iter([markdown_report(experiment, results_factory, comparison)])
    from p2re_eval.report.json_file import json_report

    return json_report(experiment, results_factory, comparison)


def _write_whole(path: Path, pieces: Iterator[str]) -> None:
    """Write beside the file first: a reader sees the old report or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # A lone surrogate becomes \udXXX, which JSON reads back and the others show.
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(pieces)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
