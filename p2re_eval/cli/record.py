"""``p2re record``: run suites once and keep the answers as recordings for replay."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import database_path
from p2re_eval.quantities import count_text

if TYPE_CHECKING:
    from p2re_eval.pipeline import Harness
    from p2re_eval.planning import SuitePlan
    from p2re_eval.records import Result


@click.command()
@click.argument("suites", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--root", default=".", type=click.Path(path_type=Path), help="The project's folder.")
@click.option("--db", type=click.Path(path_type=Path), help="The database.")
@click.option(
    "--source",
    default="live",
    type=click.Choice(["live", "cache"]),
    help="cache: keep identical recorded runs, call the model for the rest only.",
)
@click.option(
    "--concurrency",
    default=10,
    show_default=True,
    type=click.IntRange(min=1),
    help="Most model calls in flight at once.",
)
def record(
    suites: tuple[Path, ...], root: Path, db: Path | None, source: str, concurrency: int
) -> None:
    """Run SUITES and keep their answers as recordings for replay.

    A recordings file has one JSON line a run. A suite names it with its `recordings:` key, else
    it is recordings/NAME.jsonl. Nothing is written for a
    suite in which a run broke.
    """
    from p2re_eval.pipeline import Harness, Settings
    from p2re_eval.planning import Overrides
    from p2re_eval.project import layout

    root = root.resolve()
    settings = Settings(
        root=root,
        db_path=database_path(db, root),
        prompts=layout(root).prompts,
        concurrency=concurrency,
        overrides=Overrides(source="cache" if source == "cache" else "live"),
    )
    harness = Harness(settings)
    try:
        harness.plugins.add_project(root)
        plans = [harness.plan(path.resolve()) for path in suites]
        broken = [plan.suite.path for plan in plans if not _record_suite(harness, plan)]
        _finish(harness)
    finally:
        harness.close()
    if broken:
        raise click.exceptions.Exit(1)


def _record_suite(harness: Harness, plan: SuitePlan) -> bool:
    from p2re_eval.providers.recordings import write_recordings

    results = _run_all(harness, plan)
    broken = [result for result in results if result.outcome == "error"]
    for result in broken[:5]:
        message = result.fault.message if result.fault else ""
        click.echo(f"{result.item}: {message}", err=True)
    if broken:
        runs = count_text(len(broken), "run")
        click.echo(f"{plan.suite.path}: {runs} broke, nothing written", err=True)
        return False
    path = harness.settings.root / (plan.suite.recordings or f"recordings/{plan.suite.name}.jsonl")
    traces = [harness.store.read_trace(result.trace_id or "") for result in results]
    path.parent.mkdir(parents=True, exist_ok=True)
    count = write_recordings(path, traces)
    click.echo(f"{path.relative_to(harness.settings.root)}: {count_text(count, 'recording')}")
    return True


def _run_all(harness: Harness, plan: SuitePlan) -> Sequence[Result]:
    futures = [harness.start(planned) for planned in plan.runs]
    with click.progressbar(futures, label=plan.suite.name, hidden=not sys.stdout.isatty()) as bar:
        return [future.result() for future in bar]


def _finish(harness: Harness) -> None:
    harness.finish(
        harness.experiment.model_copy(
            update={"status": "COMPLETE", "ended_ns": harness.clock.now_ns()}
        )
    )
