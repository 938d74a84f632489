"""Lists of columns, and the statements made of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeAlias

_MANY = (64, 16, 8, 4, 2, 1)
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


class Statements:
    """Rows of one table, many written by one statement, each statement made once.

    Rows that lack the same values go together: the others are not bound at all, as ``sqlite3``
    takes twenty times as long over a None as over a number.
    """

    def __init__(self, table: str, names: str) -> None:
        self.table = table
        self.names = columns(names)
        self._made: dict[tuple[_Shape, int], str] = {}

    def run(self, connection: sqlite3.Connection, rows: Sequence[_Row]) -> None:
        """Write the rows; those that lack the same values in their order."""
        for shape, alike in _by_shape(rows).items():
            for some in _bunches(alike):
                key = shape, len(some)
                sql = self._made.get(key) or self._made.setdefault(key, self._sql(*key))
                connection.execute(sql, list(chain.from_iterable(some)))

    def _sql(self, shape: _Shape, rows: int) -> str:
        raise NotImplementedError

    def _there(self, shape: _Shape) -> list[str]:
        return [name for name, lacks in zip(self.names, shape, strict=False) if not lacks]


class Insert(Statements):
    """Rows on their way in."""

    def __init__(self, table: str, names: str, ending: str = "") -> None:
        super().__init__(table, names)
        self._ending = ending

    def _sql(self, shape: _Shape, rows: int) -> str:
        return insert_into(self.table, self._there(shape), self._ending, rows=rows)


class Update(Statements):
    """Rows that change, no two of them the same; the last value is the row's id."""

    def _sql(self, shape: _Shape, rows: int) -> str:
        there = self._there(shape)
        news = [f"{name} = v.column{place}" for place, name in enumerate(there, start=1)]
        nulls = [f"{name} = NULL" for name in self.names if name not in there]
        marks = f"({', '.join('?' * (len(there) + 1))})"
        return (
            f"UPDATE {self.table} SET {', '.join([*news, *nulls])} "  # noqa: S608 - our own names
            f"FROM (VALUES {', '.join([marks] * rows)}) v "
            f"WHERE {self.table}.id = v.column{len(there) + 1}"
        )


def _bunches(rows: Sequence[_Row]) -> Iterator[Sequence[_Row]]:
    done = 0
    for size in _MANY:
        while len(rows) - done >= size:
            yield rows[done : done + size]
            done += size


def _by_shape(rows: Sequence[_Row]) -> dict[_Shape, list[_Row]]:
    """Rows without what they lack, by what that is. Most columns are all there or all lacking,
    which is told without looking at them row by row."""
    values = list(zip(*rows, strict=True))
    lacking = [not all(column) and [value is None for value in column] for column in values]
    mixed = [one for one in lacking if one and False in one and True in one]
    if mixed:
        alike: dict[_Shape, list[_Row]] = {}
        for row, shape in zip(rows, zip(*mixed, strict=True), strict=True):
            alike.setdefault(shape, []).append(row)
        return {key: some for group in alike.values() for key, some in _by_shape(group).items()}
    shape = tuple([bool(one and one[0]) for one in lacking])
    there = [_easy(column) for column, lacks in zip(values, shape, strict=True) if not lacks]
    return {shape: list(zip(*there, strict=True))}


def _easy(column: _Row) -> Sequence[object]:
    """The same values as ``sqlite3`` takes them soonest: it asks around about bytes, too."""
    if type(column[0]) is not bytes:
        return column
    return [bytearray(value) if isinstance(value, bytes) else value for value in column]
