"""``p2re experiments``: sessions that were recorded, and their reports again."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import click

from p2re_eval.cli.database import existing_store

_db = click.option("--db", type=click.Path(path_type=Path), help="The database.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def experiments() -> None:
    """Recorded experiments: list them, show their reports."""


@experiments.command("list")
@_db
@_json
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
def list_(db: Path | None, as_json: bool, limit: int) -> None:
    """The newest experiments first."""
    from datetime import datetime

    from tabulate import tabulate

    with existing_store(db) as store:
        found = store.list_experiments(limit)
    if as_json:
        click.echo(json.dumps([e.model_dump(mode="json") for e in found], indent=2))
        return
    rows = [
        (
            experiment.experiment_id[:12],
            datetime.fromtimestamp(experiment.started_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S"),
            experiment.status.lower(),
            experiment.planned,
            experiment.revision.commit[:9] if experiment.revision else "",
            _suites(experiment.suites),
        )
        for experiment in found
    ]
    click.echo(
        tabulate(rows, headers=["experiment", "started", "status", "runs", "commit", "suites"])
    )


@experiments.command()
@click.argument("experiment", default="latest")
@_db
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write the report to a file instead: .html, .md or .json.",
)
@_json
@click.option(
    "--stable",
    is_flag=True,
    help="With JSON: leave out ids, clock times and durations, which differ between equal runs.",
)
def show(
    experiment: str, db: Path | None, report: Path | None, as_json: bool, stable: bool
) -> None:
    """The report of EXPERIMENT: an id, its beginning, or latest."""
    import shutil

    from p2re_eval.report import json_report, summarize, terminal_report, write_report
    from p2re_eval.report.stable import stable as without_what_varies

    with existing_store(db) as store:
        found = store.read_experiment(experiment)
        results = partial(store.results, found.experiment_id)
        if stable:
            if not as_json and (report is None or report.suffix != ".json"):
                raise click.UsageError("--stable is a form of JSON; add --json, or --report X.json")
            found, results = without_what_varies(found, results)  # type: ignore[assignment]
        if report is not None:
            write_report(report, found, results, store.read_trace)
            click.echo(f"report    {report}")
            return
        if as_json:
            for piece in json_report(found, results):
                click.echo(piece, nl=False)
            return
        summary = summarize(store.results(found.experiment_id))
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns
    click.echo(terminal_report(found, summary, color=color, width=width))


def _suites(paths: Sequence[str]) -> str:
    return ", ".join(paths) if len(paths) < 3 else f"{paths[0]} and {len(paths) - 1} more"
