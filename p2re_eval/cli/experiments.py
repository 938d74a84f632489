"""``p2re experiments``: sessions that were recorded, and their reports again."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.experiment_compare import bless, compare, gate
from p2re_eval.cli.experiment_power import power
from p2re_eval.cli.experiment_rescore import rescore
from p2re_eval.cli.online import list_online, online_shown, promote, start, stop, units

if TYPE_CHECKING:
    from p2re_eval.records import Experiment

_db = click.option("--db", type=click.Path(path_type=Path), help="The database.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def experiments() -> None:
    """Recorded passes over suites; A/B experiments on live traffic."""


for command in (bless, compare, gate, power, promote, rescore, start, stop, units):
    experiments.add_command(command)


@experiments.command("list")
@_db
@_json
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
@click.option("--ab", is_flag=True, help="Only the A/B experiments on live traffic.")
def list_(db: Path | None, as_json: bool, limit: int, ab: bool) -> None:
    """The newest experiments first, and those on live traffic."""
    from datetime import datetime

    from tabulate import tabulate

    with existing_store(db) as store:
        if ab:
            list_online(store, as_json=as_json)
            return
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
            _suites(experiment),
        )
        for experiment in found
    ]
    click.echo(
        tabulate(rows, headers=["experiment", "started", "status", "runs", "commit", "suites"])
    )
    with existing_store(db) as store:
        list_online(store, as_json=False)


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
    """The report of EXPERIMENT: an id, latest, or a name."""
    import shutil

    from p2re_eval.baselines import stored_comparison
    from p2re_eval.report import json_report, summarize, terminal_report, write_report
    from p2re_eval.report.stable import stable as without_what_varies
    from p2re_eval.report.stable import stable_comparison

    with existing_store(db) as store:
        if report is None and online_shown(store, experiment, as_json=as_json):
            return
        found = store.read_experiment(experiment)
        comparison = stored_comparison(store, found, Path.cwd())
        results = partial(store.results, found.experiment_id)
        if stable:
            if not as_json and (report is None or report.suffix != ".json"):
                raise click.UsageError("--stable is a form of JSON; add --json, or --report X.json")
            found, results = without_what_varies(found, results)  # type: ignore[assignment]
            comparison = comparison and stable_comparison(comparison)
        if report is not None:
            write_report(report, found, results, store.read_trace, comparison)
            click.echo(f"report    {report}")
            return
        if as_json:
            for piece in json_report(found, results, comparison):
                click.echo(piece, nl=False)
            return
        summary = summarize(store.results(found.experiment_id))
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns
    click.echo(terminal_report(found, summary, comparison=comparison, color=color, width=width))


def _suites(experiment: Experiment) -> str:
    paths, settings = experiment.suites, experiment.settings
    text = ", ".join(paths) if len(paths) < 3 else f"{paths[0]} and {len(paths) - 1} more"
    if "against" in settings:
        return f"{text} (prompts of {settings['against']})"
    if "rescored_from" in settings:
        return f"{text} (rescored {settings['rescored_from'][:12]})"
    return text
