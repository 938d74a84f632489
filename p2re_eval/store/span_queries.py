"""The spans of a trace without their payloads, and single spans with them.

A trace of an agent may have tens of thousands: they are read as columns, and never as records.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

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
    rows = connection.execute(
        "SELECT span_id, parent_id, name, kind, status, start_ns, end_ns FROM spans "
        "WHERE trace = ? AND span_id <> ? ORDER BY start_ns, id",
        (trace["id"], trace["span_id"]),
    ).fetchall()
    kind = "LLM" if trace["prompt"] is not None else "CHAIN"
    root = (trace["span_id"], None, trace["name"], kind, trace["status"])
    return _columns(trace, _parents_first(rows, trace["span_id"]), root)


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


def _parents_first(rows: list[sqlite3.Row], root: str) -> list[sqlite3.Row]:
    """Depth first by start; a span whose parent is not here hangs under the root."""
    known = {row["span_id"] for row in rows}
    below: dict[str, list[sqlite3.Row]] = {}
    for row in rows:
        parent = row["parent_id"]
        below.setdefault(parent if parent in known else root, []).append(row)
    ordered: list[sqlite3.Row] = []
    seen = {root}
    stack = below.get(root, [])[::-1]
    while stack:
        row = stack.pop()
        if row["span_id"] in seen:
            continue
        seen.add(row["span_id"])
        ordered.append(row)
        stack.extend(below.get(row["span_id"], [])[::-1])
    ordered += [row for row in rows if row["span_id"] not in seen]  # parents in a circle
    return ordered


def _columns(
    trace: sqlite3.Row, rows: list[sqlite3.Row], root: tuple[str, None, str, str, str]
) -> SpanTree:
    begun = trace["start_ns"]
    place = {root[0]: 0} | {row["span_id"]: at for at, row in enumerate(rows, start=1)}
    names, kinds, statuses = _Words(), _Words(), _Words()
    facts = [(*root, begun, trace["end_ns"]), *map(tuple, rows)]
    return SpanTree.model_construct(
        trace_id=trace["trace_id"],
        start_ns=begun,
        ids=[fact[0] for fact in facts],
        parents=[
            parent if (parent := place.get(fact[1] or "", 0)) < at else 0
            for at, fact in enumerate(facts)
        ],
        name=[names.place(fact[2]) for fact in facts],
        kind=[kinds.place(fact[3]) for fact in facts],
        status=[statuses.place(fact[4]) for fact in facts],
        start=[(fact[5] - begun) // 1000 for fact in facts],
        duration=[None if fact[6] is None else (fact[6] - fact[5]) // 1000 for fact in facts],
        names=names.words,
        kinds=kinds.words,
        statuses=statuses.words,
    )


class _Words:
    """Each word once, with its place."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self._places: dict[str, int] = {}

    def place(self, word: str) -> int:
        found = self._places.get(word)
        if found is None:
            found = self._places[word] = len(self.words)
            self.words.append(word)
        return found
