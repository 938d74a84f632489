"""Lists of columns, and the INSERT statements made of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def columns(names: str) -> tuple[str, ...]:
    """The names in a line of text: a table's columns stay a few lines to read."""
    return tuple(names.split())


def insert_into(table: str, names: Sequence[str], ending: str = "") -> str:
    """The INSERT statement that sets these columns."""
    marks = ", ".join("?" * len(names))
    quoted = ", ".join(f'"{name}"' for name in names)
    return f"INSERT INTO {table}({quoted}) VALUES ({marks}) {ending}"  # noqa: S608 - our own names


def replacing(names: Iterable[str], *, target: str, keep: Iterable[str]) -> str:
    """The end of an upsert: a row that meets ``target`` takes the new values, but for ``keep``."""
    kept = set(keep)
    news = ", ".join(f"{name} = excluded.{name}" for name in names if name not in kept)
    return f"ON CONFLICT({target}) DO UPDATE SET {news}"
