"""What another system holds of ours: cursors and marks, written together with their rows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future

from p2re_eval.records import CapturedSpan, Evaluation, Span
from p2re_eval.store.jobs import Change
from p2re_eval.store.marks import KnownSpan, Mark, MarkStatus, Newest, Position
from p2re_eval.store.payloads import json_of
from p2re_eval.store.result_writes import save_evaluations
from p2re_eval.store.span_writes import save_spans
from p2re_eval.store.sync_writes import restart, save_marks, save_positions
from p2re_eval.store.trace_queries import evaluation, spans_of
from p2re_eval.store.transaction import Transaction

_END = 1 << 62
"""After every id."""


class SyncLedger:
    """The ledger of one target, such as ``phoenix http://127.0.0.1:6006 default``.

    A bridge follows the streams of what was recorded here (``Store.ended_after`` and those below),
    and writes what it did with :meth:`save`: rows, marks and cursors in one transaction, so that
    a crash at any point repeats work and loses none.
    """

    def __init__(
        self,
        target: str,
        read: Callable[[Callable[[sqlite3.Connection], list[sqlite3.Row]]], list[sqlite3.Row]],
        submit: Callable[[Change], Future[None]],
    ) -> None:
        self.target = target
        self._read = read
        self._submit = submit

    def save(
        self,
        *,
        spans: Sequence[CapturedSpan] = (),
        evaluations: Sequence[Evaluation] = (),
        marks: Sequence[Mark] = (),
        positions: Mapping[str, Position] | None = None,
    ) -> Future[None]:
        """All of it or, after an error or a crash, nothing."""

        def write(transaction: Transaction) -> None:
            save_spans(transaction, spans)
            save_evaluations(transaction, evaluations)
            save_marks(transaction, self.target, marks)
            save_positions(transaction, self.target, positions or {})

        return self._submit(Change(write))

    def restart(self, *, forget: Sequence[str], bury: Sequence[str] = ()) -> Future[None]:
        """The other side has lost everything: no cursor holds, the marks of the kinds in ``forget``
        go, and those of the kinds in ``bury`` are DELETED there."""

        def write(transaction: Transaction) -> None:
            restart(transaction, self.target, forget=forget, bury=bury)

        return self._submit(Change(write))

    def position(self, stream: str) -> Position:
        """Where the stream stands; the beginning when it was never followed."""
        row = self._one(
            "SELECT watermark, state, updated_ns FROM sync_state WHERE target = ? AND stream = ?",
            (self.target, stream),
        )
        if row is None:
            return Position()
        state = json_of(row["state"], {})
        return Position(watermark=row["watermark"], state=state, updated_ns=row["updated_ns"])

    def marks(self, kind: str, ids: Iterable[str]) -> dict[str, Mark]:
        """The marks of these local ids; what was never marked is absent."""
        rows = self._all(
            "SELECT l.* FROM json_each(?) j JOIN sync_ledger l "
            "ON l.target = ? AND l.kind = ? AND l.local_id = j.value",
            (json.dumps(list(ids)), self.target, kind),
        )
        return {row["local_id"]: _mark(row) for row in rows}

    def marked(self, kind: str, status: MarkStatus, *, limit: int = 1000) -> list[Mark]:
        """Marks of a kind with this status, the longest unchanged first."""
        rows = self._all(
            "SELECT * FROM sync_ledger WHERE target = ? AND kind = ? AND status = ? "
            "ORDER BY updated_ns LIMIT ?",
            (self.target, kind, status, limit),
        )
        return [_mark(row) for row in rows]

    def every_id(self, kind: str, status: MarkStatus) -> set[str]:
        """All local ids with this status: for a sweep that compares with the other side."""
        rows = self._all(
            "SELECT local_id FROM sync_ledger WHERE target = ? AND kind = ? AND status = ?",
            (self.target, kind, status),
        )
        return {row["local_id"] for row in rows}

    def counts(self) -> dict[tuple[str, MarkStatus], int]:
        """How many of each kind stand how."""
        rows = self._all(
            "SELECT kind, status, count(*) AS n FROM sync_ledger WHERE target = ? GROUP BY 1, 2",
            (self.target,),
        )
        return {(row["kind"], row["status"]): row["n"] for row in rows}

    def spans_after(
        self, cursor: int, *, until: int = _END, limit: int = 500
    ) -> list[tuple[int, Span]]:
        """Child spans of ended traces, each with its cursor, in the order of recording."""
        rows = self._all(
            "SELECT t.*, s.id AS cursor, s.span_id AS step FROM spans s "
            "JOIN traces t ON t.id = s.trace WHERE s.id > ? AND s.id <= ? "
            "AND t.status <> 'RUNNING' AND s.span_id <> t.span_id ORDER BY s.id LIMIT ?",
            (cursor, until, limit),
        )
        found: list[tuple[int, Span]] = []

        def read(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            for row in rows:
                for span in spans_of(connection, row, span_id=row["step"]):
                    found.append((row["cursor"], span))
            return []

        self._read(read)
        return found

    def newest(self) -> Newest:
        """The cursors after everything that was recorded so far."""
        row = self._one(
            "SELECT coalesce((SELECT max(id) FROM spans), 0) AS spans, "
            "coalesce((SELECT max(id) FROM evaluations), 0) AS evaluations",
            (),
        )
        assert row is not None
        return Newest(**dict(row))

    def ended_by(self, trace_ids: Iterable[str], cursor: int) -> dict[str, str]:
        """Those of these runs that ``Store.ended_after`` had given up to this cursor, each with the
        id of its own span."""
        rows = self._all(
            "SELECT t.trace_id, t.span_id FROM json_each(?) j JOIN traces t "
            "ON t.trace_id = j.value WHERE EXISTS (SELECT 1 FROM responses r "
            "WHERE r.trace = t.id AND r.span IS NULL AND r.id <= ?)",
            (json.dumps(list(trace_ids)), cursor),
        )
        return {row["trace_id"]: row["span_id"] for row in rows}

    def known_spans(self, *, before: int | None = None, limit: int = 1000) -> list[KnownSpan]:
        """Spans of runs that are here, the runs recorded last first; the next page is ``before``
        the last one's ``run``. A run's spans are never split over two pages."""
        rows = self._all(
            "WITH page AS (SELECT id, trace_id, span_id FROM traces WHERE id < ? "
            "ORDER BY id DESC LIMIT ?) "
            "SELECT p.id AS run, p.trace_id, p.span_id AS root_id, p.span_id FROM page p UNION "
            "SELECT p.id, p.trace_id, p.span_id, s.span_id FROM page p JOIN spans s "
            "ON s.trace = p.id ORDER BY 1 DESC",
            (before if before is not None else _END, limit),
        )
        found: list[KnownSpan] = []
        for row in rows:
            if len(found) >= limit and row["run"] != found[-1].run:
                break
            found.append(KnownSpan(**dict(row)))
        return found

    def spans_of(self, trace_ids: Iterable[str]) -> list[KnownSpan]:
        """Every span of these runs."""
        rows = self._all(
            "WITH page AS (SELECT t.id, t.trace_id, t.span_id FROM json_each(?) j "
            "JOIN traces t ON t.trace_id = j.value) "
            "SELECT p.id AS run, p.trace_id, p.span_id AS root_id, p.span_id FROM page p UNION "
            "SELECT p.id, p.trace_id, p.span_id, s.span_id FROM page p JOIN spans s "
            "ON s.trace = p.id",
            (json.dumps(list(trace_ids)),),
        )
        return [KnownSpan(**dict(row)) for row in rows]

    def traces_here(self, trace_ids: Iterable[str]) -> set[str]:
        """Which of these runs are recorded here."""
        rows = self._all(
            "SELECT t.trace_id FROM json_each(?) j JOIN traces t ON t.trace_id = j.value",
            (json.dumps(list(trace_ids)),),
        )
        return {row["trace_id"] for row in rows}

    def evaluations_of(self, trace_ids: Iterable[str]) -> list[Evaluation]:
        """Everything that was said about these runs."""
        rows = self._all(
            "SELECT e.* FROM json_each(?) j JOIN evaluations e ON e.trace_id = j.value",
            (json.dumps(list(trace_ids)),),
        )
        return [evaluation(row) for row in rows]

    def evaluations_after(
        self, cursor: int, *, until: int = _END, limit: int = 500
    ) -> tuple[list[Evaluation], int]:
        """Judgements in the order of saying, one that was changed anew, and the next cursor."""
        rows = self._all(
            "SELECT * FROM evaluations WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
            (cursor, until, limit),
        )
        return [evaluation(row) for row in rows], rows[-1]["id"] if rows else cursor

    def spans_here(self, ids: Iterable[tuple[str, str]]) -> set[tuple[str, str]]:
        """Which of these (trace id, span id) are recorded here, as a run or as a step of one."""
        rows = self._all(
            "SELECT j.value ->> 0 AS trace_id, j.value ->> 1 AS span_id FROM json_each(?) j "
            "JOIN traces t ON t.trace_id = j.value ->> 0 "
            "WHERE t.span_id = j.value ->> 1 OR EXISTS (SELECT 1 FROM spans s "
            "WHERE s.trace = t.id AND s.span_id = j.value ->> 1)",
            (json.dumps([list(pair) for pair in ids]),),
        )
        return {(row["trace_id"], row["span_id"]) for row in rows}

    def behind(self, ended: int, evaluations: int) -> tuple[int, int]:
        """How many runs have ended and judgements were given after these cursors."""
        row = self._one(
            "SELECT (SELECT count(*) FROM responses WHERE span IS NULL AND id > ?) AS runs, "
            "(SELECT count(*) FROM evaluations WHERE id > ?) AS judgements",
            (ended, evaluations),
        )
        assert row is not None
        return row["runs"], row["judgements"]

    def _all(self, sql: str, values: Sequence[object]) -> list[sqlite3.Row]:
        return self._read(lambda connection: connection.execute(sql, values).fetchall())

    def _one(self, sql: str, values: Sequence[object]) -> sqlite3.Row | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None


def targets(connection: sqlite3.Connection) -> list[str]:
    """Every target that has a cursor or a mark, in alphabetical order. Their names hold an address,
    which tells them from this room's own cursors."""
    rows = connection.execute(
        "SELECT target FROM sync_state WHERE instr(target, '://') "
        "UNION SELECT target FROM sync_ledger ORDER BY 1"
    )
    return [row["target"] for row in rows]


def _mark(row: sqlite3.Row) -> Mark:
    same = ("kind", "local_id", "status", "remote_id", "digest", "updated_ns")
    return Mark(**{name: row[name] for name in same}, detail=json_of(row["detail"], {}))
