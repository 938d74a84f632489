"""Sessions: conversations with their totals, and their traces in the order of time."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import Record, Session
from p2re_eval.store.payloads import json_of


class SessionRow(Record):
    """A session as lists show it, with its totals; ``unpriced`` traces have no known cost."""

    id: int
    session_id: str
    name: str | None = None
    user: str | None = None
    started_ns: int
    last_ns: int | None = None
    traces: int
    errors: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    unpriced: int
    first_input: str | None = None


class TurnPlace(Record):
    """A trace's place in its session: where the next page of turns goes on."""

    id: int
    trace_id: str
    start_ns: int


_IN_TIME = "traces INDEXED BY traces_of_session_in_time"
_TOTALS = (
    "SELECT s.id, s.session_id, s.name, s.user, s.started_ns, "  # noqa: S608 - our own SQL
    f"(SELECT max(start_ns) FROM {_IN_TIME} WHERE session_id = s.session_id) AS last_ns, "
    "coalesce(t.traces, 0) AS traces, coalesce(t.errors, 0) AS errors, "
    "CASE WHEN t.with_input THEN t.input_tokens END AS input_tokens, "
    "CASE WHEN t.with_output THEN t.output_tokens END AS output_tokens, "
    "CASE WHEN t.priced THEN t.cost_usd END AS cost_usd, "
    "coalesce(t.traces - t.priced, 0) AS unpriced, "
    f"(SELECT input_preview FROM {_IN_TIME} "
    "WHERE session_id = s.session_id ORDER BY start_ns, id LIMIT 1) AS first_input "
    "FROM sessions s LEFT JOIN session_totals t ON t.session_id = s.session_id "
)


def list_sessions(
    connection: sqlite3.Connection,
    *,
    limit: int,
    before: int | None = None,
    user: str | None = None,
    text: str | None = None,
) -> list[SessionRow]:
    """The newest sessions first, below the id ``before``; ``text`` stands in name, id or user."""
    rows = connection.execute(
        f"{_TOTALS} WHERE s.id < ? AND (? IS NULL OR s.user = ?) AND (? IS NULL OR instr(lower("
        "s.session_id || char(10) || coalesce(s.name, '') || char(10) || coalesce(s.user, '')), "
        "lower(?))) ORDER BY s.id DESC LIMIT ?",
        (before or 1 << 62, user, user, text, text, limit),
    )
    return [SessionRow(**dict(row)) for row in rows]


def read_session(
    connection: sqlite3.Connection, session_id: str, path: Path
) -> tuple[Session, SessionRow]:
    """The session with this id (or the only one whose id begins so), and its totals.

    Raises NoSuchRecord, and StoreError when more than one begins so.
    """
    row = _find(connection, session_id, path)
    session = Session(
        session_id=row["session_id"],
        started_ns=row["started_ns"],
        name=row["name"],
        user=row["user"],
        metadata=json_of(row["metadata"], {}),
    )
    totals = connection.execute(f"{_TOTALS} WHERE s.id = ?", (row["id"],)).fetchone()
    return session, SessionRow(**dict(totals))


def whole_id(connection: sqlite3.Connection, session_id: str, path: Path) -> str:
    """The id that begins so, without the totals, which a long session takes long to add up.

    Raises as ``read_session`` does.
    """
    return str(_find(connection, session_id, path)["session_id"])


def _find(connection: sqlite3.Connection, session_id: str, path: Path) -> sqlite3.Row:
    rows = connection.execute(
        "SELECT * FROM sessions WHERE session_id = ? OR (session_id > ? AND session_id < ?) "
        "ORDER BY session_id LIMIT 2",
        (session_id, session_id, session_id + "\U0010ffff"),
    ).fetchall()
    if not rows or not session_id:
        what = f"{path}: no session '{session_id}'; `p2re sessions list` shows those there are"
        raise NoSuchRecord(what, path=path)
    if len(rows) > 1 and rows[0]["session_id"] != session_id:
        what = f"{path}: '{session_id}' begins more than one session; give more of it"
        raise StoreError(what, path=path)
    found: sqlite3.Row = rows[0]
    return found


def turns(
    connection: sqlite3.Connection,
    session_id: str,
    *,
    limit: int,
    after: tuple[int, int] | None = None,
) -> list[TurnPlace]:
    """The session's traces by (start, id), from after this one."""
    rows = connection.execute(
        f"SELECT id, trace_id, start_ns FROM {_IN_TIME} WHERE session_id = ? "  # noqa: S608
        "AND (start_ns, id) > (?, ?) ORDER BY start_ns, id LIMIT ?",
        (session_id, *(after or (-(1 << 62), 0)), limit),
    )
    return [TurnPlace(**dict(row)) for row in rows]


def turn_before(connection: sqlite3.Connection, session_id: str, at: TurnPlace) -> str | None:
    """The trace of the turn before this one."""
    found = connection.execute(
        f"SELECT trace_id FROM {_IN_TIME} WHERE session_id = ? AND (start_ns, id) < (?, ?) "  # noqa: S608
        "ORDER BY start_ns DESC, id DESC LIMIT 1",
        (session_id, at.start_ns, at.id),
    ).fetchone()
    return None if found is None else str(found[0])
