"""One side of a comparison, as it is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from p2re_eval.records import Evaluation, Experiment, Observation, Observed, Result, Trace
from p2re_eval.tally import CaseKey


@dataclass(frozen=True)
class Sample:
    """One experiment: ``label`` is how the user named it.

    ``observations`` gives all of its results, in a pass; ``case_results`` those of one case, for
    the texts of flips; ``trace`` the trace of an id, ``None`` where it is gone.
    """

    experiment: Experiment
    label: str
    observations: Callable[[], Iterable[Observation]]
    case_results: Callable[[CaseKey], Sequence[Result]]
    trace: Callable[[str], Trace | None]


def sample_of(experiment: Experiment, results: Iterable[Result], *, label: str = "") -> Sample:
    """Results in memory as one side of a comparison."""
    kept = list(results)
    by_case: dict[CaseKey, list[Result]] = {}
    for result in kept:
        by_case.setdefault(case_key(result), []).append(result)
    return Sample(
        experiment=experiment,
        label=label or experiment.experiment_id[:12],
        observations=lambda: map(observed, kept),
        case_results=lambda key: by_case.get(key, []),
        trace=lambda trace_id: None,
    )


def case_key(result: Result | Observation) -> CaseKey:
    """What the repeats of one case have in common."""
    return CaseKey(result.suite, result.prompt, result.model, result.case_id)


def observed(result: Result) -> Observation:
    """The result without its texts."""
    return Observation(
        suite=result.suite,
        prompt=result.prompt,
        model=result.model,
        case_id=result.case_id,
        repeat=result.repeat,
        outcome=result.outcome,
        value=result.value,
        cluster=result.cluster,
        prompt_version=result.prompt_version,
        row_hash=result.row_hash,
        rules_hash=result.rules_hash,
        fingerprint=result.fingerprint,
        model_answered=result.model_answered,
        trace_id=result.trace_id,
        source=result.source,
        cost_usd=result.cost_usd,
        input_tokens=result.usage.input_tokens,
        output_tokens=result.usage.output_tokens,
        duration_ns=result.duration_ns,
        quarantined=result.quarantine is not None,
        scores=tuple(_observed_score(one) for one in result.evaluations),
    )


def _observed_score(one: Evaluation) -> Observed:
    score = one.score
    return Observed(
        name=one.name,
        value=None if score is None else score.value,
        passed=None if score is None else score.passed,
        version=one.scorer_version,
        kind=one.kind,
    )
