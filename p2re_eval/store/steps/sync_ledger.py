"""The table of syncing: what another system holds of ours."""

from __future__ import annotations

import sqlite3

_TABLES = (
    """
    CREATE TABLE sync_ledger (
      id INTEGER PRIMARY KEY,
      target TEXT NOT NULL,
      kind TEXT NOT NULL,
      local_id TEXT NOT NULL,
      remote_id TEXT,
      status TEXT NOT NULL CHECK (status IN ('SENT', 'SYNCED', 'FAILED', 'DELETED', 'CONFLICT')),
      digest TEXT,
      detail TEXT,
      updated_ns INTEGER NOT NULL,
      UNIQUE (target, kind, local_id)
    )
    """,
    "CREATE INDEX sync_ledger_open ON sync_ledger(target, kind, status) WHERE status <> 'SYNCED'",
)


def add_sync_ledger(connection: sqlite3.Connection) -> None:
    """Cursors stand in ``sync_state``, which is there already."""
    for statement in _TABLES:
        connection.execute(statement)
