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
_INDEX = """
INSERT INTO search(rowid, prompt, response)
SELECT r.trace,
  (SELECT group_concat(indexed_text(b.id, b.body), char(10))
     FROM messages m JOIN blobs b ON b.id = m.blob WHERE m.prompt = t.prompt),
  (SELECT indexed_text(b.id, b.body) FROM blobs b WHERE b.id = r.message)
FROM responses r JOIN traces t ON t.id = r.trace WHERE r.id > ? AND r.id <= ? AND r.span IS NULL
"""
"""The texts of the view ``search_texts``, most of which were written a moment ago."""
_TERM = re.compile(r'"([^"]*)"?|(\S+)')


def watermark(connection: sqlite3.Connection) -> int:
    """The last response that is in the index."""
    found = connection.execute(_WATERMARK).fetchone()
    return 0 if found is None else int(found[0])


def index(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Index the texts of the responses after ``first`` up to ``last``, and move the watermark."""
    connection.execute(
        _INDEX,
        (first, last),
    )
    connection.execute(_MOVE, (last,))


def forget(connection: sqlite3.Connection, trace: int) -> None:
    """Take a trace out of the index, while its texts are still there to take it out with. One
    without a prompt has lost its texts to retention, and was taken out then."""
    connection.execute(
        "INSERT INTO search(search, rowid, prompt, response) "
        "SELECT 'delete', id, prompt, response FROM search_texts WHERE id = ? AND EXISTS ("
        "SELECT 1 FROM responses WHERE trace = ? AND span IS NULL AND id <= ?) "
        "AND EXISTS (SELECT 1 FROM traces WHERE id = ? AND prompt IS NOT NULL)",
        (trace, trace, watermark(connection), trace),
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
