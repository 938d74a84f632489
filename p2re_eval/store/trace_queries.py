"""Single traces and what was said of them, whole as they were recorded."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import (
    Completion,
    Evaluation,
    Exposure,
    Fault,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Span,
    Trace,
    Usage,
)
from p2re_eval.store.columns import columns
from p2re_eval.store.payloads import json_of, record_of, text_of, unpacked
from p2re_eval.store.steps.record_tables import version_text
from p2re_eval.store.trace_writes import key_column


def find_run(connection: sqlite3.Connection, run_key: str) -> Trace | None:
    """The newest live run with this key that was answered."""
    row = connection.execute(
        "SELECT * FROM traces WHERE run_key = ? AND status = 'OK' AND source = 'live' "
        "AND run_key IS NOT NULL ORDER BY id DESC LIMIT 1",
        (key_column(run_key),),
    ).fetchone()
    return None if row is None else trace_of(connection, row)


def find_call(connection: sqlite3.Connection, run_key: str) -> Completion | None:
    """The newest answer to a scorer's own call with this key."""
    row = connection.execute(
        "SELECT r.* FROM spans s JOIN responses r ON r.span = s.id "
        "WHERE s.run_key = ? AND s.status = 'OK' AND s.run_key IS NOT NULL "
        "ORDER BY s.id DESC LIMIT 1",
        (key_column(run_key),),
    ).fetchone()
    return None if row is None else _completion(connection, row, row)


def read_trace(connection: sqlite3.Connection, beginning: str, path: Path) -> Trace:
    """The trace whose id begins so, with its spans. Raises NoSuchRecord, StoreError (ambiguous)."""
    return trace_of(connection, trace_row(connection, beginning, path))


def trace_row(connection: sqlite3.Connection, beginning: str, path: Path) -> sqlite3.Row:
    """Its row in ``traces``. Raises NoSuchRecord, StoreError (ambiguous)."""
    beginning = beginning.strip().lower()
    rows = []
    if beginning:
        rows = connection.execute(
            "SELECT * FROM traces WHERE trace_id >= ? AND trace_id < ? ORDER BY trace_id LIMIT 2",
            (beginning, beginning + "g"),
        ).fetchall()
    if not rows:
        what = (
            f"{path}: no trace has the id '{beginning}'; `p2re traces list` shows those there are"
        )
        raise NoSuchRecord(what, path=path)
    if len(rows) > 1:
        first, second = rows[0]["trace_id"], rows[1]["trace_id"]
        what = (
            f"{path}: '{beginning}' begins more than one trace ({first}, {second}); give more of it"
        )
        raise StoreError(what, path=path)
    row: sqlite3.Row = rows[0]
    return row


def evaluations(connection: sqlite3.Connection, trace_id: str) -> list[Evaluation]:
    """What was said about a trace, in the order of saying."""
    rows = connection.execute(
        "SELECT * FROM evaluations WHERE trace_id = ? ORDER BY id", (trace_id,)
    )
    return [evaluation(row) for row in rows]


def evaluation(row: sqlite3.Row) -> Evaluation:
    """A row of ``evaluations``."""
    fault = row["fault"]
    score = None
    if fault is None:
        score = Score(
            value=row["value"],
            label=row["label"],
            passed=None if row["passed"] is None else bool(row["passed"]),
            explanation=row["explanation"],
            metadata=json_of(row["metadata"], {}),
        )
    same = columns(
        "evaluation_id trace_id name scorer scorer_version kind weight duration_ns created_ns "
        "identifier experiment_id"
    )
    return Evaluation(
        **{name: row[name] for name in same},
        score=score,
        fault=None if fault is None else record_of(Fault, fault),
    )


def usage(row: sqlite3.Row) -> Usage:
    """The four token columns that several tables share."""
    return Usage(
        input_tokens=row["input_tokens"],
        output_tokens=row["output_tokens"],
        cached_tokens=row["cached_tokens"],
        reasoning_tokens=row["reasoning_tokens"],
    )


def trace_of(connection: sqlite3.Connection, row: sqlite3.Row, *, with_spans: bool = True) -> Trace:
    """The record of a row in ``traces``."""
    ending = connection.execute(
        "SELECT * FROM responses WHERE trace = ? AND span IS NULL", (row["id"],)
    ).fetchone()
    root = connection.execute(
        "SELECT attributes, events FROM spans WHERE trace = ? AND span_id = ?",
        (row["id"], row["span_id"]),
    ).fetchone()
    return Trace(
        trace_id=row["trace_id"],
        span_id=row["span_id"],
        name=row["name"],
        kind=row["kind"],
        status=row["status"],
        start_ns=row["start_ns"],
        end_ns=row["end_ns"],
        prompt=_asked(connection, row),
        completion=None if ending is None else _completion(connection, ending, row),
        fault=None if ending is None else _fault(ending),
        attempts=row["attempts"],
        run_key=key_text(row["run_key"]),
        source=row["source"],
        experiment_id=row["experiment_id"],
        session_id=row["session_id"],
        user=row["user"],
        suite=row["suite"],
        case_id=row["case_id"],
        repeat=row["repeat"],
        tags=tuple(json_of(row["tags"], ())),
        metadata=json_of(row["metadata"], {}),
        attributes={} if root is None else json_of(root["attributes"], {}),
        events=() if root is None else tuple(json_of(root["events"], ())),
        exposures=tuple(_exposures(connection, row["trace_id"])),
        spans=tuple(spans_of(connection, row)) if with_spans else (),
    )


