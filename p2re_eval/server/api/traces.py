"""``/traces``: lists and searches; one trace, its tree and its payloads each on their own."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.records import Span, TraceStatus
from p2re_eval.server.api.parameters import Cursor, Id, Limit, Word
from p2re_eval.server.backend import Reading, Writing, answer
from p2re_eval.server.problems import ApiRoute
from p2re_eval.service.contracts import Page
from p2re_eval.service.looking import TraceHead, TraceItem
from p2re_eval.store import TraceFilter
from p2re_eval.store.overviews import Facet
from p2re_eval.store.span_queries import SpanTree

router = APIRouter(prefix="/traces", tags=["traces"], route_class=ApiRoute)


class Facets(BaseModel):
    """Values to filter by, with their counts among the newest traces."""

    facets: dict[str, list[Facet]]


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
    since_ns: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None

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
    """The newest first, narrowed by filters."""
    service = backend.service
    page = service.traces.list(wanted.filter(), limit=limit, cursor=cursor)
    return answer(
        Page[TraceItem].model_construct(
            items=service.looking.items(page.items), next_cursor=page.next_cursor, note=page.note
        )
    )


@router.get("/facets", response_model=Facets, summary="Values to filter by")
def facets(backend: Reading) -> Response:
    """Status, model, prompt, suite and fault, counted over the newest 10,000 traces."""
    return answer(Facets(facets=backend.service.looking.facets()))


@router.post("/delete", response_model=Deleted, summary="Delete traces")
def delete_traces(backend: Writing, doomed: Doomed) -> Response:
    """With their spans, texts and judgements; none when one of the ids is unknown."""
    return answer(Deleted(deleted=backend.service.traces.delete(doomed.trace_ids)))


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


@router.get("/{trace_id}/find", response_model=FoundSpans, summary="Spans with a text")
def find_spans(
    backend: Reading, trace_id: Id, q: Annotated[str, Query(min_length=1, max_length=500)]
) -> Response:
    """The spans whose messages, answer or attributes contain it."""
    return answer(FoundSpans(ids=backend.service.looking.find_spans(trace_id, q)))


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
