"""``/experiments``: passes over suites, their results case by case."""

from __future__ import annotations

from fastapi import APIRouter, Response

from p2re_eval.compare import Sample, compare
from p2re_eval.errors import NoSuchRecord
from p2re_eval.records import Comparison, Experiment, Result, Trace
from p2re_eval.server.api.parameters import Cursor, Id, Limit, Word
from p2re_eval.server.backend import Backend, Reading, answer
from p2re_eval.server.problems import RecordRoute
from p2re_eval.service.contracts import ExperimentDetail, Page

router = APIRouter(prefix="/experiments", tags=["experiments"], route_class=RecordRoute)


@router.get("", response_model=Page[Experiment], summary="List experiments")
def list_experiments(
    backend: Reading, q: Word = None, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """The newest first; `q` is looked for in name and id."""
    return answer(backend.service.experiments.list(text=q, limit=limit, cursor=cursor))


@router.get("/{experiment_id}", response_model=ExperimentDetail, summary="One experiment")
def get_experiment(backend: Reading, experiment_id: Id) -> Response:
    """By its id, the beginning of it, or `latest`; with its gates and outcomes."""
    return answer(backend.service.experiments.get(experiment_id))


@router.get("/{experiment_id}/results", response_model=Page[Result], summary="Its results")
def list_results(
    backend: Reading, experiment_id: Id, limit: Limit = 200, cursor: Cursor = None
) -> Response:
    """By suite and position, each with its evaluations."""
    return answer(backend.service.experiments.results(experiment_id, limit=limit, cursor=cursor))


@router.get("/{before}/compare/{after}", response_model=Comparison, summary="Compare two")
def compare_experiments(backend: Reading, before: Id, after: Id) -> Response:
    """Flips first, then how far every metric moved, with intervals, and what changed."""
    return answer(compare(_sample(backend, before), _sample(backend, after)))


def _sample(backend: Backend, experiment_id: str) -> Sample:
    store = backend.store
    experiment = store.read_experiment(experiment_id)
    found = experiment.experiment_id

    def trace(trace_id: str) -> Trace | None:
        try:
            return store.read_trace(trace_id)
        except NoSuchRecord:
            return None  # retention has taken it

    return Sample(
        experiment=experiment,
        label=found[:12],
        observations=lambda: store.observations(found),
        case_results=lambda case: store.case_results(found, case),
        trace=trace,
    )
