"""``/experiments/online``: A/B experiments on live traffic, assigned and judged over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, Field, ValidationError

from p2re_eval.online import Findings
from p2re_eval.online.assigning import LARGEST
from p2re_eval.records import Assignment, OnlineExperiment, Variant
from p2re_eval.server.api.parameters import Cursor, Limit
from p2re_eval.server.backend import Reading, Writing, answer
from p2re_eval.server.problems import ApiProblem, ApiRoute
from p2re_eval.service.contracts import Page
from p2re_eval.store.online_queries import UnitRow
from p2re_eval.store.prompt_queries import VersionRow

router = APIRouter(prefix="/experiments/online", tags=["experiments"], route_class=ApiRoute)

_Name = Annotated[str, Path(min_length=1, max_length=200, description="The experiment's name.")]
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class OnlineList(BaseModel):
    """Every A/B experiment, the newest first."""

    items: list[OnlineExperiment]


class NewVariant(BaseModel):
    """One of the ways that are compared; the first is the control."""

    name: _Text
    weight: Annotated[float, Field(ge=1e-6, le=1e6)] = 1.0
    prompt: Annotated[str | None, Field(max_length=300)] = None
    model: Annotated[str | None, Field(max_length=200)] = None
    settings: dict[str, Any] = Field(default_factory=dict, max_length=50)


class NewExperiment(BaseModel):
    """Variants, weights and outcome are fixed once it has started."""

    name: _Text
    variants: list[NewVariant] = Field(min_length=2, max_length=20)
    outcome: _Text
    effect: Annotated[float, Field(ge=1e-9, le=1e6)] = 0.05
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    description: Annotated[str | None, Field(max_length=2000)] = None


class Unit(BaseModel):
    """A user, a conversation: whoever shall always meet the same variant."""

    unit: _Text


class Judged(Unit):
    """What came of a unit: 1 or 0, or an amount."""

    value: Annotated[float, Field(ge=-LARGEST, le=LARGEST)]


class Ending(BaseModel):
    """The variant that everybody gets from now on; none is the control."""

    winner: Annotated[str | None, Field(max_length=200)] = None


class Promotion(BaseModel):
    """The winner, and the label that moves to its prompt's version."""

    winner: _Text
    label: Annotated[str, Field(min_length=1, max_length=60)] = "production"


@router.get("", response_model=OnlineList, summary="List A/B experiments")
def list_online(backend: Reading) -> Response:
    """The newest first."""
    return answer(OnlineList(items=list(backend.online.list())))


@router.post("", response_model=OnlineExperiment, status_code=201, summary="Start one")
def start_online(backend: Writing, new: NewExperiment) -> Response:
    """From here on units can be assigned."""
    variants = [Variant(**one.model_dump()) for one in new.variants]
    try:
        given = new.model_dump(exclude={"name", "variants"})
        found = backend.online.start(new.name, variants, **given)
    except ValidationError as error:
        raise ApiProblem(422, "; ".join(one["msg"] for one in error.errors())) from error
    return answer(found, status=201)


@router.get("/{name}", response_model=Findings, summary="What one has shown")
def get_findings(backend: Reading, name: _Name) -> Response:
    """Each variant against the control, with intervals that hold however often one looks."""
    return answer(backend.online.findings(name))


@router.get("/{name}/units", response_model=Page[UnitRow], summary="Who got what")
def list_units(
    backend: Reading, name: _Name, limit: Limit = 100, cursor: Cursor = None
) -> Response:
    """By the units' names."""
    return answer(backend.online.units(name, limit=limit, cursor=cursor))


@router.post("/{name}/assign", response_model=Assignment, summary="Assign a unit")
def assign_unit(backend: Writing, name: _Name, unit: Unit) -> Response:
    """The same unit always gets the same variant; it is written down once."""
    return answer(backend.desk.assign(name, unit.unit))


@router.post("/{name}/outcome", status_code=204, summary="What came of a unit")
def keep_outcome(backend: Writing, name: _Name, judged: Judged) -> Response:
    """On disk when this returns; said again it replaces."""
    backend.desk.outcome(name, judged.unit, judged.value)
    return Response(status_code=204)


@router.post("/{name}/stop", response_model=OnlineExperiment, summary="Stop one")
def stop_online(backend: Writing, name: _Name, ending: Ending) -> Response:
    """Everybody gets the winner from now on."""
    return answer(backend.online.stop(name, winner=ending.winner))


@router.post("/{name}/promote", response_model=VersionRow, summary="Promote a winner")
def promote(backend: Writing, name: _Name, promotion: Promotion) -> Response:
    """Stop with this winner, and move the label to its prompt's version."""
    return answer(backend.online.promote(name, promotion.winner, label=promotion.label))
