"""Lists of columns, and the statements made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain

_MANY = (64, 16, 4)
"""Rows in a statement. A statement has a price of its own, above all in a table that counts its
rows (AUTOINCREMENT) or has triggers: 64 rows at once cost less than half of 64 statements."""


def columns(names: str) -> tuple[str, ...]:
    """The names in a line of text: a table's columns stay a few lines to read."""
    return tuple(names.split())


def insert_into(table: str, names: Sequence[str], ending: str = "", *, rows: int = 1) -> str:
    """The INSERT statement that sets these columns."""
    marks = f"({', '.join('?' * len(names))})"
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table}({quoted}) VALUES {', '.join([marks] * rows)} {ending}"  # noqa: S608 - our own names


def replacing(names: Iterable[str], *, target: str, keep: Iterable[str]) -> str:
    """The end of an upsert: a row that meets ``target`` takes the new values, but for ``keep``."""
    kept = set(keep)
    news = ", ".join(f"{name} = excluded.{name}" for name in names if name not in kept)
    return f"ON CONFLICT({target}) DO UPDATE SET {news}"


class Insert:
    """Rows of one table on their way in, as many as there are in few statements."""

    def __init__(self, table: str, names: str, ending: str = "") -> None:
        self.table = table
        self.names = columns(names)
        self._one = insert_into(table, self.names, ending)
        self._many = [(rows, insert_into(table, self.names, ending, rows=rows)) for rows in _MANY]

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Write the rows in their order."""
        done = 0
        for size, sql in self._many:
            while len(rows) - done >= size:
                values = list(chain.from_iterable(rows[done : done + size]))
                connection.execute(sql, values)
                done += size
        if done < len(rows):
            connection.executemany(self._one, rows[done:])


class Update:
    """Rows of one table that change; the last value is the row's id or key."""

    def __init__(self, table: str, sql: str) -> None:
        self.table = table
        self._sql = sql

    def run(self, connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
        """Make the changes in their order."""
        connection.executemany(self._sql, rows)
