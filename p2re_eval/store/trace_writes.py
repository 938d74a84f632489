"""Traces, their prompts, answers and spans on their way into the tables."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable, Sequence

from p2re_eval.records import (
    Completion,
    Exposure,
    Fault,
    Message,
    RenderedPrompt,
    Span,
    Trace,
)
from p2re_eval.store.columns import columns, insert_into
from p2re_eval.store.payloads import Blobs, digest, squeezed
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.steps.record_tables import version_column
from p2re_eval.store.upkeep import forget_ending

SMALL_VARIABLES = 48
"""Bytes that are not worth compressing, even against the messages."""
PREVIEW_CHARS = 120
"""What a list shows of a text; the design allows 500, and every trace pays for it twice."""


_HASH = re.compile("[0-9a-f]{64}")


class Transaction:
    """An open transaction and what its writes need; ``process`` is the id of this opening."""

    def __init__(
        self, connection: sqlite3.Connection, redaction: Redaction, now_ns: int, process: int
    ) -> None:
        self.connection = connection
        self.redaction = redaction
        self.now_ns = now_ns
        self.process = process
        self.blobs = Blobs(connection)


TRACE_COLUMNS = columns(
    "trace_id span_id name status source start_ns end_ns model model_answered prompt_name prompt "
    "prompt_version suite case_id repeat experiment_id session_id run_key attempts input_tokens "
    "output_tokens cached_tokens reasoning_tokens cost_usd fault_kind input_preview output_preview "
    "tags metadata process kind user"
)
_ENDING_COLUMNS = columns(
    "status start_ns end_ns model_answered attempts input_tokens output_tokens cached_tokens "
    "reasoning_tokens cost_usd fault_kind output_preview tags metadata process"
)
_SPAN_COLUMNS = columns(
    "trace span_id parent_id name kind status status_message start_ns end_ns attributes prompt "
    "run_key events"
)
_RESPONSE_COLUMNS = columns(
    "trace span message reasoning raw refusal finish_reason raw_finish_reason response_id "
    "duration_ns rate_limit fault model_answered input_tokens output_tokens cached_tokens "
    "reasoning_tokens cost_usd"
)
_NOTHING_MORE = (None,) * 6  # a run's model, tokens and cost stand in traces

_INSERT_TRACE = insert_into("traces", TRACE_COLUMNS)
_END_TRACE = (
    "UPDATE traces SET "  # noqa: S608 - our own names
    + ", ".join(f"{column} = ?" for column in _ENDING_COLUMNS)
    + " WHERE id = ?"
)
_INSERT_SPAN = insert_into("spans", _SPAN_COLUMNS)
_INSERT_RESPONSE = insert_into("responses", _RESPONSE_COLUMNS)


def begin_trace(transaction: Transaction, trace: Trace) -> None:
    """The row of a run that is on its way; a run that is known already keeps its row."""
    if row_of(transaction, trace.trace_id) is None:
        insert_trace(transaction, trace)


def finish_trace(transaction: Transaction, trace: Trace) -> None:
    """The run as it ended, whether its beginning was recorded or not; a second ending replaces."""
    row = row_of(transaction, trace.trace_id)
    if row is None:
        row = insert_trace(transaction, trace)
    else:
        remove_response(transaction, row)  # first: it is counted as the row still stands
        transaction.connection.execute(_END_TRACE, (*_ending(transaction, trace), row))
    if trace.status != "RUNNING":
        insert_response(transaction, row, None, trace.completion, trace.fault)
    if trace.attributes or trace.events or trace.exposures:
        keep_root(transaction, row, trace)
    add_spans(transaction, trace.spans)


def keep_root(
    transaction: Transaction, row: int, trace: Trace, *, parent_id: str | None = None
) -> None:
    """What only the root span of a captured trace says; see ``steps.capture_tables``."""
    root = Span(
        span_id=trace.span_id,
        trace_id=trace.trace_id,
        parent_id=parent_id,
        name=trace.name,
        kind=trace.kind,
        status=trace.status,
        status_message=None if trace.fault is None else trace.fault.message,
        start_ns=trace.start_ns,
        end_ns=trace.end_ns,
        attributes=trace.attributes,
        events=trace.events,
    )
    add_span(transaction, row, root)
    keep_exposures(transaction, trace.trace_id, trace.exposures, trace.start_ns)


def keep_exposures(
    transaction: Transaction, trace_id: str, exposures: Sequence[Exposure], seen_ns: int
) -> None:
    """Which variants of experiments a trace has shown to whom; the first word of it stays."""
    if not exposures:
        return
    transaction.connection.executemany(
        "INSERT INTO exposures(experiment, trace_id, variant, unit, seen_ns) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(one.experiment, trace_id, one.variant, one.unit, seen_ns) for one in exposures],
    )


def add_spans(transaction: Transaction, spans: Iterable[Span]) -> None:
    """Child spans of traces that are on disk; one that is there already is replaced."""
    for span in spans:
        trace = row_of(transaction, span.trace_id)
        if trace is not None:  # retention may have taken a trace that an old cache still names
            add_span(transaction, trace, span)


def keep_prompt(transaction: Transaction, prompt: RenderedPrompt) -> int:
    """The id of this rendered prompt; the same prompt has one row however often it runs."""
    connection, redaction, blobs = transaction.connection, transaction.redaction, transaction.blobs
    head = redaction.record(prompt, exclude={"messages", "variables"}).encode()
    variables = (redaction.json(prompt.variables) or "").encode()
    messages = [redaction.message(message).encode() for message in prompt.messages]
    names = [digest(content) for content in (head, variables, *messages)]
    name = digest(b"".join(names))
    found = connection.execute("SELECT id FROM prompts WHERE hash = ?", (name,)).fetchone()
    if found is not None:
        return int(found[0])
    row = connection.execute(
        "INSERT INTO prompts(hash, head, variables) VALUES (?, ?, ?)",
        (name, blobs.keep_named(names[0], head), _beside(variables, messages)),
    ).lastrowid
    assert row is not None
    kept = zip(names[2:], messages, strict=True)
    connection.executemany(
        "INSERT INTO messages(prompt, position, blob) VALUES (?, ?, ?)",
        [(row, position, blobs.keep_named(*one)) for position, one in enumerate(kept)],
    )
    return row


def key_column(run_key: str) -> bytes | str | None:
    """A run's key at half its size: the bytes that its 64 hex digits mean."""
    if _HASH.fullmatch(run_key):
        return bytes.fromhex(run_key)
    return run_key or None


