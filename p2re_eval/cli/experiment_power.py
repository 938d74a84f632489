"""``p2re experiments power``: what a suite's ``no_regression`` gate can promise, by simulation."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.experiment_compare import db_option, json_option, root_option
from p2re_eval.quantities import count_text, share_text

if TYPE_CHECKING:
    from p2re_eval.gates import NoRegression
    from p2re_eval.gates.simulation import Cases, Trial
    from p2re_eval.records import Experiment
    from p2re_eval.store import Store


@click.command()
@click.argument("suite", type=click.Path(exists=True, path_type=Path), required=False)
@click.option("--cases", type=click.IntRange(min=2), help="So many cases instead.")
@click.option("--repeats", type=click.IntRange(min=1), help="So many repeats of each instead.")
@click.option("--pass-rate", type=click.FloatRange(0, 1), help="Such a pass rate instead.")
@click.option("--comparisons", type=click.IntRange(min=1), help="Prompts x models x scorers.")
@click.option("--margin", type=click.FloatRange(0, 1), help="The gate's margin (suite's, or 0.02).")
@click.option("--confidence", type=click.FloatRange(0.5, 0.9999), help="The gate's confidence.")
@click.option(
    "--pairs", default=1000, show_default=True, type=click.IntRange(min=1), help="How many pairs."
)
@click.option("--seed", default=1, show_default=True, help="Another seed, other experiments.")
@root_option
@db_option
@json_option
def power(
    suite: Path | None,
    cases: int | None,
    repeats: int | None,
    pass_rate: float | None,
    comparisons: int | None,
    margin: float | None,
    confidence: float | None,
    pairs: int,
    seed: int,
    root: Path,
    db: Path | None,
    as_json: bool,
) -> None:
    """Show by simulation what the gate of SUITE can promise.

    Cases, repeats and pass rates are those of the suite's newest complete experiment, margin and
    confidence those of its `no_regression` gate; options replace any of them, and without SUITE
    give all. Where nothing changed, the gate must hardly ever say `regression`; a drop of the size
    that it claims to find it must find four times of five. Exit code 1 when it does not.
    """
    from p2re_eval.gates.simulation import trials

    likely, asked = _likely(suite, root, db)
    likely = _replaced(likely, cases, repeats, pass_rate, comparisons)
    changed = {"margin": margin, "confidence": confidence}
    asked = _asked(asked, {name: value for name, value in changed.items() if value is not None})
    scenarios = 1 if likely.detectable(asked) is None else 3
    with click.progressbar(
        length=scenarios * pairs,
        label="simulating",
        hidden=not sys.stderr.isatty(),
        file=sys.stderr,
    ) as bar:
        found = list(trials(likely, asked, pairs=pairs, seed=seed, tell=bar.update))
    if as_json:
        click.echo(json.dumps(_told(likely, asked, found, seed), indent=2))
    else:
        _print(likely, asked, found)
    if not all(trial.kept for trial in found):
        raise click.exceptions.Exit(1)


def _likely(suite: Path | None, root: Path, db: Path | None) -> tuple[Cases | None, NoRegression]:
    """Cases as the suite's newest experiment found them, and its gate."""
    from p2re_eval.gates import NoRegression, parse_gate
    from p2re_eval.gates.simulation import cases_of
    from p2re_eval.suites.load import load_suite
    from p2re_eval.tally import tally

    if suite is None:
        return None, NoRegression()
    loaded = load_suite(suite.resolve(), root=root.resolve())
    gates = (parse_gate(spec) for spec in loaded.gates)
    asked = next((gate.relative for gate in gates if gate.relative), NoRegression())
    with existing_store(db) as store:
        experiment = _newest(store, loaded.path)
        results = [r for r in store.results(experiment.experiment_id) if r.suite == loaded.path]
    groups = {(result.prompt, result.model) for result in results}
    first = min(groups)
    counted = tally(result for result in results if (result.prompt, result.model) == first)
    return cases_of(counted, family=len(groups) * len(asked.metrics)), asked


def _newest(store: Store, suite: str) -> Experiment:
    from p2re_eval.errors import NoBaseline

    for experiment in store.list_experiments(1000):
        if experiment.status == "COMPLETE" and suite in experiment.suites:
            return experiment
    raise NoBaseline(
        f"no complete experiment of {suite} is recorded; run it once, or give --cases, --repeats "
        "and --pass-rate without a suite"
    )


def _replaced(
    likely: Cases | None,
    cases: int | None,
    repeats: int | None,
    pass_rate: float | None,
    comparisons: int | None,
) -> Cases:
    from p2re_eval.errors import UsageError
    from p2re_eval.gates.simulation import Cases

    if likely is None:
        if cases is None or pass_rate is None:
            raise UsageError("without a SUITE, --cases and --pass-rate say what to simulate")
        return Cases((pass_rate,) * cases, repeats or 1, comparisons or 1)
    chances = likely.chances
    if pass_rate is not None:
        chances = (pass_rate,) * len(chances)
    if cases is not None:  # the same mixture of cases, as often as it takes
        chances = tuple(chances[index % len(chances)] for index in range(cases))
    return Cases(chances, repeats or likely.repeats, comparisons or likely.family)


def _asked(asked: NoRegression, changed: dict[str, float]) -> NoRegression:
    from dataclasses import replace

    return replace(asked, **changed)  # type: ignore[arg-type]


def _print(cases: Cases, asked: NoRegression, found: Sequence[Trial]) -> None:
    from tabulate import tabulate

    what = f"{count_text(len(cases.chances), 'case')} x {cases.repeats}"
    click.echo(
        f"{what}, pass rate {share_text(cases.pass_rate)}, {count_text(cases.family, 'comparison')}"
        f"; no_regression with margin {asked.margin * 100:g} points at {asked.confidence * 100:g} %"
    )
    rows = [
        (
            trial.name,
            share_text(trial.said.rate),
            f"{trial.said.low * 100:.1f} to {trial.said.high * 100:.1f}",
            _promise(trial),
            "kept" if trial.kept else "BROKEN",
        )
        for trial in found
    ]
    pairs = count_text(found[0].said.n, "simulated pair")
    click.echo(tabulate(rows, headers=[pairs, "regression", "95 %", "promised", ""]))
    if len(found) == 1:
        click.echo("so few cases show no drop for certain; add cases or repeats")


def _promise(trial: Trial) -> str:
    if trial.at_most is not None:
        return f"at most {trial.at_most * 100:g} %"
    return f"at least {(trial.at_least or 0) * 100:g} %"


def _told(
    cases: Cases, asked: NoRegression, found: Sequence[Trial], seed: int
) -> dict[str, object]:
    return {
        "cases": len(cases.chances),
        "repeats": cases.repeats,
        "pass_rate": cases.pass_rate,
        "comparisons": cases.family,
        "margin": asked.margin,
        "confidence": asked.confidence,
        "detectable_drop": cases.detectable(asked),
        "seed": seed,
        "trials": [
            {
                "name": trial.name,
                "pairs": trial.said.n,
                "regression": trial.said.rate,
                "low": trial.said.low,
                "high": trial.said.high,
                "at_most": trial.at_most,
                "at_least": trial.at_least,
                "kept": trial.kept,
            }
            for trial in found
        ],
    }
