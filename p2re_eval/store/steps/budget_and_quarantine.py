"""What a session may spend, shared by its processes, and why a result does not decide."""

from __future__ import annotations

import sqlite3

_SPENDING = """
CREATE TABLE spending (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id TEXT NOT NULL,
  host TEXT NOT NULL,
  boot TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started TEXT NOT NULL,
  opened_ns INTEGER NOT NULL,
  spent_usd REAL NOT NULL,
  held_usd REAL NOT NULL,
  UNIQUE (experiment_id, host, boot, pid, started)
)
"""


def add_spending_and_quarantine(connection: sqlite3.Connection) -> None:
    """A row of spending a process and experiment; the reason of a quarantine beside its result."""
    connection.execute(_SPENDING)
    connection.execute("ALTER TABLE results ADD COLUMN quarantine TEXT")
