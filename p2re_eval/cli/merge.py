"""``p2re merge``: the databases of shards as one experiment."""

from __future__ import annotations

import os
import shutil
import sys
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p2re_eval.baselines import Baseline
    from p2re_eval.experiments.merging import Merged
    from p2re_eval.records import Experiment
    from p2re_eval.store import Store


@click.command()
@click.argument("databases", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    help="The database to write the whole into; made where there is none.",
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Write the report too: .html, .md or .json by suffix (repeatable).",
)
@click.option(
    "--baseline",
    metavar="REF",
    help="Compare with a file or an experiment of OUT, unless the shards ran --p2re-against.",
)
def merge(
    databases: tuple[Path, ...], out: Path, reports: tuple[Path, ...], baseline: str | None
) -> None:
    """Merge the DATABASES of all shards; decide their gates.

    The newest `--p2re-shard` run of each is taken. Exit code 0 when everything passed, 1 when not.
    To put whole databases together, traces and all, there is `p2re unite`.
    """
    from p2re_eval.baselines import choose
    from p2re_eval.cli.database import existing_store, writing_store
    from p2re_eval.clock import SystemClock
    from p2re_eval.experiments.merging import merge as merge_stores

    with ExitStack() as opened:
        stores = [opened.enter_context(existing_store(path)) for path in databases]
        whole = opened.enter_context(writing_store(out))

        def chosen(experiment: Experiment) -> Baseline:
            assert baseline is not None
            suites = experiment.suites
            return choose(baseline, whole, root=Path.cwd(), suites=suites, now=experiment)

        merged = merge_stores(
            stores, whole, clock=SystemClock(), baseline=None if baseline is None else chosen
        )
        passed = _show(merged, whole, reports)
        click.echo(f"database  {out}  (experiment {merged.experiment.experiment_id[:12]})")
    if not passed:
        sys.exit(1)


def _show(merged: Merged, whole: Store, reports: tuple[Path, ...]) -> bool:
    """Print and write the reports; whether everything passed."""
    from p2re_eval.report import headline, summarize, terminal_report, write_report
    from p2re_eval.report.annotations import wanted_annotations
    from p2re_eval.report.files import append_markdown

    experiment, comparison = merged.experiment, merged.comparison
    results = partial(whole.results, experiment.experiment_id)
    summary = summarize(results())
    width, color = shutil.get_terminal_size().columns, sys.stdout.isatty()
    click.echo(
        terminal_report(experiment, summary, comparison=comparison, color=color, width=width)
    )
    for line in wanted_annotations(experiment, summary, Path.cwd(), os.environ):
        click.echo(line)
    step_summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if step_summary:
        append_markdown(Path(step_summary), experiment, results, comparison)
    for report in reports:
        write_report(report, experiment, results, whole.read_trace, comparison)
        click.echo(f"report    {report}")
    return headline(experiment, summary).passed is True
