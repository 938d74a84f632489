"""Lists of traces: narrow rows, found by one walk along one index."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from p2re_eval.records import Record, Source, SpanKind, TraceStatus
from p2re_eval.store.payloads import json_of
from p2re_eval.store.steps.record_tables import version_text

FEW_ROWS = 1000
"""How far a condition's matches are counted; fewer can be sorted, more are walked in order."""


class TraceRow(Record):
    """A trace as lists show it; ``id`` is its place in the order of recording, a page's cursor."""

    id: int
    trace_id: str
    name: str
    kind: SpanKind = "LLM"
    status: TraceStatus
    source: Source
    start_ns: int
    end_ns: int | None = None
    model: str
    model_answered: str | None = None
    prompt: str
    prompt_version: str | None = None
    suite: str | None = None
    case_id: str | None = None
    repeat: int = 0
    experiment_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    attempts: int = 1
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    fault_kind: str | None = None
    input_preview: str = ""
    output_preview: str = ""
    tags: tuple[str, ...] = ()
    pinned_ns: int | None = None

    @property
    def duration_ns(self) -> int | None:
        """From begin to end, attempts and waits included."""
        return None if self.end_ns is None else self.end_ns - self.start_ns


class TraceFilter(Record):
    """What a list is narrowed to; None lets everything through."""

    model: str | None = None
    prompt: str | None = None
    status: TraceStatus | None = None
    experiment_id: str | None = None
    session_id: str | None = None
    user: str | None = None
    suite: str | None = None
    since_ns: int | None = None


@dataclass(frozen=True)
class _Condition:
    """A test of one column; ``hint`` repeats the WHERE of a partial index, which the planner
    takes only then."""

    column: str
    test: str
    value: object
    hint: str = ""

    @property
    def leading(self) -> str:
        """As the condition whose index is walked."""
        return f"{self.column} {self.test}{self.hint}"

    @property
    def checked(self) -> str:
        """As a condition that is only looked up in rows found by another (the ``+`` says so)."""
        return f"+{self.column} {self.test}"


ROW = (
    "t.id, t.trace_id, t.name, t.kind, t.status, t.source, t.start_ns, t.end_ns, t.model, "
    "t.model_answered, t.prompt_name AS prompt, t.prompt_version, t.suite, t.case_id, t.repeat, "
    "t.experiment_id, t.session_id, t.user, t.attempts, t.input_tokens, t.output_tokens, "
    "t.cached_tokens, t.reasoning_tokens, t.cost_usd, t.fault_kind, "
    "coalesce(t.input_preview, '') AS input_preview, "
    "coalesce(t.output_preview, '') AS output_preview, t.tags, t.pinned_ns"
)
_COLUMNS = {
    "model": "t.model",
    "prompt": "t.prompt_name",
    "experiment_id": "t.experiment_id",
    "session_id": "t.session_id",
    "user": "t.user",
    "suite": "t.suite",
}
_STATUS, _START = "t.status", "t.start_ns"


def list_traces(
    connection: sqlite3.Connection, wanted: TraceFilter, *, limit: int, before: int | None = None
) -> list[TraceRow]:
    """The newest traces first, from ``before`` (a row's ``id``) downward."""
    conditions = _conditions(wanted)
    leader = _rarest(connection, conditions)
    terms = [one.leading if one is leader else one.checked for one in conditions]
    values = [one.value for one in conditions]
    # An index on the start is not in the order of ids: its few matches are sorted.
    order = "+t.id" if leader is not None and leader.column == _START else "t.id"
    if before is not None:
        terms.append(f"{order} < ?")
        values.append(before)
    where = f"WHERE {' AND '.join(terms)} " if terms else ""
    sql = f"SELECT {ROW} FROM traces t {where}ORDER BY {order} DESC LIMIT ?"  # noqa: S608 - our own names
    return [trace_row(row) for row in connection.execute(sql, (*values, limit))]


