"""Gates decided on what is recorded, whenever somebody asks again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from p2re_eval.baselines import Baseline
from p2re_eval.compare import match, recorded
from p2re_eval.errors import DefinitionError
from p2re_eval.gates import Gate, decide_regression, evaluate, parse_gate
from p2re_eval.gates.gate import NO_BASELINE
from p2re_eval.records import Experiment, GateSpec, GateVerdict
from p2re_eval.store import Store


def decided(
    gates: Iterable[Gate],
    store: Store,
    experiment: Experiment,
    suite: str,
    baseline: Baseline | None,
    *,
    why: str = NO_BASELINE,
) -> Iterator[GateVerdict]:
    """The verdicts on one suite of a recorded experiment; ``why`` is said where one compares and
    there is no baseline. Raises StoreError."""
    for gate in gates:
        if gate.relative is None:
            results = (r for r in store.results(experiment.experiment_id) if r.suite == suite)
            yield evaluate(gate, results).model_copy(update={"suite": suite})
            continue
        matched = None
        if baseline is not None:
            after = recorded(store, experiment, label="now", suite=suite)
            matched = match(baseline.sample(suite), after)
        yield decide_regression(gate, matched, suite=suite, why=why)


def suites_of(experiment: Experiment, given: Sequence[Path], root: Path) -> list[Path]:
    """The suite files: those given, else those the experiment ran, as far as they are there."""
    if given:
        return [path.resolve() for path in given]
    return [path for suite in experiment.suites if (path := root / suite).is_file()]


def for_every_suite(texts: Sequence[str], experiment: Experiment) -> Mapping[str, list[Gate]]:
    """These gates for every suite that ran. Raises DefinitionError for a text that is none."""
    wanted = [parse_gate(GateSpec(text=text)) for text in texts]
    return dict.fromkeys(experiment.suites, wanted)


def gates_then(experiment: Experiment) -> Mapping[str, list[Gate]]:
    """The gates that were decided when the experiment ran, by suite, as far as their texts say
    everything."""
    found: dict[str, list[Gate]] = {}
    for verdict in experiment.verdicts:
        try:
            gate = parse_gate(GateSpec(text=verdict.gate))
        except DefinitionError:
            continue  # written as a mapping: the suite file alone has it whole
        found.setdefault(verdict.suite, []).append(gate)
    return found
