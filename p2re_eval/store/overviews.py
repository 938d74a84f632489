"""What a list of traces shows beside its rows: judgements in short, and values to filter by."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence

from p2re_eval.records import Record

FACETS_FROM = 10_000
"""Facets are counted over the newest traces: what people filter by is what they just did."""
_MOST_VALUES = 50
_FACETS = {
    "status": "status",
    "model": "model",
    "prompt": "prompt_name",
    "suite": "suite",
    "fault": "fault_kind",
}


class ScoreRow(Record):
    """An evaluation as a list of traces shows it; ``broke`` when the scorer gave no score."""

    name: str
    value: float | None = None
    label: str | None = None
    passed: bool | None = None
    broke: bool = False


class Facet(Record):
    """A value of a column and how many of the newest traces have it."""

    value: str
    count: int


def scores_of(
    connection: sqlite3.Connection, trace_ids: Sequence[str]
) -> dict[str, list[ScoreRow]]:
    """The evaluations of each of these traces, in the order of saying."""
    found: dict[str, list[ScoreRow]] = {}
    for row in connection.execute(
        "SELECT e.trace_id, e.name, e.value, e.label, e.passed, e.fault IS NOT NULL AS broke "
        "FROM json_each(?) j JOIN evaluations e ON e.trace_id = j.value ORDER BY e.id",
        (json.dumps(trace_ids),),
    ):
        found.setdefault(row["trace_id"], []).append(
            ScoreRow.model_construct(
                name=row["name"],
                value=row["value"],
                label=row["label"],
                passed=None if row["passed"] is None else bool(row["passed"]),
                broke=bool(row["broke"]),
            )
        )
    return found


def _most(found: Counter[str]) -> list[tuple[str, int]]:
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:_MOST_VALUES]


def facets(connection: sqlite3.Connection) -> dict[str, list[Facet]]:
    """The values of the columns that people filter by, the most frequent first."""
    names = ", ".join(_FACETS.values())
    rows = connection.execute(
        f"SELECT {names}, count(*) FROM "  # noqa: S608 - our own names
        f"(SELECT {names} FROM traces ORDER BY id DESC LIMIT ?) GROUP BY {names}",
        (FACETS_FROM,),
    )
    counts: dict[str, Counter[str]] = {name: Counter() for name in _FACETS}
    for row in rows:
        for place, name in enumerate(_FACETS):
            if row[place] is not None:
                counts[name][row[place]] += row[len(_FACETS)]
    return {
        name: [Facet(value=value, count=count) for value, count in _most(found)]
        for name, found in counts.items()
    }
