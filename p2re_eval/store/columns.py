"""Lists of columns, and the statements made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TypeAlias

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


_Row: TypeAlias = tuple[object, ...]
_Shape: TypeAlias = tuple[bool, ...]


class Insert:
    """Rows of one table on their way in, as many as there are in few statements.

    Rows that lack the same values go together: the others are not named at all, as ``sqlite3``
    takes twenty times as long over a None as over a number.
    """

    def __init__(self, table: str, names: str, ending: str = "") -> None:
        self.table = table
        self._names = columns(names)
        self._ending = ending
        self._statements: dict[tuple[_Shape, int], str] = {}

    def run(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """Write the rows; those that lack the same values in their order."""
        for shape, alike in _by_shape(rows).items():
            done = 0
            for size in _MANY:
                while len(alike) - done >= size:
                    values = list(chain.from_iterable(alike[done : done + size]))
                    connection.execute(self._statement(shape, size), values)
                    done += size
            if done < len(alike):
                connection.executemany(self._statement(shape, 1), alike[done:])

    def _statement(self, shape: _Shape, rows: int) -> str:
        known = self._statements.get((shape, rows))
        if known is None:
            names = [name for name, lacks in zip(self._names, shape, strict=True) if not lacks]
            known = insert_into(self.table, names, self._ending, rows=rows)
            self._statements[shape, rows] = known
        return known


class Update:
    """Rows of one table that change; the last value is the row's id."""

    def __init__(self, table: str, names: str) -> None:
        self.table = table
        self._names = columns(names)
        self._statements: dict[_Shape, str] = {}

    def run(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """Make the changes; no two of them are of one row."""
        for shape, alike in _by_shape(rows).items():
            if shape not in self._statements:
                news = ", ".join(
                    f"{name} = {'NULL' if lacks else '?'}"
                    for name, lacks in zip(self._names, shape, strict=False)
                )
                self._statements[shape] = f"UPDATE {self.table} SET {news} WHERE id = ?"  # noqa: S608 - our own names
            connection.executemany(self._statements[shape], alike)


def _by_shape(rows: Iterable[_Row]) -> dict[_Shape, list[list[object]]]:
    """Rows without what they lack, by what that is."""
    shapes: dict[_Shape, list[list[object]]] = {}
    for row in rows:
        shape = tuple([value is None for value in row])
        alike = shapes.get(shape)
        if alike is None:
            alike = shapes[shape] = []
        alike.append([value for value in row if value is not None])
    return shapes