def ended_after(
    connection: sqlite3.Connection, after: int, wanted: TraceFilter, *, limit: int
) -> tuple[list[TraceRow], int]:
    """Runs in the order in which they ended, and the cursor to go on from."""
    conditions = _conditions(wanted)
    terms = "".join(f"AND {one.checked} " for one in conditions)
    sql = (
        f"SELECT r.id AS ended, {ROW} FROM responses r JOIN traces t ON t.id = r.trace "  # noqa: S608 - our own names
        f"WHERE r.span IS NULL AND r.id > ? {terms}ORDER BY r.id LIMIT ?"
    )
    values = [one.value for one in conditions]
    rows = connection.execute(sql, (after, *values, limit)).fetchall()
    return [trace_row(row) for row in rows], rows[-1]["ended"] if rows else after


def newest_end(connection: sqlite3.Connection) -> int:
    """The cursor after everything that has ended so far."""
    return int(connection.execute("SELECT coalesce(max(id), 0) FROM responses").fetchone()[0])


def search(connection: sqlite3.Connection, query: str, *, limit: int) -> list[TraceRow]:
    """Traces that match an FTS5 query, the newest first."""
    sql = (
        f"SELECT {ROW} FROM search JOIN traces t ON t.id = search.rowid "  # noqa: S608 - our own names
        "WHERE search MATCH ? ORDER BY search.rowid DESC LIMIT ?"
    )
    return [trace_row(row) for row in connection.execute(sql, (query, limit))]


def trace_row(row: sqlite3.Row) -> TraceRow:
    """A row of ROW's columns; built without validation, the table's types are its own."""
    values = {name: row[name] for name in row.keys() if name != "ended"}  # noqa: SIM118 - a Row is not a mapping
    values["tags"] = tuple(json_of(values["tags"], ()))
    values["prompt_version"] = version_text(values["prompt_version"])
    return TraceRow.model_construct(**values)


def _conditions(wanted: TraceFilter) -> list[_Condition]:
    found = [
        _Condition(_COLUMNS[name], "= ?", getattr(wanted, name), f" AND {_STATUS} = 'ERROR'")
        for name in ("prompt", "model")
        if wanted.status == "ERROR" and getattr(wanted, name) is not None
    ]
    found += [
        _Condition(column, "= ?", getattr(wanted, name))
        for name, column in _COLUMNS.items()
        if getattr(wanted, name) is not None
    ]
    if wanted.status is not None:
        assert wanted.status in get_args(TraceStatus)
        hint = "" if wanted.status == "OK" else f" AND {_STATUS} <> 'OK'"
        found.append(_Condition(_STATUS, "= ?", wanted.status, hint))
    if wanted.since_ns is not None:
        found.append(_Condition(_START, ">= ?", wanted.since_ns))
    return found


def _rarest(connection: sqlite3.Connection, conditions: Sequence[_Condition]) -> _Condition | None:
    """The condition that leaves the fewest rows to look at; None where walking all is best.

    SQLite would have to guess; looking costs some 30 us each.
    """
    best, fewest = None, FEW_ROWS + 1
    for one in conditions:
        if one.column == _STATUS and not one.hint:
            continue  # nearly every trace is OK, and no index says which
        matches = _matches(connection, one)
        if matches < fewest and (matches < FEW_ROWS or one.column != _START):
            best, fewest = one, matches
    return best


def _matches(connection: sqlite3.Connection, one: _Condition) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM traces t WHERE {one.leading} LIMIT ?)"  # noqa: S608 - our own names
    return int(connection.execute(sql, (one.value, FEW_ROWS)).fetchone()[0])


def pin_and_texts(connection: sqlite3.Connection, trace_id: str) -> tuple[int | None, bool]:
    """When a trace was pinned, and whether retention has dropped its texts."""
    row = connection.execute(
        "SELECT pinned_ns, prompt IS NULL FROM traces WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    return (None, False) if row is None else (row[0], bool(row[1]))