def spans_of(
    connection: sqlite3.Connection, trace: sqlite3.Row, *, span_id: str | None = None
) -> Iterator[Span]:
    """The spans of a row in ``traces`` as they were recorded, or the one of this id; but for the
    root, which is the trace itself."""
    rows = connection.execute(
        "SELECT * FROM spans WHERE trace = ? AND span_id <> ? "
        "AND span_id = coalesce(?, span_id) ORDER BY id",
        (trace["id"], trace["span_id"], span_id),
    ).fetchall()
    wanted = json.dumps([row["id"] for row in rows])
    responses = {
        response["span"]: response
        for response in connection.execute(
            "SELECT r.* FROM json_each(?) j JOIN responses r ON r.span = j.value", (wanted,)
        )
    }
    same = columns("span_id parent_id name kind status status_message start_ns end_ns")
    for row in rows:
        ending = responses.get(row["id"])
        yield Span(
            **{name: row[name] for name in same},
            trace_id=trace["trace_id"],
            attributes=json_of(row["attributes"], {}),
            events=tuple(json_of(row["events"], ())),
            prompt=None if row["prompt"] is None else _prompt(connection, row["prompt"]),
            completion=None if ending is None else _completion(connection, ending, ending),
            run_key=key_text(row["run_key"]),
        )


def key_text(kept: bytes | str | None) -> str:
    """What :func:`p2re_eval.store.trace_writes.key_column` was given."""
    return kept.hex() if isinstance(kept, bytes) else kept or ""


def _exposures(connection: sqlite3.Connection, trace_id: str) -> Iterator[Exposure]:
    for experiment, variant, unit in connection.execute(
        "SELECT experiment, variant, unit FROM exposures WHERE trace_id = ? ORDER BY experiment",
        (trace_id,),
    ):
        yield Exposure(experiment=experiment, variant=variant, unit=unit)


def _asked(connection: sqlite3.Connection, trace: sqlite3.Row) -> RenderedPrompt:
    """A trace's prompt; where there is none, or retention has dropped the texts, what the row
    still knows of it."""
    if trace["prompt"] is not None:
        return _prompt(connection, trace["prompt"])
    provider, _, name = trace["model"].partition("/")
    return RenderedPrompt(
        name=trace["prompt_name"],
        version=version_text(trace["prompt_version"]),
        messages=(),
        model=ModelSettings(provider=provider or None, name=name or None),
    )


def _prompt(connection: sqlite3.Connection, prompt: int) -> RenderedPrompt:
    row = connection.execute("SELECT * FROM prompts WHERE id = ?", (prompt,)).fetchone()
    blobs = connection.execute(
        "SELECT blob FROM messages WHERE prompt = ? ORDER BY position", (prompt,)
    ).fetchall()
    texts = [text for (blob,) in blobs if (text := text_of(connection, blob)) is not None]
    head = json_of(text_of(connection, row["head"]), {})
    variables = row["variables"]
    if variables is not None:
        variables = json.loads(unpacked(variables, known="".join(texts).encode()))
    return RenderedPrompt(
        **{"name": "", "model": {}, **head},
        messages=tuple(record_of(Message, text) for text in texts),
        variables=variables or {},
    )


def _fault(response: sqlite3.Row) -> Fault | None:
    return None if response["fault"] is None else record_of(Fault, response["fault"])


def _completion(
    connection: sqlite3.Connection, response: sqlite3.Row, measures: sqlite3.Row
) -> Completion | None:
    """``measures`` is the row that holds model, tokens and cost: the trace's, or a span's own."""
    said = text_of(connection, response["message"])
    if said is None and response["finish_reason"] is None:
        return None
    # Where retention has dropped the text, tokens and cost of the answer are still known.
    message = Message(role="assistant") if said is None else record_of(Message, said)
    first_token = connection.execute(
        "SELECT value FROM metrics WHERE response = ? AND name = 'time_to_first_token_ns'",
        (response["id"],),
    ).fetchone()
    same = columns("refusal finish_reason raw_finish_reason response_id duration_ns")
    return Completion(
        **{name: response[name] for name in same},
        text=message.text,
        tool_calls=message.tool_calls,
        reasoning=text_of(connection, response["reasoning"]),
        model=measures["model_answered"],
        usage=usage(measures),
        cost_usd=measures["cost_usd"],
        time_to_first_token_ns=None if first_token is None else int(first_token[0]),
        rate_limit=json_of(response["rate_limit"], {}),
        raw=json_of(text_of(connection, response["raw"])),
    )
