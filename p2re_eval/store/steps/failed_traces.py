"""The failures of a prompt or a model are few among many: they are listed by an index of their own,
where each of the two that were there would have led to thousands of others."""

from __future__ import annotations

import sqlite3

_INDEXES = (
    "CREATE INDEX traces_failed_by_prompt ON traces(prompt_name) WHERE status = 'ERROR'",
    "CREATE INDEX traces_failed_by_model ON traces(model) WHERE status = 'ERROR'",
)


def find_failures(connection: sqlite3.Connection) -> None:
    """Two partial indexes, which only failures pay for."""
    for statement in _INDEXES:
        connection.execute(statement)
