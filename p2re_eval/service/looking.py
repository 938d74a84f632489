"""Traces as a screen shows them: heads first, spans as columns, payloads when they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import repeat

from p2re_eval.records import Evaluation, Record, Span, Trace
from p2re_eval.store import Store, TraceRow, overviews, span_queries, trace_lists
from p2re_eval.store.overviews import Facet, ScoreRow
from p2re_eval.store.snippets import Snippet
from p2re_eval.store.span_queries import SpanTree


class TraceItem(Record):
    """A row of a list with its judgements in short, and where a search found its words."""

    row: TraceRow
    scores: tuple[ScoreRow, ...] = ()
    snippets: tuple[Snippet, ...] = ()


class TraceHead(Record):
    """A trace without its spans; ``span_count`` says whether asking for its tree is worth it."""

    trace: Trace
    span_count: int
    evaluations: tuple[Evaluation, ...] = ()
    pinned_ns: int | None = None
    texts_dropped: bool = False


class Looking:
    """What a viewer asks for, each part on its own."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def items(
        self, rows: Sequence[TraceRow], snippets: Sequence[tuple[Snippet, ...]] = ()
    ) -> tuple[TraceItem, ...]:
        """Rows with what was said of them; ``snippets`` go with the rows where they are given."""
        ids = [row.trace_id for row in rows]
        scores = self._store.read(lambda connection: overviews.scores_of(connection, ids))
        return tuple(
            TraceItem.model_construct(
                row=row, scores=tuple(scores.get(row.trace_id, ())), snippets=found
            )
            for row, found in zip(rows, snippets or repeat(()), strict=False)
        )

    def facets(self) -> dict[str, list[Facet]]:
        """Values to filter by, counted over the newest traces."""
        return self._store.read(overviews.facets)

    def head(self, trace_id: str) -> TraceHead:
        """Raises NoSuchRecord, StoreError (ambiguous)."""
        path = self._store.path
        trace, count = self._store.read(
            lambda connection: span_queries.read_head(connection, trace_id, path)
        )
        pinned_ns, dropped = self._store.read(
            lambda connection: trace_lists.pin_and_texts(connection, trace.trace_id)
        )
        return TraceHead(
            trace=trace,
            span_count=count,
            evaluations=tuple(self._store.evaluations(trace.trace_id)),
            pinned_ns=pinned_ns,
            texts_dropped=dropped,
        )

    def tree(self, trace_id: str) -> SpanTree:
        """Raises NoSuchRecord, StoreError (ambiguous)."""
        path = self._store.path
        return self._store.read(
            lambda connection: span_queries.read_tree(connection, trace_id, path)
        )

    def span(self, trace_id: str, span_id: str) -> Span:
        """One span with its payload. Raises NoSuchRecord, StoreError (ambiguous)."""
        path = self._store.path
        return self._store.read(
            lambda connection: span_queries.read_span(connection, trace_id, span_id, path)
        )

    def find_spans(self, trace_id: str, text: str) -> list[str]:
        """The ids of the spans that contain a text. Raises NoSuchRecord, StoreError."""
        path = self._store.path
        return self._store.read(
            lambda connection: span_queries.find_spans(connection, trace_id, text, path)
        )
