"""Gates decided on what is recorded, for the commands that judge again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click

from p2re_eval.baselines import Baseline
from p2re_eval.compare import match, recorded
from p2re_eval.gates import Gate, decide_regression, evaluate
from p2re_eval.records import Experiment, GateVerdict
from p2re_eval.store import Store


def decided(
    gates: Iterable[Gate],
    store: Store,
    experiment: Experiment,
    suite: str,
    baseline: Baseline | None,
) -> Iterator[GateVerdict]:
    """The verdicts on one suite of a recorded experiment. Raises StoreError."""
    for gate in gates:
        if gate.relative is None:
            results = (r for r in store.results(experiment.experiment_id) if r.suite == suite)
            yield evaluate(gate, results).model_copy(update={"suite": suite})
            continue
        matched = None
        if baseline is not None:
            after = recorded(store, experiment, label="now", suite=suite)
            matched = match(baseline.sample(suite), after)
        yield decide_regression(gate, matched, suite=suite)


def print_verdicts(verdicts: Sequence[GateVerdict]) -> None:
    """One line a gate."""
    marks = {True: "met", False: "MISSED", None: "UNDECIDED"}
    for verdict in verdicts:
        click.echo(f"{marks[verdict.passed]:<9}  {verdict.suite}  {verdict.gate}")
        click.echo(f"           {verdict.explanation}")


def suites_of(experiment: Experiment, given: Sequence[Path], root: Path) -> list[Path]:
    """The suite files: those given, else those the experiment ran, as far as they are there."""
    if given:
        return [path.resolve() for path in given]
    return [path for suite in experiment.suites if (path := root / suite).is_file()]
