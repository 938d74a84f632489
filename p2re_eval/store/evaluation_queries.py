"""Evaluations by what was judged, by whom and when; people's judgements with their history."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import Evaluation, EvaluationKind, Record
from p2re_eval.store import rollups
from p2re_eval.store.trace_queries import evaluation
from p2re_eval.store.upkeep import judged_watermark


class EvaluationFilter(Record):
    """What a list is narrowed to; None lets everything through. ``identifier`` of a HUMAN
    evaluation is the annotator."""

    trace_id: str | None = None
    name: str | None = None
    kind: EvaluationKind | None = None
    identifier: str | None = None
    experiment_id: str | None = None


class PastEvaluation(Record):
    """What a person had said before."""

    evaluation_id: str
    trace_id: str
    name: str
    annotator: str
    value: float | None = None
    label: str | None = None
    passed: bool | None = None
    note: str | None = None
    created_ns: int
    replaced_ns: int


def list_evaluations(
    connection: sqlite3.Connection,
    wanted: EvaluationFilter,
    *,
    limit: int,
    before: int | None = None,
) -> tuple[list[Evaluation], int | None]:
    """The newest first, below the id ``before``; and the id of the last, None at the end."""
    given = {name: value for name, value in wanted if value is not None}
    terms = ["e.id < ?", *(f"e.{name} = ?" for name in given)]
    if wanted.kind == "HUMAN":
        terms.append("e.kind = 'HUMAN'")  # said as the partial index says it
    rows = connection.execute(
        f"SELECT e.* FROM evaluations e WHERE {' AND '.join(terms)} "  # noqa: S608 - our own names
        "ORDER BY e.id DESC LIMIT ?",
        (before or 1 << 62, *given.values(), limit),
    ).fetchall()
    more = rows[-1]["id"] if len(rows) == limit else None
    return [evaluation(row) for row in rows], more


def read_evaluation(connection: sqlite3.Connection, beginning: str, path: Path) -> Evaluation:
    """The evaluation whose id is or begins so. Raises NoSuchRecord, StoreError (ambiguous)."""
    beginning = beginning.strip().lower()
    rows = connection.execute(
        "SELECT * FROM evaluations WHERE evaluation_id >= ? AND evaluation_id < ? "
        "ORDER BY evaluation_id LIMIT 2",
        (beginning, beginning + "\U0010ffff"),
    ).fetchall()
    if not rows or not beginning:
        raise NoSuchRecord(f"{path}: no evaluation has the id '{beginning}'", path=path)
    if len(rows) > 1 and rows[0]["evaluation_id"] != beginning:
        what = f"{path}: '{beginning}' begins more than one evaluation; give more of it"
        raise StoreError(what, path=path)
    return evaluation(rows[0])


def delete_evaluation(connection: sqlite3.Connection, evaluation_id: str) -> int:
    """How many rows are gone: 1 or 0; the statistics no longer count them."""
    rows = [
        row[0]
        for row in connection.execute(
            "SELECT id FROM evaluations WHERE evaluation_id = ?", (evaluation_id,)
        )
    ]
    counted = judged_watermark(connection)
    rollups.take_out_evaluations(connection, [row for row in rows if row <= counted])
    sql = "DELETE FROM evaluations WHERE evaluation_id = ?"
    return connection.execute(sql, (evaluation_id,)).rowcount


def history(connection: sqlite3.Connection, trace_id: str) -> list[PastEvaluation]:
    """What people had said of a trace before they changed their minds, the newest first."""
    rows = connection.execute(
        "SELECT evaluation_id, trace_id, name, identifier AS annotator, value, label, passed, "
        "explanation AS note, created_ns, replaced_ns FROM evaluation_history "
        "WHERE trace_id = ? ORDER BY id DESC",
        (trace_id,),
    )
    return [PastEvaluation(**dict(row)) for row in rows]


def human_judgements(
    connection: sqlite3.Connection, name: str
) -> list[tuple[str, str, float | None, str | None, int | None]]:
    """(trace, annotator, value, label, passed) of every person's evaluation of this name."""
    rows = connection.execute(
        "SELECT trace_id, identifier, value, label, passed FROM evaluations "
        "WHERE kind = 'HUMAN' AND name = ? ORDER BY trace_id, identifier",
        (name,),
    )
    return [tuple(row) for row in rows]


class JudgementRow(NamedTuple):
    """What was said of a trace, by a person (``identifier``) or a scorer."""

    trace_id: str
    name: str
    kind: EvaluationKind
    identifier: str
    scorer: str
    scorer_version: str
    value: float | None
    passed: int | None
    explanation: str | None


def judged_by_people(connection: sqlite3.Connection, name: str | None = None) -> list[JudgementRow]:
    """Every judgement of the traces that a person judged, in the order of saying.

    Of those that are no person's only the evaluation ``name``, or every model's.
    """
    judges = "e.kind = 'LLM'" if name is None else "e.kind != 'HUMAN' AND e.name = :name"
    rows = connection.execute(
        f"SELECT e.{', e.'.join(JudgementRow._fields)} FROM evaluations e "  # noqa: S608 - our own
        "WHERE e.trace_id IN (SELECT trace_id FROM evaluations WHERE kind = 'HUMAN') "
        f"AND e.fault IS NULL AND (e.kind = 'HUMAN' OR {judges}) ORDER BY e.id",
        {"name": name},
    )
    return [JudgementRow(*row) for row in rows]


def previews(
    connection: sqlite3.Connection, trace_ids: Iterable[str]
) -> dict[str, tuple[str, str]]:
    """What was asked and answered in short, of those traces that are still there."""
    rows = connection.execute(
        "SELECT t.trace_id, t.input_preview, t.output_preview FROM json_each(?) j "
        "JOIN traces t ON t.trace_id = j.value",
        (json.dumps(list(trace_ids)),),
    )
    return {row[0]: (row[1] or "", row[2] or "") for row in rows}
