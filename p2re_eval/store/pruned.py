"""What retention took, trace by trace: each counts once, however many files let go of it.

A share counts, in the rollups of origin ``GONE``, while its trace is not in the file; a trace that
came back is counted from its row. Ids in ``pruned`` are of files that knew only sums.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

GONE = "gone"
"""The origin of what is counted from shares."""

_Value: TypeAlias = str | int | float | None
Share: TypeAlias = tuple[tuple[_Value, ...], list[tuple[_Value, ...]]]
"""The columns of cell and share, and those of each evaluation."""

_CELL = ("start_ns", "model", "prompt_name", "prompt_version", "source", "status")
_NUMBERS = (
    *("duration_ns", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    "cost_usd",
)
_SAID = ("number", "name", "kind", "value", "passed", "fault")
_HERE = "(SELECT value FROM json_each(?))"
_BATCH = 500
_HOUR_NS = 3_600_000_000_000


def remember(
    connection: sqlite3.Connection, version: str, where: str, values: Mapping[str, object]
) -> None:
    """The shares of these rows of ``traces``, before they go. ``version`` is the SQL of a prompt's
    version as rollups write it, ``:judged`` the last evaluation that was counted."""
    cell = (
        f"t.start_ns - t.start_ns % {_HOUR_NS} AS start_ns, t.model AS model, "
        f"t.prompt_name AS prompt_name, {version} AS prompt_version, t.source AS source, "
        "t.status AS status"
    )
    leaving = f"FROM traces t WHERE {where}"
    connection.execute(
        f"INSERT OR IGNORE INTO pruned_cells({', '.join(_CELL)}) SELECT DISTINCT {cell} {leaving}",
        values,
    )
    numbers = "t.end_ns - t.start_ns, " + ", ".join(f"t.{name}" for name in _NUMBERS[1:])
    same = " AND ".join(f"c.{name} = n.{name}" for name in _CELL)
    connection.execute(
        f"INSERT OR REPLACE INTO pruned_shares(trace_id, {', '.join(_NUMBERS)}, cell) "  # noqa: S608 - our own SQL
        f"SELECT t.trace_id, {numbers}, (SELECT c.id FROM pruned_cells c, (SELECT {cell}) n "
        f"WHERE {same}) {leaving}",
        values,
    )
    connection.execute(
        f"DELETE FROM pruned_evaluations WHERE trace_id IN (SELECT t.trace_id {leaving})",  # noqa: S608 - our own SQL
        values,
    )
    connection.execute(
        f"INSERT INTO pruned_evaluations(trace_id, {', '.join(_SAID)}) "  # noqa: S608 - our own SQL
        "SELECT t.trace_id, row_number() OVER (PARTITION BY e.trace_id ORDER BY e.id), e.name, "
        "e.kind, e.value, e.passed, CASE WHEN e.fault IS NOT NULL THEN 1 END "
        f"FROM evaluations e JOIN traces t ON t.trace_id = e.trace_id "
        f"WHERE e.id <= :judged AND {where}",
        values,
    )


def forget(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> None:
    """What a person deletes counts nowhere any more."""
    for table in ("pruned_shares", "pruned_evaluations"):
        connection.execute(
            f"DELETE FROM {table} WHERE trace_id IN {_HERE}",  # noqa: S608 - our own names
            (json.dumps(list(trace_ids)),),
        )


def all_shares(connection: sqlite3.Connection) -> Iterator[tuple[str, Share]]:
    """Every share, by id."""
    for page in _pages(connection):
        yield from page.items()


def take_share(connection: sqlite3.Connection, trace_id: str, share: Share) -> None:
    """Another file's share, unless one that is greater is here."""
    here = _shares(connection, [trace_id]).get(trace_id)
    if here is None or _rank(share) > _rank(here):
        _write(connection, {trace_id: share})


def take_over(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Another file's shares; of two of one trace the greater stays, whoever had it first. Inside an
    open transaction of the target."""
    for theirs in _pages(source):
        here = _shares(target, list(theirs))
        news = {
            trace_id: share
            for trace_id, share in theirs.items()
            if trace_id not in here or _rank(share) > _rank(here[trace_id])
        }
        _write(target, news)


def _write(connection: sqlite3.Connection, shares: Mapping[str, Share]) -> None:
    forget(connection, list(shares))
    width = len(_CELL)
    marks = ", ".join("?" * width)
    connection.executemany(
        f"INSERT OR IGNORE INTO pruned_cells({', '.join(_CELL)}) VALUES ({marks})",  # noqa: S608 - our own names
        {columns[:width] for columns, _ in shares.values()},
    )
    same = " AND ".join(f"{name} = ?" for name in _CELL)
    connection.executemany(
        f"INSERT INTO pruned_shares(trace_id, {', '.join(_NUMBERS)}, cell) VALUES "  # noqa: S608 - our own names
        f"(?, {', '.join('?' * len(_NUMBERS))}, (SELECT id FROM pruned_cells WHERE {same}))",
        [
            (trace_id, *columns[width:], *columns[:width])
            for trace_id, (columns, _) in shares.items()
        ],
    )
    connection.executemany(
        f"INSERT INTO pruned_evaluations(trace_id, {', '.join(_SAID)}) "  # noqa: S608 - our own names
        f"VALUES (?, {', '.join('?' * len(_SAID))})",
        [(trace_id, *one) for trace_id, (_, said) in shares.items() for one in said],
    )


def _pages(connection: sqlite3.Connection) -> Iterator[dict[str, Share]]:
    last = ""
    while True:
        sql = "SELECT trace_id FROM pruned_shares WHERE trace_id > ? ORDER BY trace_id LIMIT ?"
        ids = [row[0] for row in connection.execute(sql, (last, _BATCH))]
        if ids:
            yield _shares(connection, ids)
            last = ids[-1]
        if len(ids) < _BATCH:
            return


def _shares(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> dict[str, Share]:
    named = (json.dumps(list(trace_ids)),)
    rows = connection.execute(
        f"SELECT s.trace_id, {', '.join((*_CELL, *_NUMBERS))} FROM pruned_shares s "  # noqa: S608 - our own names
        f"JOIN pruned_cells c ON c.id = s.cell WHERE s.trace_id IN {_HERE}",
        named,
    )
    found: dict[str, Share] = {row[0]: (tuple(row)[1:], []) for row in rows}
    said = connection.execute(
        f"SELECT trace_id, {', '.join(_SAID)} FROM pruned_evaluations "  # noqa: S608 - our own names
        f"WHERE trace_id IN {_HERE} ORDER BY trace_id, number",
        named,
    )
    for row in said:
        found[row[0]][1].append(tuple(row)[1:])
    return found


def _rank(share: Share) -> str:
    return json.dumps(share)
