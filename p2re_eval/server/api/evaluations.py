"""``/evaluations``: judgements of scorers, judges and people, and how far they agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.online.assigning import LARGEST
from p2re_eval.records import Evaluation, EvaluationKind, Score
from p2re_eval.server.api.parameters import Cursor, Id, Limit, Word
from p2re_eval.server.backend import Reading, Writing, answer
from p2re_eval.server.problems import RecordRoute
from p2re_eval.service.contracts import Page
from p2re_eval.service.evaluations import Feedback
from p2re_eval.service.judging import JudgeAgreement
from p2re_eval.store.evaluation_queries import EvaluationFilter, PastEvaluation

router = APIRouter(prefix="/evaluations", tags=["evaluations"], route_class=RecordRoute)
_Text = Annotated[str, Field(min_length=1, max_length=200)]


class NewFeedback(BaseModel):
    """What a person says of a trace: at least one of label, value, passed and note."""

    trace_id: _Text
    annotator: _Text = "me"
    name: _Text = "feedback"
    label: Annotated[str | None, Field(max_length=200)] = None
    value: Annotated[float | None, Field(ge=-LARGEST, le=LARGEST)] = None
    passed: bool | None = None
    note: Annotated[str | None, Field(max_length=20_000)] = None


class NewEvaluation(BaseModel):
    """A judgement made elsewhere; (trace, name, identifier) is its key, said again it replaces."""

    trace_id: _Text
    name: _Text
    identifier: Annotated[str, Field(max_length=200)] = ""
    kind: EvaluationKind = "CODE"
    scorer: _Text = "api"
    scorer_version: _Text = "1"
    value: Annotated[float | None, Field(ge=-LARGEST, le=LARGEST)] = None
    label: Annotated[str | None, Field(max_length=200)] = None
    passed: bool | None = None
    explanation: Annotated[str | None, Field(max_length=20_000)] = None


class PairAgreement(BaseModel):
    """Two annotators on the traces that both judged; `kappa` corrects for chance."""

    first: str
    second: str
    traces: int
    agreed: int
    share: float
    kappa: float | None


class AgreementList(BaseModel):
    """Every two annotators of one evaluation, the largest pair first."""

    name: str
    pairs: list[PairAgreement]


class JudgeList(BaseModel):
    """Every version of a judge against people, those with most in common first."""

    judges: list[JudgeAgreement]


class History(BaseModel):
    """What people had said before they changed their minds."""

    items: list[PastEvaluation]


@router.get("", response_model=Page[Evaluation], summary="List evaluations")
def list_evaluations(
    backend: Reading,
    trace_id: Word = None,
    name: Word = None,
    kind: EvaluationKind | None = None,
    annotator: Word = None,
    experiment: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest first."""
    wanted = EvaluationFilter(
        trace_id=trace_id, name=name, kind=kind, identifier=annotator, experiment_id=experiment
    )
    return answer(backend.service.evaluations.list(wanted, limit=limit, cursor=cursor))


@router.get("/agreement", response_model=AgreementList, summary="How far annotators agree")
def agreement(
    backend: Reading, name: Annotated[str, Query(max_length=200)] = "feedback"
) -> Response:
    """Cohen's kappa of every two people who gave the same evaluation."""
    pairs = [
        PairAgreement(**one.model_dump(), share=one.share)
        for one in backend.service.evaluations.agreement(name)
    ]
    return answer(AgreementList(name=name, pairs=pairs))


@router.get("/agreement/judges", response_model=JudgeList, summary="Judges against people")
def judges(
    backend: Reading,
    name: Annotated[
        str | None,
        Query(max_length=200, description="Only this scorer, whatever it is made of."),
    ] = None,
    people: Annotated[
        str | None,
        Query(max_length=200, description="What people's word is called: the judge's own name."),
    ] = None,
    threshold: Annotated[
        float | None, Query(allow_inf_nan=False, description="From which value the judge passes.")
    ] = None,
) -> Response:
    """Agreement, kappa and their intervals, which way they differ, and the traces where they do."""
    found = backend.service.evaluations.judges(name, people=people, threshold=threshold)
    return answer(JudgeList(judges=list(found)))


@router.post("/feedback", response_model=Evaluation, status_code=201, summary="Say something")
def give_feedback(backend: Writing, feedback: NewFeedback) -> Response:
    """A person's judgement; said again by the same annotator it replaces."""
    found = backend.service.evaluations.annotate(Feedback(**feedback.model_dump()))
    return answer(found, status=201)


@router.post("", response_model=Evaluation, status_code=201, summary="Record an evaluation")
def create_evaluation(backend: Writing, new: NewEvaluation) -> Response:
    """Of a scorer or judge that runs elsewhere."""
    said = new.model_dump(include={"value", "label", "passed", "explanation"})
    found = backend.judged(
        new.trace_id,
        score=Score(**said),
        **new.model_dump(include={"name", "identifier", "kind", "scorer", "scorer_version"}),
    )
    return answer(backend.service.evaluations.create(found), status=201)


@router.get("/history/{trace_id}", response_model=History, summary="Changed minds")
def evaluation_history(backend: Reading, trace_id: Id) -> Response:
    """What people had said of a trace before, the newest first."""
    return answer(History(items=list(backend.service.evaluations.history(trace_id))))


@router.get("/{evaluation_id}", response_model=Evaluation, summary="One evaluation")
def get_evaluation(backend: Reading, evaluation_id: Id) -> Response:
    """By its id or the beginning of it."""
    return answer(backend.service.evaluations.get(evaluation_id))


@router.delete("/{evaluation_id}", status_code=204, summary="Delete an evaluation")
def delete_evaluation(backend: Writing, evaluation_id: Id) -> Response:
    """Gone when this returns."""
    backend.service.evaluations.delete(evaluation_id)
    return Response(status_code=204)
