"""The tables of syncing: what another system holds of ours, and which judgements were changed."""

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
    """
    CREATE TABLE evaluation_changes (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      evaluation INTEGER NOT NULL UNIQUE REFERENCES evaluations(id) ON DELETE CASCADE
    )
    """,
    """
    CREATE TRIGGER evaluation_changed AFTER UPDATE ON evaluations
    BEGIN
      DELETE FROM evaluation_changes WHERE evaluation = new.id;
      INSERT INTO evaluation_changes(evaluation) VALUES (new.id);
    END
    """,
)


def add_sync_ledger(connection: sqlite3.Connection) -> None:
    """Ids order what is new; a changed judgement keeps its id, so changes have a row of their own.

    The trigger fires on updates only: recording a run pays nothing for it.
    """
    for statement in _TABLES:
        connection.execute(statement)
