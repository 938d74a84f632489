"""``/traces``: lists and searches; one trace, its tree and its payloads each on their own."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.records import Span, TraceStatus
from p2re_eval.report.trace_difference import TraceDifference, trace_difference
from p2re_eval.server.api.parameters import Cursor, Id, Limit, Word
from p2re_eval.server.backend import Reading, Writing, answer, json_text
from p2re_eval.server.problems import RecordRoute
from p2re_eval.service.contracts import Page
from p2re_eval.service.looking import TraceHead, TraceItem
from p2re_eval.store import TraceFilter
from p2re_eval.store.expression_fields import FIELDS
from p2re_eval.store.overviews import Facet
from p2re_eval.store.response_queries import ResponseRow
from p2re_eval.store.span_queries import SpanTree
from p2re_eval.viewer import trace_page

router = APIRouter(prefix="/traces", tags=["traces"], route_class=RecordRoute)


class Facets(BaseModel):
    """Values to filter by, counted among the newest traces; and the fields a search may name."""

    facets: dict[str, list[Facet]]
    fields: dict[str, str]


class FoundSpans(BaseModel):
    """The spans that contain a text."""

    ids: list[str]


class Pinned(BaseModel):
    """Whether retention has to leave a trace alone."""

    pinned: bool


class Tags(BaseModel):
    """Tags to add and to remove; the answer holds those that are there afterwards."""

    add: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field([], max_length=50)
    remove: list[str] = Field([], max_length=50)


class TagsNow(BaseModel):
    """The tags of a trace."""

    tags: list[str]


class Doomed(BaseModel):
    """Traces to delete."""

    trace_ids: list[Annotated[str, Field(min_length=8, max_length=64)]] = Field(
        min_length=1, max_length=500
    )


class Deleted(BaseModel):
    """How many traces are gone."""

    deleted: int


class Wanted(BaseModel):
    """The filters of a list; those that are not given let everything through."""

    model: Word = None
    prompt: Word = None
    status: TraceStatus | None = None
    experiment: Word = None
    session: Word = None
    suite: Word = None
    since_ns: Annotated[int | None, Query(ge=0, lt=1 << 62)] = None
    q: Annotated[str | None, Query(max_length=2000, examples=['status == "ERROR"'])] = None

    def filter(self) -> TraceFilter:
        """As the store takes them."""
        return TraceFilter(
            model=self.model,
            prompt=self.prompt,
            status=self.status,
            experiment_id=self.experiment,
            session_id=self.session,
            suite=self.suite,
            since_ns=self.since_ns,
        )


@router.get("", response_model=Page[TraceItem], summary="List or search traces")
def list_traces(
    backend: Reading,
    wanted: Annotated[Wanted, Query()],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest first. `q` is a search expression or words; its note says when it scanned."""
    service = backend.service
    if wanted.q:
        hits = service.traces.search(wanted.q, wanted.filter(), limit=limit, cursor=cursor)
        rows = [hit.row for hit in hits.items]
        items = service.looking.items(rows, [hit.snippets for hit in hits.items])
        more, note = hits.next_cursor, hits.note
    else:
        page = service.traces.list(wanted.filter(), limit=limit, cursor=cursor)
        items, more, note = service.looking.items(page.items), page.next_cursor, page.note
    return answer(Page[TraceItem].model_construct(items=items, next_cursor=more, note=note))


@router.get("/facets", response_model=Facets, summary="Values to filter by")
def facets(backend: Reading) -> Response:
    """Status, model, prompt, suite and fault, counted over the newest 10,000 traces."""
    fields = {name: field.meaning for name, field in FIELDS.items()}
    return answer(Facets(facets=backend.service.looking.facets(), fields=fields))


@router.post("/delete", response_model=Deleted, summary="Delete traces")
def delete_traces(backend: Writing, doomed: Doomed) -> Response:
    """With their spans, texts and judgements; none when one of the ids is unknown."""
    return answer(Deleted(deleted=backend.service.traces.delete(doomed.trace_ids)))


