"""Results remember what they stood on, so that two experiments can be compared honestly."""

from __future__ import annotations

import sqlite3


def make_results_comparable(connection: sqlite3.Connection) -> None:
    """The hashes of the dataset row, of the rules that judged it and of what was asked, and the
    model that answered. The hashes are 32 bytes each; NULL in results older than this step."""
    for column in ("row_hash BLOB", "rules_hash BLOB", "fingerprint BLOB", "model_answered TEXT"):
        connection.execute(f"ALTER TABLE results ADD COLUMN {column}")
