"""Where a text stands among the newest rows of every table, packed or not."""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import suppress

from p2re_eval.store.payloads import unpacked

_TABLES = """
SELECT name FROM sqlite_master
WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'search%'
  AND sql NOT LIKE '%WITHOUT ROWID%' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name
"""
"""The full-text index reads its words from these; tables of keys hold no texts of their own."""


def tables_with(connection: sqlite3.Connection, text: str, *, rows: int = 100) -> list[str]:
    """The tables with the text in one of so many newest rows."""
    tables = [row[0] for row in connection.execute(_TABLES)]
    return [name for name in tables if any(text in one for one in _texts(connection, name, rows))]


def _texts(connection: sqlite3.Connection, table: str, rows: int) -> Iterator[str]:
    found = connection.execute(
        f'SELECT * FROM "{table}" ORDER BY rowid DESC LIMIT ?',  # noqa: S608 - the file's own names
        (rows,),
    )
    for row in found:
        for value in row:
            if isinstance(value, str):
                yield value
            elif isinstance(value, bytes):
                yield value.decode("utf-8", "replace")
                with suppress(zlib.error, UnicodeDecodeError):
                    yield unpacked(value)
