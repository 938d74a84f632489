"""What SQLite itself takes for a record: the same rows again, and nothing else.

The rows of a database that is there already are put into the same tables, under the same indexes
and triggers and with the same settings, by ``sqlite3`` alone: no records, no JSON, no digests,
no compression, no redaction; texts come as they were stored, and the words for the full-text
index come read. Once with ``executemany``, and once with many rows in a statement and nothing
bound for what is NULL, which is the fastest way that we know.
"""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TypeAlias

from p2re_eval.store.columns import Insert
from p2re_eval.store.connection import open_for_reading, open_for_writing

BATCH = 1000
"""Traces in a transaction."""
_TABLES = ("blobs", "prompts", "messages", "sessions", "traces", "trace_sessions", "spans")
_TABLES += ("responses", "metrics")
_OWN_PLACE = {  # which rows came with the traces of a batch, in a table that has no such column
    "blobs": "id > :blob AND id <= (SELECT max(message) FROM responses WHERE trace <= :last)",
    "prompts": "id IN (SELECT prompt FROM traces WHERE id > :first AND id <= :last)",
    "messages": "prompt IN (SELECT prompt FROM traces WHERE id > :first AND id <= :last)",
    "sessions": "id > :session AND id <= (SELECT max(session) FROM trace_sessions "
    "WHERE trace <= :last)",
    "traces": "id > :first AND id <= :last",
    "metrics": "response IN (SELECT id FROM responses WHERE trace > :first AND trace <= :last)",
}
_OF_TRACES = "trace > :first AND trace <= :last"
_TEXTS = "SELECT id, prompt, response FROM search_texts WHERE id > :first AND id <= :last"
_INDEX = Insert("search", "rowid prompt response")
_Rows: TypeAlias = list[tuple[object, ...]]
_Put: TypeAlias = Callable[[Insert, sqlite3.Connection, _Rows], None]


def floor(written: Path, traces: int) -> dict[str, float]:
    """Microseconds of CPU a trace, by what is done, of the first ``traces`` in the database
    ``written``."""
    source = open_for_reading(written, busy_timeout_s=10)
    source.row_factory = None
    spent = dict.fromkeys(("executemany", "many rows a statement", "full-text index"), 0.0)
    with tempfile.TemporaryDirectory() as folder:
        one, other = (
            open_for_writing(Path(folder) / name, busy_timeout_s=10) for name in ("1.db", "2.db")
        )
        for batch, texts in _batches(source, traces):
            spent["executemany"] += _written(one, batch, _plainly)
            spent["many rows a statement"] += _written(other, batch, Insert.run)
            spent["full-text index"] += _written(one, {_INDEX: texts}, _plainly)
        one.close()
        other.close()
    source.close()
    return {what: seconds / traces * 1e6 for what, seconds in spent.items()}


def _plainly(insert: Insert, target: sqlite3.Connection, rows: _Rows) -> None:
    marks = ", ".join("?" * len(rows[0]))
    names = ", ".join(f'"{name}"' for name in insert.names)
    target.executemany(f"INSERT INTO {insert.table}({names}) VALUES ({marks})", rows)


def _written(target: sqlite3.Connection, batch: dict[Insert, _Rows], put: _Put) -> float:
    """The seconds of CPU that a transaction took."""
    begun = time.process_time()
    target.execute("BEGIN IMMEDIATE")
    for insert, rows in batch.items():
        put(insert, target, rows)
    target.execute("COMMIT")
    return time.process_time() - begun


def _batches(
    source: sqlite3.Connection, traces: int
) -> Iterator[tuple[dict[Insert, _Rows], _Rows]]:
    """The rows of some traces after each other, by the statement that writes them."""
    place = {"first": 0, "last": 0, "blob": 0, "session": 0}
    while place["first"] < traces:
        place["last"] = min(place["first"] + BATCH, traces)
        batch = dict(chain.from_iterable(_rows(source, table, place) for table in _TABLES))
        yield batch, source.execute(_TEXTS, place).fetchall()
        place["first"] = place["last"]


def _rows(
    source: sqlite3.Connection, table: str, place: dict[str, int]
) -> Iterator[tuple[Insert, _Rows]]:
    found = source.execute(
        f"SELECT * FROM {table} WHERE {_OWN_PLACE.get(table, _OF_TRACES)}",
        place,
    )
    rows = found.fetchall()
    if rows:
        yield _insert(table, " ".join(column[0] for column in found.description)), rows
    if rows and table in {"blobs", "sessions"}:
        place[table[:-1]] = rows[-1][0]


@cache
def _insert(table: str, names: str) -> Insert:
    return Insert(table, names)
