"""Traces: listed, searched, opened, pinned, tagged, deleted."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from p2re_eval.interfaces import Clock
from p2re_eval.records import Span, Trace
from p2re_eval.service.contracts import Page, TraceDetail, cursor_number, next_by_id, page_size
from p2re_eval.service.narrowing import in_what_was_written, narrowed
from p2re_eval.service.revisions import NO_PROJECT, Revisions
from p2re_eval.store import (
    Store,
    TraceFilter,
    TraceRow,
    removal,
    response_queries,
    trace_edits,
    trace_lists,
    trace_search,
)
from p2re_eval.store.expression import ExpressionError
from p2re_eval.store.expression_sql import compile_expression
from p2re_eval.store.response_queries import ResponseRow
from p2re_eval.store.trace_search import TraceHit


class Traces:
    """Every recorded run of a store."""

    def __init__(self, store: Store, clock: Clock, revisions: Revisions = NO_PROJECT) -> None:
        self._store = store
        self._clock = clock
        self._revisions = revisions

    def list(
        self, wanted: TraceFilter | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[TraceRow]:
        """The newest first. Raises UsageError (a cursor that is none)."""
        size = page_size(limit)
        rows = self._store.list_traces(
            limit=size, before=cursor_number(cursor), **(wanted or TraceFilter()).model_dump()
        )
        return Page(items=tuple(rows), next_cursor=next_by_id([row.id for row in rows], size))

    def search(
        self,
        expression: str,
        wanted: TraceFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[TraceHit]:
        """The newest first that the filters let through as well; a page looks at a bounded number
        of traces, so it may hold few or none and still have a next one, and its note says so.

        Raises ExpressionError, which shows the place of the mistake in the expression.
        """
        if wanted is None:
            return self._search(expression, limit, cursor)
        try:
            return self._search(narrowed(expression, wanted), limit, cursor)
        except ExpressionError as error:
            raise in_what_was_written(error, expression) from None

    def _search(self, expression: str, limit: int, cursor: str | None) -> Page[TraceHit]:
        size, before = page_size(limit), cursor_number(cursor)
        expression = self._revisions.in_expression(expression)
        wanted = compile_expression(expression, now_ns=self._clock.now_ns())
        self._store.index_everything()

        def look(connection: sqlite3.Connection) -> Page[TraceHit]:
            found = trace_search.search_traces(connection, wanted, limit=size, before=before)
            note = trace_search.unknown_evaluations(
                connection, wanted.evaluations
            ) or trace_search.unknown_versions(connection, wanted.versions)
            return Page(
                items=tuple(found.hits),
                next_cursor=None if found.next_before is None else str(found.next_before),
                note=note or trace_search.note_on(found),
            )

        return self._store.read(look)

    def get(self, trace_id: str) -> TraceDetail:
        """The trace whose id is or begins so. Raises NoSuchRecord, StoreError (ambiguous)."""
        trace = self._store.read_trace(trace_id)
        pinned_ns, dropped = self._store.read(
            lambda connection: trace_lists.pin_and_texts(connection, trace.trace_id)
        )
        return TraceDetail(
            trace=trace,
            evaluations=tuple(self._store.evaluations(trace.trace_id)),
            pinned_ns=pinned_ns,
            texts_dropped=dropped,
        )

    def record(self, trace: Trace, spans: Sequence[Span] = ()) -> None:
        """Write a trace of one's own, ended or running; on disk when this returns."""
        joined = trace.model_copy(update={"spans": (*trace.spans, *spans)})
        self._store.finish_trace(joined).result()

    def responses(
        self, trace_id: str | None = None, *, limit: int = 50, cursor: str | None = None
    ) -> Page[ResponseRow]:
        """Every answer, of runs and of spans inside them, the newest first.

        Raises NoSuchRecord, StoreError (ambiguous).
        """
        size, before = page_size(limit), cursor_number(cursor)
        trace_id = trace_id and self._store.read_trace(trace_id).trace_id
        rows = self._store.read(
            lambda connection: response_queries.list_responses(
                connection, limit=size, before=before, trace_id=trace_id
            )
        )
        return Page(items=tuple(rows), next_cursor=next_by_id([row.id for row in rows], size))

    def pin(self, trace_id: str, *, pinned: bool = True) -> None:
        """Keep it from retention, or no longer. Raises NoSuchRecord."""
        whole = self._store.read_trace(trace_id).trace_id
        self._store.change(lambda change: trace_edits.set_pin(change, whole, pinned=pinned))

    def tag(
        self, trace_id: str, *, add: Iterable[str] = (), remove: Iterable[str] = ()
    ) -> tuple[str, ...]:
        """The trace's tags after the change. Raises NoSuchRecord."""
        whole = self._store.read_trace(trace_id).trace_id
        return self._store.change(
            lambda change: trace_edits.edit_tags(change, whole, add=add, remove=remove)
        )

    def delete(self, trace_ids: Iterable[str]) -> int:
        """Delete traces with their spans, texts and judgements; gives how many are gone.

        Raises NoSuchRecord for the first id that names none, and then deletes nothing.
        """
        whole = [self._store.read_trace(one).trace_id for one in trace_ids]
        self._store.index_everything()
        return self._store.change(lambda change: removal.delete_traces(change.connection, whole))
