"""An open transaction: what is to be written is gathered, and written in few statements.

Rows get their numbers here, while the transaction holds the only lock there is, so that nothing
waits for a statement to learn the number of what it has written.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TypeAlias, TypeVar

from p2re_eval.store.columns import Insert, Update, columns
from p2re_eval.store.contents import Contents
from p2re_eval.store.payloads import message_text
from p2re_eval.store.redaction import WRITES_ONLY, Redaction
from p2re_eval.store.upkeep import count_new

REMEMBERED = 8192
"""Texts, prompts and sessions each; some 150 bytes a piece."""
HEARD = 4096
"""Messages that are remembered for the index ..."""
LONGEST_HEARD = 2_000
"""... of at most so many characters."""
_ORDER = columns(
    "blobs prompts messages sessions traces trace_sessions spans responses metrics exposures "
    "results assignments evaluations"
)
"""Whom others point to comes first."""
_COUNTED = {"blobs", "prompts"}
"""Tables without AUTOINCREMENT: the next number is one more than the greatest."""

_ADDED = -1
"""A judgement that is not written yet."""
_FIND_JUDGEMENTS = (
    "SELECT id, trace_id, name, identifier, coalesce(experiment_id, '') FROM evaluations "
    "WHERE trace_id IN (SELECT value FROM json_each(?))"
)
_FIND_JUDGEMENT = (
    "SELECT id FROM evaluations WHERE trace_id = ? AND name = ? AND identifier = ? "
    "AND coalesce(experiment_id, '') = ?"
)

_Row: TypeAlias = tuple[object, ...]
_Key = TypeVar("_Key")
_Value = TypeVar("_Value")
Judgement: TypeAlias = tuple[str, str, str, str]
"""Whose judgement it is: trace, name, identifier, and the experiment or ''."""


class TraceState:
    """What a transaction knows of a trace: its row, and whether it has an answer."""

    __slots__ = ("_spans", "ended", "row")

    def __init__(self, row: int, *, ended: bool, new: bool) -> None:
        self.row = row
        self.ended = ended
        self._spans: set[str] | None = set() if new else None

    def may_add(self, span_id: str) -> bool:
        """Whether no span of this id is there for sure; from now on there is one."""
        if self._spans is None or span_id in self._spans:
            return False
        self._spans.add(span_id)
        return True


class Memory:
    """What a writer knows of the file from one transaction to the next. It holds until another
    connection has written, which SQLite tells by ``data_version``."""

    def __init__(self) -> None:
        self.forget()
        self._version: int | None = None

    def forget(self) -> None:
        """Nothing is known any more."""
        self.next_ids: dict[str, int] = {}
        self.blobs: dict[bytes, int] = {}
        self.prompts: dict[bytes, int] = {}
        self.sessions: dict[str, int] = {}
        self.said: dict[tuple[str, ...], int] = {}
        self._texts: dict[int, str | None] = {}

    def heard(self, blob: int, text: str | None) -> None:
        """What a message says, which the full-text index soon asks for."""
        if text is not None and len(text) <= LONGEST_HEARD:
            self._texts[blob] = text

    def message_text(self, blob: int, body: str | bytes | None) -> str | None:
        """What full-text search reads of a message, which need not be unpacked where it has been
        heard; SQL calls it ``indexed_text``."""
        try:
            return self._texts[blob]
        except KeyError:
            text = message_text(body)
            self.heard(blob, text)
            return text

    def look(self, connection: sqlite3.Connection) -> None:
        """Forget what may no longer be so; asked inside a transaction that may write."""
        version = int(connection.execute("PRAGMA data_version").fetchone()[0])
        if version != self._version:
            self.forget()
            self._version = version
        _shorten(self.blobs)
        _shorten(self.prompts)
        _shorten(self.sessions)
        _shorten(self.said)
        _shorten(self._texts, HEARD)


def _shorten(known: dict[_Key, _Value], most: int = REMEMBERED) -> None:
    """Let go of those that were noted first; only between transactions, as what is added and not
    yet written is known nowhere else."""
    for key in list(islice(known, max(0, len(known) - most))):
        del known[key]


class Transaction:
    """An open transaction and what its writes need; ``process`` is the id of this opening.

    ``memory`` outlives it, where one connection writes again and again.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        redaction: Redaction,
        now_ns: int,
        process: int,
        memory: Memory | None = None,
    ) -> None:
        self._connection = connection
        self.redaction = redaction
        self.now_ns = now_ns
        self.process = process
        self.memory = Memory() if memory is None else memory
        self._rows: dict[Insert | Update, list[_Row]] = {}
        self._keys: set[tuple[str, ...]] = set()
        self.absent: set[bytes] = set()
        """Texts that are not stored before this transaction."""
        self.contents: dict[int, Contents] = {}
        """Of traces, by ``id()``, that are about to be written."""
        self._traces: dict[str, TraceState | None] = {}
        self._judged: dict[str, dict[Judgement, int]] = {}

    @contextmanager
    def open(self) -> Iterator[None]:
        """Everything inside is written, or nothing. Raises sqlite3.Error."""
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")  # deferred, a reader that turns writer fails at once
        try:
            self.memory.look(connection)
            yield
            self.flush()
            connection.execute("COMMIT")
        except BaseException:
            self.memory.forget()
            roll_back(connection)
            raise

    @contextmanager
    def trusting(self) -> Iterator[None]:
        """What is written inside has passed redaction as it is."""
        careful, self.redaction = self.redaction, WRITES_ONLY
        try:
            yield
        finally:
            self.redaction = careful

    @property
    def connection(self) -> sqlite3.Connection:
        """To read with, and to change what is not remembered here, after all that was added. Who
        takes out texts, prompts, sessions or traces, or brings some in, says :meth:`forget`."""
        self.flush()
        return self._connection

    def forget(self) -> None:
        """The tables may be any way now."""
        self.flush()
        self.memory.forget()
        self.absent.clear()
        self._traces.clear()
        self._judged.clear()

    def add(self, statement: Insert | Update, row: _Row) -> None:
        """Write this before anything is read, at the latest at the end."""
        rows = self._rows.get(statement)
        if rows is None:
            self._rows[statement] = [row]
        else:
            rows.append(row)

    def alone(self, key: tuple[str, ...]) -> None:
        """What is added next for this key must not meet what was added for it before."""
        if key in self._keys:
            self.flush()
        self._keys.add(key)

    def first(self, key: tuple[str, ...]) -> bool:
        """Whether this has not been said before, as far as is remembered."""
        new = key not in self.memory.said
        self.memory.said[key] = 1
        return new

    def flush(self) -> None:
        """Write what was added."""
        self._keys.clear()
        if not self._rows:
            return
        pending, self._rows = self._rows, {}
        for statement in sorted(pending, key=_rank):
            statement.run(self._connection, pending[statement])
        if begun := list(_new_traces(pending)):
            count_new(self._connection, begun)

    def find(self, sql: str, *values: str | bytes | int) -> int | None:
        """The number that a query finds in what is written; it does not see what is added."""
        found = self._connection.execute(sql, values).fetchone()
        return None if found is None else int(found[0])

    def rows(self, sql: str, values: Sequence[bytes]) -> list[tuple[bytes, int]]:
        """The same for names and their numbers."""
        return self._connection.execute(sql, values).fetchall()

    def new_id(self, table: str) -> int:
        """The number of a table's next row, which takes it."""
        known = self.memory.next_ids
        row = known.get(table) or self.next_id(table)
        known[table] = row + 1
        return row

    def next_id(self, table: str) -> int:
        """The number that a table's next row will have."""
        known = self.memory.next_ids
        if table not in known:
            known[table] = self._next_id(table)
        return known[table]

    def _next_id(self, table: str) -> int:
        if table in _COUNTED:
            sql = f"SELECT coalesce(max(id), 0) + 1 FROM {table}"  # noqa: S608 - our own names
        else:
            sql = f"SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence WHERE name = '{table}'"  # noqa: S608 - our own names
        return int(self._connection.execute(sql).fetchone()[0])

    def judgement(self, key: Judgement) -> int | None:
        """The row of this judgement, where there is one that the next replaces."""
        if key[0] not in self._judged:
            self.expect_judged([key[0]])
        known = self._judged[key[0]]
        row = known.get(key)
        if row == _ADDED:
            self.flush()
            row = self.find(_FIND_JUDGEMENT, *key)
        known[key] = _ADDED
        return row

    def expect_judged(self, trace_ids: Iterable[str]) -> None:
        """Look up at once what was said about many traces."""
        wanted = [one for one in trace_ids if one not in self._judged]
        self._judged.update((one, {}) for one in wanted)
        found = self._connection.execute(_FIND_JUDGEMENTS, (json.dumps(wanted),))
        for row, *key in found:
            self._judged[key[0]][tuple(key)] = row

    def expect(self, trace_ids: Iterable[str]) -> None:
        """Look up many traces at once that will be asked for."""
        wanted = [one for one in trace_ids if one not in self._traces]
        if not wanted:
            return
        self._traces.update(dict.fromkeys(wanted))
        found = self._connection.execute(
            "SELECT trace_id, id, status <> 'RUNNING' FROM traces "
            "WHERE trace_id IN (SELECT value FROM json_each(?))",
            (json.dumps(wanted),),
        )
        for trace_id, row, ended in found:
            self._traces[trace_id] = TraceState(row, ended=bool(ended), new=False)

    def trace(self, trace_id: str) -> TraceState | None:
        """The trace that is on disk or was added; None when there is none."""
        if trace_id not in self._traces:
            self.flush()
            self.expect([trace_id])
        return self._traces[trace_id]

    def know(self, trace_id: str, state: TraceState) -> None:
        """A trace as it is from here on."""
        self._traces[trace_id] = state


def _rank(statement: Insert | Update) -> tuple[int, bool]:
    """Rows come in before they are changed."""
    return _ORDER.index(statement.table), isinstance(statement, Update)


def _new_traces(pending: Mapping[Insert | Update, Sequence[_Row]]) -> Iterator[str]:
    for statement, rows in pending.items():
        if statement.table == "traces" and isinstance(statement, Insert):
            yield from (str(row[1]) for row in rows)  # after its number


def roll_back(connection: sqlite3.Connection) -> None:
    """After some errors (a full disk) SQLite has done it already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")
