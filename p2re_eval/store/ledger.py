"""One budget for all processes of a session: what they spent and what they hold for open calls."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from p2re_eval.interfaces import Clock
from p2re_eval.store.connection import open_for_writing
from p2re_eval.store.faults import explained
from p2re_eval.store.processes import Process, is_dead, this_process
from p2re_eval.store.transaction import roll_back

_Value = TypeVar("_Value")
_BUSY_TIMEOUT_S = 30.0


class SharedLedger:
    """The spending of an experiment in its database; each process keeps a row of its own.

    Safe to use from any thread. What a dead process held counts as spent: nobody can
    say whether the service charged for it.
    """

    shared = True

    def __init__(self, path: Path, experiment_id: str, limit_usd: float, *, clock: Clock) -> None:
        self._path = path
        self._experiment_id = experiment_id
        self._limit_usd = limit_usd
        self._clock = clock
        self._lock = threading.Lock()
        self._me = this_process()
        self._connection: sqlite3.Connection | None = None

    def hold(self, usd: float) -> Literal["held", "busy", "spent"]:
        """Set so much aside; ``busy`` while open calls may still give some back, ``spent`` when
        there will never be enough. Raises StoreError."""
        with self._lock, explained(self._path):
            return self._in_transaction(lambda connection: self._hold(connection, usd))

    def settle(self, held_usd: float, spent_usd: float) -> None:
        """Give back what was held, and note what of it was spent. Raises StoreError."""
        with self._lock, explained(self._path):
            self._in_transaction(lambda connection: self._add(connection, spent_usd, -held_usd))

    @property
    def spent_usd(self) -> float:
        """What all processes spent. Raises StoreError."""
        with self._lock, explained(self._path):
            return self._totals(self._opened())[0]

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _hold(self, connection: sqlite3.Connection, usd: float) -> Literal["held", "busy", "spent"]:
        spent, held = self._totals(connection)
        if spent + held + usd > self._limit_usd and held:
            self._charge_the_dead(connection)
            spent, held = self._totals(connection)
        if spent + usd > self._limit_usd:
            return "spent"
        if spent + held + usd > self._limit_usd:
            return "busy"
        self._add(connection, 0.0, usd)
        return "held"

    def _totals(self, connection: sqlite3.Connection) -> tuple[float, float]:
        row = connection.execute(
            "SELECT coalesce(sum(spent_usd), 0), coalesce(sum(held_usd), 0) FROM spending "
            "WHERE experiment_id = ?",
            (self._experiment_id,),
        ).fetchone()
        return float(row[0]), float(row[1])

    def _add(self, connection: sqlite3.Connection, spent_usd: float, held_usd: float) -> None:
        me = (self._me.host, self._me.boot, self._me.pid, self._me.started)
        connection.execute(
            "INSERT INTO spending(experiment_id, host, boot, pid, started, opened_ns, spent_usd, "
            "held_usd) VALUES (?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(experiment_id, host, boot, pid, started) DO UPDATE SET "
            "spent_usd = spent_usd + excluded.spent_usd, "
            "held_usd = max(0, held_usd + excluded.held_usd)",
            (self._experiment_id, *me, self._clock.now_ns(), spent_usd, held_usd),
        )

    def _charge_the_dead(self, connection: sqlite3.Connection) -> None:
        rows = connection.execute(
            "SELECT host, boot, pid, started, opened_ns FROM spending "
            "WHERE experiment_id = ? AND held_usd > 0",
            (self._experiment_id,),
        ).fetchall()
        now_ns = self._clock.now_ns()
        for *process, opened_ns in rows:
            if is_dead(Process(*process), opened_ns=opened_ns, now_ns=now_ns):
                connection.execute(
                    "UPDATE spending SET spent_usd = spent_usd + held_usd, held_usd = 0 "
                    "WHERE experiment_id = ? AND host = ? AND boot = ? AND pid = ? AND started = ?",
                    (self._experiment_id, *process),
                )

    def _in_transaction(self, change: Callable[[sqlite3.Connection], _Value]) -> _Value:
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")
        try:
            changed = change(connection)
            connection.execute("COMMIT")
        except BaseException:
            roll_back(connection)
            raise
        return changed

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_for_writing(self._path, busy_timeout_s=_BUSY_TIMEOUT_S)
        return self._connection
