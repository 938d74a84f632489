"""Results without their texts, read as fast as SQLite gives them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from p2re_eval.records import Observation, Observed

_PAGE = 4096
"""Rows in memory at a time; no read transaction between pages holds up a checkpoint."""
_HASHES = ("row_hash", "rules_hash", "fingerprint")
"""Read as their first twelve digits, which are all that is compared."""
_COLUMNS = (
    "suite, prompt, model, case_id, repeat, outcome, value, cluster, prompt_version, "
    + ", ".join(f"nullif(lower(hex(substr({h}, 1, 6))), '')" for h in _HASHES)
    + ", model_answered, trace_id, source, cost_usd, input_tokens, output_tokens, duration_ns, "
    "quarantine IS NOT NULL"
)
_LAST = "\U0010ffff"
"""Comes after every suite's path."""
_TRACE_ID = 13


def observations(
    connection: sqlite3.Connection, experiment_id: str, suite: str | None = None
) -> Iterator[Observation]:
    """The results of an experiment (of one suite where it is named) by suite and position, each
    with its scores; without those in quarantine, which decide nothing."""
    cursor = connection.cursor()
    cursor.row_factory = None  # plain tuples
    at: tuple[object, ...] = (suite or "", -1, 0)
    last = _LAST if suite is None else suite
    while True:
        rows = cursor.execute(
            f"SELECT {_COLUMNS}, position, id FROM results "  # noqa: S608 - our own columns
            "WHERE experiment_id = ? AND (suite, position, id) > (?, ?, ?) "
            "AND suite <= ? AND quarantine IS NULL ORDER BY suite, position, id LIMIT ?",
            (experiment_id, *at, last, _PAGE),
        ).fetchall()
        scores = _scores(cursor, experiment_id, rows)
        for row in rows:
            suite_path, _, _, case_id, repeat = row[:5]
            mine = f"{experiment_id}:{suite_path}:{case_id}#{repeat}"
            said = scores.get(row[_TRACE_ID], {})
            yield Observation._make((*row[:-2], (*said.get(mine, ()), *said.get("", ()))))
        if len(rows) < _PAGE:
            return
        at = (rows[-1][0], *rows[-1][-2:])


def _scores(
    cursor: sqlite3.Cursor, experiment_id: str, rows: list[tuple[object, ...]]
) -> dict[object, dict[str, tuple[Observed, ...]]]:
    """By trace and then by whom they are about, "" where that is nobody's own (cases that ask the
    same share a cached trace); in the order in which they were said."""
    traces = list({row[_TRACE_ID]: None for row in rows if row[_TRACE_ID] is not None})
    found: dict[object, dict[str, tuple[Observed, ...]]] = {}
    every = f"{experiment_id}:"
    for trace_id, name, value, passed, version, kind, identifier in cursor.execute(
        "SELECT e.trace_id, e.name, e.value, e.passed, e.scorer_version, e.kind, "
        "e.identifier "
        "FROM json_each(?) j "
        "JOIN evaluations e ON e.trace_id = j.value WHERE e.experiment_id = ? ORDER BY e.id",
        (json.dumps(traces), experiment_id),
    ):
        said = Observed(name, value, None if passed is None else bool(passed), version, kind)
        about = found.setdefault(trace_id, {})
        whose = identifier if identifier.startswith(every) else ""
        about[whose] = (*about.get(whose, ()), said)
    return found
