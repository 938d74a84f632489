"""``p2re experiments rescore``: recorded answers under today's scorers."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from p2re_eval.cli.database import database_path, existing_store
from p2re_eval.cli.experiment_compare import baseline_of, db_option, root_option
from p2re_eval.quantities import count_text


@click.command()
@click.argument("experiment", default="latest")
@click.option(
    "--suite",
    "suites",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="Judge by this suite file (repeatable; default: those that ran).",
)
@click.option("--baseline", help="What `no_regression` compares with; default: EXPERIMENT.")
@root_option
@db_option
def rescore(
    experiment: str, suites: tuple[Path, ...], baseline: str | None, root: Path, db: Path | None
) -> None:
    """Judge recorded answers by the suites as they are now.

    Scorers, expected answers, thresholds and gates are today's; the answers, and those of judges,
    are the recorded ones: no model is called. The outcome is a new experiment.
    """
    from p2re_eval.experiments.gating import decided, suites_of
    from p2re_eval.experiments.rescoring import repeats_of
    from p2re_eval.experiments.rescoring import rescore as judge_again
    from p2re_eval.pipeline import Harness, Settings
    from p2re_eval.planning import Overrides
    from p2re_eval.project import layout
    from p2re_eval.report import summarize, terminal_report

    root = root.resolve()
    with existing_store(db, root) as store:
        found = store.read_experiment(experiment)
        repeats = repeats_of(store.results(found.experiment_id))
    harness = Harness(
        Settings(
            root=root,
            db_path=database_path(db, root),
            prompts=layout(root).prompts,
            overrides=Overrides(repeat=repeats),
        )
    )
    try:
        plans = [harness.plan(path) for path in suites_of(found, suites, root)]
        done = judge_again(harness, found, plans)
        reference = baseline or found.experiment_id
        chosen = baseline_of(reference, harness.store, root, after=found.experiment_id)
        now = harness.experiment
        verdicts = [
            verdict
            for plan in plans
            for verdict in decided(plan.gates, harness.store, now, plan.suite.path, chosen)
        ]
        harness.finish(
            now.model_copy(
                update={
                    "status": "COMPLETE",
                    "ended_ns": harness.clock.now_ns(),
                    "suites": tuple(plan.suite.path for plan in plans),
                    "planned": len(done.results),
                    "revision": found.revision,
                    "packages": found.packages,
                    "settings": {"rescored_from": found.experiment_id},
                    "verdicts": tuple(verdicts),
                }
            )
        )
        summary = summarize(harness.results())
        report = terminal_report(
            harness.experiment,
            summary,
            color=sys.stdout.isatty(),
            width=shutil.get_terminal_size().columns,
        )
    finally:
        harness.close()
    click.echo(report)
    for why, number in done.left_out.items():
        click.echo(f"left out  {count_text(number, 'result')}: {why}")
    click.echo(f"rescored  {found.experiment_id[:12]} as {now.experiment_id[:12]}")
    if any(verdict.passed is not True for verdict in verdicts):
        raise click.exceptions.Exit(1)
