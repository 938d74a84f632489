"""Full-text search: fed in batches behind the writes, never by triggers.

The watermark (in ``sync_state``) is the id of the last run's response whose texts are in the index.
An entry may only be removed with exactly the text it was made of, and only if it is there: anything
else corrupts the index silently.
"""

from __future__ import annotations

import re
import sqlite3

_WATERMARK = "SELECT watermark FROM sync_state WHERE target = 'search' AND stream = 'responses'"
_MOVE = (
    "INSERT INTO sync_state(target, stream, watermark) VALUES ('search', 'responses', ?) "
    "ON CONFLICT DO UPDATE SET watermark = excluded.watermark"
)
_TERM = re.compile(r'"([^"]*)"?|(\S+)')


def watermark(connection: sqlite3.Connection) -> int:
    """The last response that is in the index."""
    found = connection.execute(_WATERMARK).fetchone()
    return 0 if found is None else int(found[0])


def feed(connection: sqlite3.Connection, limit: int) -> bool:
    """Index the next ``limit`` responses in a transaction of its own; False when none is left."""
    if not _waiting(connection):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        _feed(connection, limit)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return _waiting(connection)


def forget(connection: sqlite3.Connection, trace: int) -> None:
    """Take a trace out of the index, while its texts are still there to take it out with."""
    connection.execute(
        "INSERT INTO search(search, rowid, prompt, response) "
        "SELECT 'delete', id, prompt, response FROM search_texts WHERE id = ? AND EXISTS ("
        "SELECT 1 FROM responses WHERE trace = ? AND span IS NULL AND id <= ?)",
        (trace, trace, watermark(connection)),
    )


def as_query(text: str) -> str:
    """What a person typed as an FTS5 query that cannot fail: all words, "phrases", beginnings*."""
    terms = []
    for phrase, word in _TERM.findall(text):
        term = phrase or word
        stem = term.rstrip("*")
        if not any(character.isalnum() for character in stem):
            continue
        quoted = '"' + stem.replace('"', '""') + '"'
        terms.append(quoted + "*" if word and term != stem else quoted)
    return " ".join(terms)


def _waiting(connection: sqlite3.Connection) -> bool:
    newest = connection.execute("SELECT max(id) FROM responses").fetchone()[0]
    return newest is not None and int(newest) > watermark(connection)


def _feed(connection: sqlite3.Connection, limit: int) -> None:
    first = watermark(connection)
    last = connection.execute(
        "SELECT max(id) FROM (SELECT id FROM responses WHERE id > ? ORDER BY id LIMIT ?)",
        (first, limit),
    ).fetchone()[0]
    if last is None:
        return  # another process was faster
    connection.execute(
        "INSERT INTO search(rowid, prompt, response) SELECT s.id, s.prompt, s.response "
        "FROM responses r JOIN search_texts s ON s.id = r.trace "
        "WHERE r.id > ? AND r.id <= ? AND r.span IS NULL",
        (first, last),
    )
    connection.execute(_MOVE, (last,))
