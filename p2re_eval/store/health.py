"""How the file is: sizes, counts and SQLite's own check."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from p2re_eval.records import Record
from p2re_eval.store.search import watermark


class StoreHealth(Record):
    """What ``p2re doctor`` and ``p2re stats`` say of the database; sizes are bytes.

    ``integrity`` is "ok" or SQLite's first complaint; ``unindexed`` counts the ended runs (and
    spans) that the full-text index does not hold yet.
    """

    path: str
    sqlite_version: str
    schema_version: int
    file_bytes: int
    wal_bytes: int
    page_count: int
    free_pages: int
    page_size: int
    integrity: str
    counts: dict[str, int]
    running: int
    abandoned: int
    unindexed: int


def health(connection: sqlite3.Connection, path: Path) -> StoreHealth:
    """Reads every page once: seconds for a large file."""
    wal = path.with_name(f"{path.name}-wal")
    indexed = watermark(connection)
    return StoreHealth(
        path=str(path),
        sqlite_version=sqlite3.sqlite_version,
        schema_version=_number(connection, "PRAGMA user_version"),
        file_bytes=path.stat().st_size,
        wal_bytes=wal.stat().st_size if wal.exists() else 0,
        page_count=_number(connection, "PRAGMA page_count"),
        free_pages=_number(connection, "PRAGMA freelist_count"),
        page_size=_number(connection, "PRAGMA page_size"),
        integrity=_integrity(connection),
        counts=_counts(connection),
        running=_number(connection, "SELECT count(*) FROM traces WHERE status = 'RUNNING'"),
        abandoned=_number(connection, "SELECT count(*) FROM traces WHERE status = 'ABANDONED'"),
        unindexed=_number(connection, f"SELECT count(*) FROM responses WHERE id > {indexed}"),  # noqa: S608 - a number
    )


def _counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Rows by table, of every table but the full-text index and what it keeps beside itself."""
    import sqlite_utils  # 80 ms to import, and only those who ask for the file's health need it

    tables = sqlite_utils.Database(connection).tables
    indexes = tuple(f"{table.name}_" for table in tables if table.virtual_table_using)
    return {
        table.name: table.count
        for table in tables
        if not table.virtual_table_using and not table.name.startswith((*indexes, "sqlite_"))
    }


def _number(connection: sqlite3.Connection, question: str) -> int:
    return int(connection.execute(question).fetchone()[0])


def _integrity(connection: sqlite3.Connection) -> str:
    try:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        return str(error)