@router.get("/compare", response_model=TraceDifference, summary="Two traces side by side")
def compare_traces(
    backend: Reading,
    a: Annotated[str, Query(min_length=1, max_length=200, description="An id: the one before.")],
    b: Annotated[str, Query(min_length=1, max_length=200, description="An id: the one after.")],
) -> Response:
    """Settings, inputs, messages and answer piece by piece, tokens, cost, time and evaluations."""
    before, after = backend.service.looking.head(a), backend.service.looking.head(b)
    return answer(
        trace_difference(
            before.trace,
            after.trace,
            before_evaluations=before.evaluations,
            after_evaluations=after.evaluations,
        )
    )


@router.get("/{trace_id}", response_model=TraceHead, summary="One trace without its spans")
def get_trace(backend: Reading, trace_id: Id) -> Response:
    """Messages, answer, fault, evaluations; `span_count` says whether there is a tree."""
    return answer(backend.service.looking.head(trace_id))


@router.get("/{trace_id}/tree", response_model=SpanTree, summary="Its spans as columns")
def get_tree(backend: Reading, trace_id: Id) -> Response:
    """Names, kinds, times and parents of every span, without payloads."""
    return answer(backend.service.looking.tree(trace_id))


@router.get("/{trace_id}/spans/{span_id}", response_model=Span, summary="One span, whole")
def get_span(backend: Reading, trace_id: Id, span_id: Id) -> Response:
    """Attributes, messages and answer of one span."""
    return answer(backend.service.looking.span(trace_id, span_id))


@router.get("/{trace_id}/responses", response_model=Page[ResponseRow], summary="Its responses")
def list_responses(
    backend: Reading, trace_id: Id, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Every answer of a model in it, the newest first, with what was measured of each."""
    page = backend.service.traces.responses(trace_id, limit=limit, cursor=cursor)
    return answer(page)


@router.get("/{trace_id}/find", response_model=FoundSpans, summary="Spans with a text")
def find_spans(
    backend: Reading, trace_id: Id, q: Annotated[str, Query(min_length=1, max_length=500)]
) -> Response:
    """The spans whose messages, answer or attributes contain it."""
    return answer(FoundSpans(ids=backend.service.looking.find_spans(trace_id, q)))


@router.get(
    "/{trace_id}/export",
    summary="The trace as one file",
    response_class=Response,
    responses={200: {"content": {"text/html": {}, "application/json": {}}}},
)
def export_trace(
    backend: Reading, trace_id: Id, form: Annotated[Literal["html", "json"], Query()] = "html"
) -> Response:
    """HTML with the viewer inside, which opens without a server; or JSON with every span."""
    looking = backend.service.looking
    head = looking.head(trace_id)
    name = f"trace-{head.trace.trace_id[:12]}.{form}"
    whole = backend.service.traces.get(head.trace.trace_id)
    if form == "json":
        body = json_text(whole)
    else:
        spans = {span.span_id: json_text(span) for span in whole.trace.spans}
        tree = json_text(looking.tree(head.trace.trace_id))
        shown = head.model_dump(mode="json")
        flat = json.dumps({**shown.pop("trace"), **shown})
        body = trace_page(flat, title=head.trace.name, spans=spans, tree_json=tree)
    disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
    kind = "text/html" if form == "html" else "application/json"
    return Response(body, media_type=kind, headers=disposition)


@router.put("/{trace_id}/pin", response_model=Pinned, summary="Keep a trace from retention")
def pin_trace(backend: Writing, trace_id: Id, pinned: Pinned) -> Response:
    """Or no longer."""
    backend.service.traces.pin(trace_id, pinned=pinned.pinned)
    return answer(pinned)


@router.post("/{trace_id}/tags", response_model=TagsNow, summary="Add and remove tags")
def tag_trace(backend: Writing, trace_id: Id, tags: Tags) -> Response:
    """The tags after the change."""
    now = backend.service.traces.tag(trace_id, add=tags.add, remove=tags.remove)
    return answer(TagsNow(tags=list(now)))


@router.delete("/{trace_id}", response_model=Deleted, summary="Delete a trace")
def delete_trace(backend: Writing, trace_id: Id) -> Response:
    """With its spans, texts and judgements."""
    return answer(Deleted(deleted=backend.service.traces.delete([trace_id])))
