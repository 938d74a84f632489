"""Texts and prompts are found again among those that were written lately, not among all.

An index over the hashes of all texts is hit at a random place by every new text: at a million
traces each of them rewrites three pages of 8 KB. Here the first part of the key is the number of
the text in steps of ``NEARBY``, so that new entries meet in a few pages that are in memory anyway.
A text is looked for in the last four steps; one that comes again after half a million others is
stored again, and found from then on.
"""

from __future__ import annotations

import sqlite3

from p2re_eval.store.schema import statements

NEARBY = 17
"""Bits: 131,072 texts share the first part of a key."""

_TABLES = """
CREATE TABLE texts_nearby (id INTEGER PRIMARY KEY, hash BLOB NOT NULL, body NOT NULL);
INSERT INTO texts_nearby SELECT id, hash, body FROM blobs ORDER BY id;
DROP TABLE blobs;
ALTER TABLE texts_nearby RENAME TO blobs;
CREATE INDEX blobs_by_text ON blobs(id >> 17, substr(hash, 1, 8));

CREATE TABLE prompts_nearby (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL,
  head INTEGER NOT NULL,
  variables
);
INSERT INTO prompts_nearby SELECT id, hash, head, variables FROM prompts ORDER BY id;
DROP TABLE prompts;
ALTER TABLE prompts_nearby RENAME TO prompts;
CREATE INDEX prompts_by_text ON prompts(id >> 17, substr(hash, 1, 8));
"""


def find_texts_nearby(connection: sqlite3.Connection) -> None:
    """The same rows under other indexes. Views and foreign keys go by the names of the tables,
    which stay; so their checks are off while the tables change places."""
    connection.execute("PRAGMA legacy_alter_table = ON")
    try:
        for statement in statements(_TABLES):
            connection.execute(statement)
    finally:
        connection.execute("PRAGMA legacy_alter_table = OFF")
