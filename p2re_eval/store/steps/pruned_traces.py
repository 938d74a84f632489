"""Which traces retention has taken, so that two files that held the same trace count it once.

``origin`` is '' for what this file has let go of, and the other file's name for what came with a
merge. Some 40 bytes a trace, of the two thousand that it had.
"""

from __future__ import annotations

import sqlite3

_TABLE = """
CREATE TABLE pruned (
  trace_id TEXT NOT NULL,
  origin TEXT NOT NULL,
  PRIMARY KEY (trace_id, origin)
) WITHOUT ROWID
"""


def remember_pruned_traces(connection: sqlite3.Connection) -> None:
    """Empty: what was pruned before is known only as a sum."""
    connection.execute(_TABLE)