def _beside(variables: bytes, messages: list[bytes]) -> str | bytes | None:
    if not variables:
        return None
    small = len(variables) <= SMALL_VARIABLES
    return variables.decode() if small else squeezed(variables, known=b"".join(messages))


def row_of(transaction: Transaction, trace_id: str) -> int | None:
    """The row of a trace that is on disk."""
    found = transaction.connection.execute(
        "SELECT id FROM traces WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    return None if found is None else int(found[0])


def insert_trace(transaction: Transaction, trace: Trace) -> int:
    """A new trace, without its answer and spans; gives its row."""
    values = trace_values(transaction, trace)
    row = transaction.connection.execute(
        _INSERT_TRACE, [values[column] for column in TRACE_COLUMNS]
    ).lastrowid
    assert row is not None
    if trace.session_id is not None:
        join_session(transaction, trace.session_id, row, trace.start_ns)
    return row


def trace_values(transaction: Transaction, trace: Trace) -> dict[str, object]:
    """A trace's row, by column."""
    redaction = transaction.redaction
    asked = trace.prompt
    beginning = {
        "trace_id": trace.trace_id,
        "span_id": trace.span_id,
        "name": trace.name,
        "source": trace.source,
        "model": asked.model.id,
        "prompt_name": asked.name,
        "prompt": keep_prompt(transaction, asked),
        "prompt_version": version_column(asked.version),
        "suite": trace.suite,
        "case_id": trace.case_id,
        "repeat": trace.repeat,
        "experiment_id": trace.experiment_id,
        "session_id": trace.session_id,
        "kind": trace.kind,
        "user": redaction.text(trace.user),
        "run_key": key_column(trace.run_key),
        "input_preview": preview(redaction, asked.messages[-1].text if asked.messages else ""),
    }
    return beginning | dict(zip(_ENDING_COLUMNS, _ending(transaction, trace), strict=True))


def _ending(transaction: Transaction, trace: Trace) -> tuple[object, ...]:
    """The values of _ENDING_COLUMNS."""
    redaction, completion = transaction.redaction, trace.completion
    model, *tokens_and_cost = _NOTHING_MORE if completion is None else _measures(completion)
    return (
        trace.status,
        trace.start_ns,
        trace.end_ns,
        model,
        trace.attempts,
        *tokens_and_cost,
        None if trace.fault is None else trace.fault.kind,
        preview(redaction, _shown_answer(completion, trace.fault)),
        redaction.json(trace.tags),
        redaction.json(trace.metadata),
        transaction.process if trace.status == "RUNNING" else None,
    )


def _measures(completion: Completion) -> tuple[object, ...]:
    """Model as answered, the four token counts, and the cost."""
    usage = completion.usage
    return (
        completion.model,
        usage.input_tokens,
        usage.output_tokens,
        usage.cached_tokens,
        usage.reasoning_tokens,
        completion.cost_usd,
    )


def preview(redaction: Redaction, text: str) -> str | None:
    """The start of a text as a list shows it; cut after redaction, which must see it whole."""
    whole = redaction.text(text) or ""
    return whole if len(whole) <= PREVIEW_CHARS else whole[: PREVIEW_CHARS - 1] + "…"


def _shown_answer(completion: Completion | None, fault: Fault | None) -> str:
    if fault is not None:
        return fault.message
    if completion is None:
        return ""
    calls = ", ".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or calls


def join_session(transaction: Transaction, session_id: str, trace: int, start_ns: int) -> None:
    """The trace in its session, which is made if it is new."""
    connection = transaction.connection
    connection.execute(
        "INSERT INTO sessions(session_id, started_ns) VALUES (?, ?) ON CONFLICT DO NOTHING",
        (session_id, start_ns),
    )
    connection.execute(
        "INSERT INTO trace_sessions(session, trace) "
        "SELECT id, ? FROM sessions WHERE session_id = ? ON CONFLICT DO NOTHING",
        (trace, session_id),
    )


def remove_response(transaction: Transaction, trace: int) -> None:
    """A trace's answer, out of the full-text index first."""
    connection = transaction.connection
    found = connection.execute(
        "SELECT id FROM responses WHERE trace = ? AND span IS NULL", (trace,)
    ).fetchone()
    if found is not None:
        forget_ending(connection, trace)
        connection.execute("DELETE FROM responses WHERE id = ?", (found[0],))


def add_span(transaction: Transaction, trace: int, span: Span, fault: Fault | None = None) -> None:
    """A span of the trace in this row, with its answer; it replaces one of the same id."""
    connection, redaction = transaction.connection, transaction.redaction
    connection.execute("DELETE FROM spans WHERE trace = ? AND span_id = ?", (trace, span.span_id))
    row = connection.execute(
        _INSERT_SPAN,
        (
            trace,
            span.span_id,
            span.parent_id,
            span.name,
            span.kind,
            span.status,
            redaction.text(span.status_message),
            span.start_ns,
            span.end_ns,
            redaction.json(span.attributes),
            None if span.prompt is None else keep_prompt(transaction, span.prompt),
            key_column(span.run_key),
            redaction.json(span.events),
        ),
    ).lastrowid
    if span.completion is not None or fault is not None:
        insert_response(transaction, trace, row, span.completion, fault)


def insert_response(
    transaction: Transaction,
    trace: int,
    span: int | None,
    completion: Completion | None,
    fault: Fault | None,
) -> None:
    """The end of a run (``span`` None) or of a span."""
    connection, redaction = transaction.connection, transaction.redaction
    failed = None if fault is None else redaction.record(fault)
    if completion is None:
        connection.execute(
            "INSERT INTO responses(trace, span, fault) VALUES (?, ?, ?)", (trace, span, failed)
        )
        return
    # Shaped like a message: the next turn of a conversation sends this text again and shares it.
    said = Message(role="assistant", content=completion.text, tool_calls=completion.tool_calls)
    keep = transaction.blobs.keep
    values = (
        trace,
        span,
        keep(redaction.message(said)),
        keep(redaction.text(completion.reasoning)),
        keep(redaction.json(completion.raw)),
        redaction.text(completion.refusal),
        completion.finish_reason,
        completion.raw_finish_reason,
        completion.response_id,
        completion.duration_ns,
        redaction.json(completion.rate_limit),
        failed,
        *(_NOTHING_MORE if span is None else _measures(completion)),
    )
    response = connection.execute(_INSERT_RESPONSE, values).lastrowid
    if completion.time_to_first_token_ns is not None:
        connection.execute(
            "INSERT INTO metrics(response, name, value) VALUES (?, 'time_to_first_token_ns', ?)",
            (response, completion.time_to_first_token_ns),
        )
