"""The spans of a trace without their payloads, and single spans with them.

A trace of an agent may have tens of thousands: they are read as columns, and never as records.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from operator import itemgetter, lt
from pathlib import Path
from typing import TypeAlias

from p2re_eval.errors import NoSuchRecord
from p2re_eval.records import Record, Span, Trace
from p2re_eval.store import trace_queries


class SpanTree(Record):
    """Every span of a trace, a column a fact; the first is the run itself, parents come first.

    ``name``, ``kind`` and ``status`` are places in ``names``, ``kinds`` and ``statuses``;
    ``parents`` are places in these columns; ``start`` (after the trace's) and ``duration`` are
    microseconds, which JavaScript's numbers hold exactly.
    """

    trace_id: str
    start_ns: int
    ids: list[str]
    parents: list[int]
    name: list[int]
    kind: list[int]
    status: list[int]
    start: list[int]
    duration: list[int | None]
    names: list[str]
    kinds: list[str]
    statuses: list[str]


def read_head(connection: sqlite3.Connection, beginning: str, path: Path) -> tuple[Trace, int]:
    """A trace without its spans, and how many it has. Raises NoSuchRecord, StoreError."""
    row = trace_queries.trace_row(connection, beginning, path)
    count = connection.execute(
        "SELECT count(*) FROM spans WHERE trace = ? AND span_id <> ?", (row["id"], row["span_id"])
    ).fetchone()[0]
    return trace_queries.trace_of(connection, row, with_spans=False), int(count)


def read_tree(connection: sqlite3.Connection, beginning: str, path: Path) -> SpanTree:
    """The tree of a trace. Raises NoSuchRecord, StoreError (ambiguous)."""
    trace = trace_queries.trace_row(connection, beginning, path)
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples: a third of the time of rows by name
    spans = cursor.execute(
        "SELECT span_id, parent_id, name, kind, status, start_ns, end_ns FROM spans "
        "WHERE trace = ? AND span_id <> ?",
        (trace["id"], trace["span_id"]),
    ).fetchall()
    spans.sort(key=_start)
    facts = "name", "kind", "status", "start_ns", "end_ns"
    spans.insert(0, (trace["span_id"], None, *(trace[fact] for fact in facts)))
    return _columns(trace["trace_id"], spans)


def tree_of(trace: Trace) -> SpanTree:
    """The tree of a trace in hand."""
    spans = [_facts(span) for span in trace.spans if span.span_id != trace.span_id]
    root = (trace.span_id, None, trace.name, trace.kind, trace.status, trace.start_ns, trace.end_ns)
    return _columns(trace.trace_id, [root, *sorted(spans, key=_start)])


def read_span(connection: sqlite3.Connection, beginning: str, span_id: str, path: Path) -> Span:
    """One span, whole. Raises NoSuchRecord, StoreError (ambiguous)."""
    trace = trace_queries.trace_row(connection, beginning, path)
    found = trace_queries.spans_of(connection, trace, span_id=span_id)
    for span in found:
        return span
    what = f"{path}: the trace {trace['trace_id']} has no span '{span_id}'"
    raise NoSuchRecord(what, path=path)


def find_spans(
    connection: sqlite3.Connection, beginning: str, text: str, path: Path, limit: int = 1000
) -> list[str]:
    """The ids of the spans whose messages, answer or attributes contain a text."""
    trace = trace_queries.trace_row(connection, beginning, path)
    rows = connection.execute(
        "SELECT s.span_id FROM spans s WHERE s.trace = :trace AND ("
        "  instr(lower(coalesce(s.attributes, '')), :text)"
        "  OR EXISTS (SELECT 1 FROM messages m JOIN blobs b ON b.id = m.blob"
        "    WHERE m.prompt = s.prompt AND instr(lower(message_text(b.body)), :text))"
        "  OR EXISTS (SELECT 1 FROM responses r JOIN blobs b ON b.id = r.message"
        "    WHERE r.span = s.id AND instr(lower(message_text(b.body)), :text))"
        ") ORDER BY s.id LIMIT :limit",
        {"trace": trace["id"], "text": text.lower(), "limit": limit},
    )
    return [row["span_id"] for row in rows]


_Span: TypeAlias = tuple[str, str | None, str, str, str, int, int | None]
_start = itemgetter(5)


def _facts(span: Span) -> _Span:
    facts = span.name, span.kind, span.status, span.start_ns, span.end_ns
    return (span.span_id, span.parent_id, *facts)


def _parents_first(
    ids: Sequence[str], parent_ids: Sequence[str | None]
) -> tuple[Sequence[int], list[int]]:
    """The order, parents before their children, as places in ``ids``; and each one's parent's
    place in that order. A span whose parent is not here hangs under the root, which is first."""
    place = dict(zip(ids, range(len(ids)), strict=True))
    above = [place.get(parent, 0) for parent in parent_ids]  # type: ignore[arg-type]
    above[0] = 0
    if all(map(lt, above[1:], range(1, len(above)))):
        return range(len(ids)), above  # as nearly always: nobody began before its parent
    return _depth_first(above)


def _depth_first(above: Sequence[int]) -> tuple[list[int], list[int]]:
    """The same by descending from the root; spans in a circle come last, right under it."""
    below: list[list[int]] = [[] for _ in above]
    for at in range(len(above) - 1, 0, -1):
        below[above[at]].append(at)
    order, parents, seen = [0], [0], {0}
    stack = [(at, 0) for at in below[0]]
    while stack:
        at, parent = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        stack += [(child, len(order)) for child in below[at]]
        order.append(at)
        parents.append(parent)
    circle = [at for at in range(len(above)) if at not in seen]
    return order + circle, parents + [0] * len(circle)


def _columns(trace_id: str, spans: list[_Span]) -> SpanTree:
    ids, parent_ids = [span[0] for span in spans], [span[1] for span in spans]
    order, parents = _parents_first(ids, parent_ids)
    if not isinstance(order, range):
        spans = [spans[at] for at in order]
    begun = spans[0][5]
    shown, _, named, of_kind, ended, starts, ends = zip(*spans, strict=True)
    (names, name), (kinds, kind), (statuses, status) = map(_places, (named, of_kind, ended))
    return SpanTree.model_construct(
        trace_id=trace_id,
        start_ns=begun,
        ids=list(shown),
        parents=parents,
        name=name,
        kind=kind,
        status=status,
        start=[(start - begun) // 1000 for start in starts],
        duration=[
            None if end is None else (end - start) // 1000
            for start, end in zip(starts, ends, strict=True)
        ],
        names=names,
        kinds=kinds,
        statuses=statuses,
    )


def _places(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """Each word once, and where it stands for each."""
    places: dict[str, int] = {}
    found = [places.setdefault(word, len(places)) for word in words]
    return list(places), found
