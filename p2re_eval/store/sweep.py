"""Texts that nothing points to any more, the index's leftovers, and the free pages of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

_WINDOW = 5_000
"""Rows looked at in a transaction."""
_PAGES = 2_000
"""Pages given back in a transaction: 16 MB."""
_MERGES = 200
_POINTERS = {
    "messages": ("blob",),
    "prompts": ("head",),
    "responses": ("message", "reasoning", "raw"),
}


def give_back_pages(connection: sqlite3.Connection) -> None:
    """Delete what nothing points to, tidy the index and shrink the file, while others write."""
    delete_unused_prompts(connection)
    delete_unused_texts(connection)
    _tidy_index(connection)
    _shrink(connection)


def used_bytes(connection: sqlite3.Connection) -> int:
    """The pages of the file that hold something, in bytes."""
    pages = [
        int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return (pages[0] - pages[1]) * pages[2]


def delete_unused_prompts(connection: sqlite3.Connection) -> None:
    """Prompts without a run or span; the newest stays, as its number would be given out again."""
    newest = _newest(connection, "prompts")
    for low in range(0, newest, _WINDOW):
        with _transaction(connection):
            connection.execute(
                "DELETE FROM prompts WHERE id > ? AND id <= ? AND id < ? "
                "AND NOT EXISTS (SELECT 1 FROM traces WHERE prompt = prompts.id) "
                "AND NOT EXISTS (SELECT 1 FROM spans WHERE prompt = prompts.id)",
                (low, low + _WINDOW, newest),
            )


def delete_unused_texts(connection: sqlite3.Connection) -> None:
    """Texts that no prompt and no answer points to.

    What is in use is read once, without a lock; each transaction that deletes first adds what was
    written since, which has higher numbers. So a text that somebody took up meanwhile stays.
    """
    connection.execute("CREATE TEMP TABLE used(id INTEGER PRIMARY KEY)")
    try:
        connection.execute("BEGIN")  # one snapshot for the marks and what is in use at them
        marks = {table: _newest(connection, table) for table in ("prompts", "responses")}
        last = _newest(connection, "blobs")
        _note_used(connection, {"prompts": 0, "responses": 0})
        connection.execute("COMMIT")
        for low in range(0, last, _WINDOW):
            with _transaction(connection):
                _note_used(connection, marks)
                connection.execute(
                    "DELETE FROM blobs WHERE id > ? AND id <= ? "
                    "AND id NOT IN (SELECT id FROM used)",
                    (low, min(low + _WINDOW, last)),
                )
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        connection.execute("DROP TABLE temp.used")


def _note_used(connection: sqlite3.Connection, after: dict[str, int]) -> None:
    for table, columns in _POINTERS.items():
        number = "prompt" if table == "messages" else "id"
        mark = after["responses" if table == "responses" else "prompts"]
        for column in columns:
            connection.execute(
                f"INSERT OR IGNORE INTO temp.used SELECT {column} FROM {table} "  # noqa: S608 - our own names
                f"WHERE {column} IS NOT NULL AND {number} > ?",
                (mark,),
            )


def _tidy_index(connection: sqlite3.Connection) -> None:
    """Merge the index's segments, so that what was deleted leaves them; bounded steps."""
    pages = -_PAGES
    for _ in range(_MERGES):
        before = connection.total_changes
        with _transaction(connection):
            connection.execute("INSERT INTO search(search, rank) VALUES ('merge', ?)", (pages,))
        pages = _PAGES
        if connection.total_changes - before < 2:
            return


def _shrink(connection: sqlite3.Connection) -> None:
    while int(connection.execute("PRAGMA freelist_count").fetchone()[0]):
        before = int(connection.execute("PRAGMA page_count").fetchone()[0])
        connection.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
        if int(connection.execute("PRAGMA page_count").fetchone()[0]) >= before:
            break
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _newest(connection: sqlite3.Connection, table: str) -> int:
    sql = f"SELECT coalesce(max(id), 0) FROM {table}"  # noqa: S608 - our own names
    return int(connection.execute(sql).fetchone()[0])


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
