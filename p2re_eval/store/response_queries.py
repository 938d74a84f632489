"""Responses: every answer of a model, of runs and of spans inside them."""

from __future__ import annotations

import json
import sqlite3

from pydantic import Field

from p2re_eval.records import Record


class ResponseRow(Record):
    """An answer as lists show it; ``span_id`` None is the run itself. ``id`` is a page's cursor."""

    id: int
    trace_id: str
    span_id: str | None = None
    model: str
    model_answered: str | None = None
    finish_reason: str | None = None
    response_id: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    duration_ns: int | None = None
    output_preview: str | None = None
    metrics: dict[str, float] = Field(default_factory=dict)


def list_responses(
    connection: sqlite3.Connection,
    *,
    limit: int,
    before: int | None = None,
    trace_id: str | None = None,
) -> list[ResponseRow]:
    """The newest first, below the id ``before``."""
    within = "AND r.trace = (SELECT id FROM traces WHERE trace_id = ?) " if trace_id else ""
    own = "input_tokens output_tokens cached_tokens reasoning_tokens cost_usd model_answered"
    measures = ", ".join(
        f"CASE WHEN r.span IS NULL THEN t.{name} ELSE r.{name} END AS {name}"
        for name in own.split()
    )
    rows = connection.execute(
        f"SELECT r.id, t.trace_id, s.span_id, t.model, r.finish_reason, r.response_id, {measures}, "  # noqa: S608 - our own names
        "r.duration_ns, CASE WHEN r.span IS NULL THEN t.output_preview END AS output_preview, "
        "(SELECT json_group_object(name, value) FROM metrics WHERE response = r.id) AS metrics "
        "FROM responses r JOIN traces t ON t.id = r.trace LEFT JOIN spans s ON s.id = r.span "
        f"WHERE r.id < ? {within}ORDER BY r.id DESC LIMIT ?",
        (before or 1 << 62, *([trace_id] if trace_id else []), limit),
    )
    return [ResponseRow(**{**dict(row), "metrics": json.loads(row["metrics"])}) for row in rows]
