"""Long work on a database that others use meanwhile."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from p2re_eval.interfaces import Clock
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.transaction import Transaction


@dataclass(frozen=True)
class Maintenance:
    """A connection that may write, and what a transaction on it needs."""

    connection: sqlite3.Connection
    path: Path
    redaction: Redaction
    clock: Clock

    @property
    def now_ns(self) -> int:
        """The clock's time."""
        return self.clock.now_ns()

    def transaction(self) -> Transaction:
        """For the next batch; what it writes belongs to no process that could still end it."""
        return Transaction(self.connection, self.redaction, self.now_ns, 0)
