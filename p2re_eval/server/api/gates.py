"""``/experiments/ID/gates``: gates decided again on what is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.baselines import Baseline, choose, is_file
from p2re_eval.experiments.gating import decided, for_every_suite, gates_then
from p2re_eval.gates import Gate
from p2re_eval.records import Experiment, GateVerdict
from p2re_eval.server.api.parameters import Id
from p2re_eval.server.backend import Backend, Reading, answer
from p2re_eval.server.problems import ApiProblem, ApiRoute

router = APIRouter(prefix="/experiments", tags=["experiments"], route_class=ApiRoute)
_Text = Annotated[str, Field(min_length=1, max_length=300)]
_From = Literal["given", "suites", "experiment"]


class Against(BaseModel):
    """The experiment that `no_regression` compared with."""

    experiment_id: str
    label: str


class GatesNow(BaseModel):
    """What the gates come to; ``taken_from`` says whose they are."""

    verdicts: list[GateVerdict]
    baseline: Against | None = None
    taken_from: _From


@router.get("/{experiment_id}/gates", response_model=GatesNow, summary="Decide gates again")
def decide_gates(
    backend: Reading,
    experiment_id: Id,
    gate: Annotated[
        list[_Text] | None,
        Query(max_length=50, description="Such as `pass_rate >= 0.9`; none: the suites' own."),
    ] = None,
    baseline: Annotated[
        str | None,
        Query(max_length=200, description="An id, `latest` or `ancestor`, for `no_regression`."),
    ] = None,
) -> Response:
    """On the recorded results; nothing is written and no model is called. The gates are those
    given, else those that the project's suite files have now, else those decided back then."""
    experiment = backend.store.read_experiment(experiment_id)
    chosen = None if baseline is None else _baseline(backend, experiment, baseline)
    if gate:
        taken: _From = "given"
        gates = for_every_suite(gate, experiment)
    else:
        taken, gates = _own_gates(backend, experiment)
    verdicts = [
        verdict
        for suite, wanted in gates.items()
        for verdict in decided(
            wanted, backend.store, experiment, suite, chosen, why="choose a baseline"
        )
    ]
    against = chosen and Against(experiment_id=chosen.experiment.experiment_id, label=chosen.label)
    return answer(GatesNow(verdicts=verdicts, baseline=against, taken_from=taken))


def _own_gates(backend: Backend, experiment: Experiment) -> tuple[_From, Mapping[str, list[Gate]]]:
    found = {} if backend.project is None else backend.project.gates(experiment.suites)
    return ("suites", found) if found else ("experiment", gates_then(experiment))


def _baseline(backend: Backend, experiment: Experiment, reference: str) -> Baseline:
    if is_file(reference):
        raise ApiProblem(422, "a baseline is an experiment here; compare with a file by the CLI")
    root = backend.root or Path.cwd()
    return choose(reference, backend.store, root=root, suites=experiment.suites, now=experiment)
