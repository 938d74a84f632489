"""The end of a pytest run: the tables on the terminal, the report files, the CI summary."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from p2re_eval.errors import P2REError, UsageError
from p2re_eval.report.files import SUFFIXES, append_markdown, write_report

if TYPE_CHECKING:
    from p2re_eval.experiments.forecast import Forecast
    from p2re_eval.pytest_plugin.session import P2RESession


def check_reports(paths: Sequence[str]) -> None:
    """Refuse report files of unknown kinds before anything runs. Raises UsageError."""
    for path in paths:
        if Path(path).suffix not in SUFFIXES:
            raise UsageError(
                f"--p2re-report {path}: the name must end in one of {', '.join(SUFFIXES)}"
            )


class ReportFile(NamedTuple):
    """A report that was asked for: where it is, or why it is not."""

    what: str
    path: Path
    fault: str | None


def write_reports(session: P2RESession) -> list[ReportFile]:
    """Write the reports asked for, from what is on disk; one that fails does not stop the next."""
    config = session.config
    files = []
    for name in config.getoption("p2re_report"):
        path = config.invocation_params.dir / name
        files.append(_written("report", path, partial(_write, session, path)))
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        path = Path(step_summary)
        files.append(_written("step summary", path, partial(_append, session, path)))
    return files


def summarize_session(session: P2RESession, terminal: Any) -> None:
    """Print the report and say where everything is, and what could not be done."""
    harness = session.harness
    terminal.section("p2re", sep="=")
    try:
        _print_report(session, terminal)
    except P2REError as error:
        terminal.write_line(f"there is no report: {error}", red=True)
    if session.fault is not None:
        terminal.write_line(session.fault, red=True)
    for what, path, fault in session.reports:
        if fault is None:
            terminal.write_line(f"{what:<9} {path}")
        else:
            terminal.write_line(f"{what} {path} could not be written: {fault}", red=True)
    terminal.write_line(
        f"database  {harness.settings.db_path}  "
        f"(experiment {harness.experiment.experiment_id[:12]})"
    )


def import_report() -> None:
    """Import what the end needs, in a moment when everybody waits for the first answer."""
    import p2re_eval.report.annotations
    import p2re_eval.report.terminal  # noqa: F401


def _print_report(session: P2RESession, terminal: Any) -> None:
    from p2re_eval.report.annotations import wanted_annotations
    from p2re_eval.report.summary import summarize
    from p2re_eval.report.terminal import terminal_report

    experiment, summary = session.harness.experiment, summarize(session.harness.results())
    report = terminal_report(
        experiment,
        summary,
        comparison=session.comparison,
        color=terminal.hasmarkup,
        width=session.config.get_terminal_writer().fullwidth,
    )
    terminal.write_line(report)
    root = session.harness.settings.root
    for line in wanted_annotations(experiment, summary, root, os.environ):
        terminal.write_line(line)


def show_plan(session: P2RESession, terminal: Any, expected: Forecast) -> None:
    """Print what would run."""
    from p2re_eval.report.plan import plan_report

    budget = session.harness.settings.budget
    terminal.section("p2re plan", sep="=")
    terminal.write_line(
        plan_report(
            expected,
            budget_usd=None if budget is None else budget.limit_usd,
            color=terminal.hasmarkup,
            width=session.config.get_terminal_writer().fullwidth,
        )
    )


def _written(what: str, path: Path, write: Callable[[], None]) -> ReportFile:
    try:
        write()
    except (P2REError, OSError) as error:
        return ReportFile(what, path, str(error))
    return ReportFile(what, path, None)


def _write(session: P2RESession, path: Path) -> None:
    harness = session.harness
    write_report(
        path, harness.experiment, harness.results, harness.store.read_trace, session.comparison
    )


def _append(session: P2RESession, path: Path) -> None:
    harness = session.harness
    append_markdown(path, harness.experiment, harness.results, session.comparison)
