"""What of a report is the same on every machine: no ids, clock times, durations or paths.

Two runs of the same files with the same answers differ in nothing else, so that this form of their
reports is equal to the byte. A gate on latency keeps its verdict without the time it measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from p2re_eval.gates import METRICS
from p2re_eval.records import Comparison, Evaluation, Experiment, GateVerdict, Result, Side

_SELECTION = frozenset({"p2re_model", "p2re_repeat", "p2re_source", "keyword", "markexpr"})
"""The settings that say what was run; the others say where, and how it went."""


def stable(
    experiment: Experiment, results_factory: Callable[[], Iterable[Result]]
) -> tuple[Experiment, Callable[[], Iterator[Result]]]:
    """Both without what varies; lists keep their order."""
    settings = {k: v for k, v in experiment.settings.items() if k in _SELECTION}
    same = experiment.model_copy(
        update={
            "experiment_id": "",
            "started_ns": 0,
            "ended_ns": None,
            "settings": settings,
            "verdicts": tuple(_verdict(verdict) for verdict in experiment.verdicts),
        }
    )
    return same, lambda: (_result(result) for result in results_factory())


def stable_comparison(comparison: Comparison) -> Comparison:
    """The comparison without what varies."""
    flips = (
        flip.model_copy(update={"before_trace": None, "after_trace": None})
        for flip in comparison.flips
    )
    return comparison.model_copy(
        update={
            "before": _side(comparison.before),
            "after": _side(comparison.after),
            "flips": tuple(flips),
        }
    )


def _side(side: Side) -> Side:
    figures = side.figures.model_copy(update={"p50_ns": None, "p95_ns": None})
    update = {"experiment_id": "", "label": "", "started_ns": 0, "figures": figures}
    return side.model_copy(update=update)


def _verdict(verdict: GateVerdict) -> GateVerdict:
    metric = METRICS.get(verdict.gate.split()[0])
    if metric is None or metric.kind != "latency":
        return verdict
    return verdict.model_copy(update={"value": None, "explanation": ""})


def _result(result: Result) -> Result:
    return result.model_copy(
        update={
            "experiment_id": "",
            "trace_id": None,
            "duration_ns": None,
            "evaluations": tuple(_evaluation(one) for one in result.evaluations),
        }
    )


def _evaluation(evaluation: Evaluation) -> Evaluation:
    return evaluation.model_copy(
        update={
            "evaluation_id": "",
            "trace_id": "",
            "identifier": "",
            "experiment_id": None,
            "created_ns": 0,
            "duration_ns": None,
        }
    )
