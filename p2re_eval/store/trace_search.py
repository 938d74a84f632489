"""Traces by a search expression: led by the rarest index, bounded, and honest about scanning."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from p2re_eval.explain import did_you_mean
from p2re_eval.records import Record
from p2re_eval.store.expression_sql import Compiled, Leader, RowTest
from p2re_eval.store.snippets import Snippet, snippet_of
from p2re_eval.store.trace_lists import FEW_ROWS, ROW, TraceRow, trace_row

SCAN_ROWS = 20_000
"""The most traces that one page looks at; the next page goes on from there."""


class TraceHit(Record):
    """A trace that was found, and where its texts say what was looked for."""

    row: TraceRow
    snippets: tuple[Snippet, ...] = ()


_NO_VERSION = {"none", "null"}
_ANY_OF_VERSION = """
SELECT 1 FROM (SELECT 1 FROM traces WHERE prompt_version = ? LIMIT 1)
UNION ALL SELECT 1 FROM (SELECT 1 FROM traces WHERE prompt_version BETWEEN ? AND ? LIMIT 1)
UNION ALL SELECT 1 FROM versions WHERE version BETWEEN ? AND ?
"""
_EVERYTHING = Leader("traces t WHERE true", "t.id", (), ordered=True, what="")


@dataclass(frozen=True)
class SearchPage:
    """Hits, newest first. ``next_before`` is None at the end. ``looked_at`` counts the traces that
    were tested one by one; ``led_by`` is the field whose index found them, None if none did."""

    hits: list[TraceHit]
    next_before: int | None
    looked_at: int
    led_by: str | None
    complete: bool


def search_traces(
    connection: sqlite3.Connection, wanted: Compiled, *, limit: int, before: int | None = None
) -> SearchPage:
    """A page of the newest traces for which every test holds, below the row ``before``."""
    leading, few = _choose(connection, wanted.tests)
    leader = _EVERYTHING if leading is None or leading.leader is None else leading.leader
    walk = _Walk(leader, before, few)
    inner, inner_values = walk.statement()
    rest = [one for one in wanted.tests if one is not leading]
    tests = "".join(f" AND {one.sql}" for one in rest)
    rows = connection.execute(
        f"SELECT {ROW} FROM ({inner}) c CROSS JOIN traces t ON t.id = c.id "  # noqa: S608 - our own SQL
        f"WHERE true{tests} LIMIT ?",
        (*inner_values, *(value for one in rest for value in one.values), limit),
    ).fetchall()
    found = [trace_row(row) for row in rows]
    last, looked_at = found[-1].id if found else None, len(found)
    if rest:
        last, looked_at = _reached(connection, walk, found, limit)
    complete = len(found) < limit and looked_at < SCAN_ROWS
    return SearchPage(
        hits=[
            TraceHit(row=row, snippets=_snippets(connection, wanted.words, row.id)) for row in found
        ],
        next_before=None if complete else last,
        looked_at=looked_at,
        led_by=leader.what or None,
        complete=complete,
    )


def note_on(page: SearchPage) -> str | None:
    """What a reader should know: that no index served, and how far was looked."""
    if page.looked_at <= max(FEW_ROWS, len(page.hits)):
        return None
    if page.led_by is None:
        how = "no index serves this expression: every trace is looked at"
    elif not page.complete and page.looked_at >= SCAN_ROWS:
        how = f"many traces match '{page.led_by}', and each is looked at for the rest"
    else:
        return None
    return f"{how} ({page.looked_at:,} for this page)"


def unknown_evaluations(connection: sqlite3.Connection, names: Sequence[str]) -> str | None:
    """A sentence about evaluations that nobody ever gave; None when all are known."""
    if not names:
        return None
    known = {row[0] for row in connection.execute("SELECT DISTINCT name FROM score_rollups")}
    for name in names:
        if name in known:
            continue
        sql = "SELECT 1 FROM evaluations WHERE name = ? LIMIT 1"
        if connection.execute(sql, (name,)).fetchone() is None:
            return f"no evaluation is called '{name}'{did_you_mean(name, known)}"
    return None


def unknown_versions(connection: sqlite3.Connection, versions: Sequence[str]) -> str | None:
    """A sentence about versions that nothing was recorded of; None when there are such."""
    for one in versions:
        if one in _NO_VERSION or connection.execute(_ANY_OF_VERSION, _as_version(one)).fetchone():
            continue
        what = f"no prompt of this database has a version '{one}'"
        if re.fullmatch("v[1-9][0-9]*", one):
            return f"{what}; a number is that of git: name one prompt beside it, in its project"
        return f"{what}; give the beginning of its hash, seven digits or more"
    return None


def _as_version(text: str) -> tuple[object, ...]:
    """By its first digits, or another program's name for it."""
    if not re.fullmatch("[0-9a-f]{7,64}", text):
        return text, b"", b"", "", ""
    low, high = text.ljust(64, "0"), text.ljust(64, "f")
    return text, bytes.fromhex(low), bytes.fromhex(high), low, high


def _choose(
    connection: sqlite3.Connection, tests: Sequence[RowTest]
) -> tuple[RowTest | None, bool]:
    """The test whose index leads, and whether its rows are few enough to sort."""
    best: RowTest | None = None
    fewest = FEW_ROWS
    for one in tests:
        if one.leader is not None:
            matches = _matches(connection, one.leader)
            if matches < fewest:
                best, fewest = one, matches
    if best is not None:
        return best, True
    ordered = (one for one in tests if one.leader is not None and one.leader.ordered)
    return next(ordered, None), False


@dataclass(frozen=True)
class _Walk:
    """The rows that a leader finds, newest first: a few are sorted, many are walked along an index
    that is in the order of rows."""

    leader: Leader
    before: int | None
    few: bool

    def statement(self, until: int | None = None) -> tuple[str, tuple[object, ...]]:
        """The SELECT of their ids, down to ``until``."""
        column = f"+{self.leader.order}" if self.few else self.leader.order
        bounds = {f" AND {column} < ?": self.before, f" AND {column} >= ?": until}
        given = {term: value for term, value in bounds.items() if value is not None}
        sql = (
            f"SELECT {self.leader.order} AS id FROM {self.leader.source}{''.join(given)} "  # noqa: S608 - our own SQL
            f"ORDER BY {column} DESC LIMIT {SCAN_ROWS}"
        )
        return sql, (*self.leader.values, *given.values())


def _matches(connection: sqlite3.Connection, leader: Leader) -> int:
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {leader.source} LIMIT {FEW_ROWS})"  # noqa: S608 - our own SQL
    return int(connection.execute(sql, leader.values).fetchone()[0])


def _reached(
    connection: sqlite3.Connection, walk: _Walk, found: Sequence[TraceRow], limit: int
) -> tuple[int | None, int]:
    """The row at which the page ended, and how many were looked at on the way."""
    full = len(found) == limit
    until = found[-1].id if full else None
    sql, values = walk.statement(until)
    last, looked_at = connection.execute(
        f"SELECT min(id), count(*) FROM ({sql})",  # noqa: S608 - our own SQL
        values,
    ).fetchone()
    return (until if full else last), looked_at


def _snippets(
    connection: sqlite3.Connection, words: Sequence[str], row: int
) -> tuple[Snippet, ...]:
    if not words:
        return ()
    sql = "SELECT prompt, response FROM search_texts WHERE id = ?"
    texts = connection.execute(sql, (row,)).fetchone() or (None, None)
    parts = zip(("prompt", "response"), texts, strict=True)
    found = (snippet_of(part, text, words) for part, text in parts)
    return tuple(one for one in found if one is not None)
