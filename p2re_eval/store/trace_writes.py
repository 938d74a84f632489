"""Traces, their answers and spans on their way into the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from p2re_eval.records import MODEL_KINDS, Completion, Exposure, Fault, Message, Span, Trace
from p2re_eval.store.columns import Insert, Update, columns
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.steps.record_tables import version_column
from p2re_eval.store.texts import keep_prompt, keep_text
from p2re_eval.store.transaction import TraceState, Transaction
from p2re_eval.store.upkeep import forget_ending

PREVIEW_CHARS = 120
"""What a list shows of a text; the design allows 500, and every trace pays for it twice."""

_HASH = re.compile("[0-9a-f]{64}")

_BEGINNING = (
    "trace_id span_id name source model prompt_name prompt prompt_version suite case_id repeat "
    "experiment_id session_id run_key kind user input_preview"
)
_ENDING = (
    "status start_ns end_ns model_answered attempts input_tokens output_tokens cached_tokens "
    "reasoning_tokens cost_usd fault_kind output_preview tags metadata process"
)
TRACE_COLUMNS = columns(f"{_BEGINNING} {_ENDING}")
_NOTHING_MORE = (None,) * 6  # a run's model, tokens and cost stand in traces

_INSERT_TRACE = Insert("traces", f"id {_BEGINNING} {_ENDING}")
_END_TRACE = Update(
    "traces",
    "UPDATE traces SET "  # noqa: S608 - our own names
    + ", ".join(f"{column} = ?" for column in columns(_ENDING))
    + " WHERE id = ?",
)
_INSERT_SPAN = Insert(
    "spans",
    "id trace span_id parent_id name kind status status_message start_ns end_ns attributes prompt "
    "run_key events model",
)
_INSERT_RESPONSE = Insert(
    "responses",
    "id trace span message reasoning raw refusal finish_reason raw_finish_reason response_id "
    "duration_ns rate_limit fault model_answered input_tokens output_tokens cached_tokens "
    "reasoning_tokens cost_usd",
)
_INSERT_FIRST_TOKEN = Insert("metrics", "response name value")
_INSERT_EXPOSURE = Insert(
    "exposures", "experiment trace_id variant unit seen_ns", "ON CONFLICT DO NOTHING"
)
_INSERT_SESSION = Insert("sessions", "id session_id started_ns")
_JOIN_SESSION = Insert("trace_sessions", "session trace", "ON CONFLICT DO NOTHING")


def begin_trace(transaction: Transaction, trace: Trace) -> None:
    """The row of a run that is on its way; a run that is known already keeps its row."""
    if transaction.trace(trace.trace_id) is None:
        insert_trace(transaction, trace)


def finish_trace(transaction: Transaction, trace: Trace) -> None:
    """The run as it ended, whether its beginning was recorded or not; a second ending replaces."""
    answer = Answer(transaction.redaction, trace.completion, trace.fault)
    state = transaction.trace(trace.trace_id)
    if state is None:
        state = insert_trace(transaction, trace, answer)
    else:
        if state.ended:
            remove_response(transaction, state.row)  # first: it is counted as the row still stands
        transaction.add(_END_TRACE, (*_ending(transaction, trace, answer), state.row))
    if trace.status != "RUNNING":
        insert_response(transaction, state.row, None, answer)
    state.ended = trace.status != "RUNNING"
    if trace.attributes or trace.events or trace.exposures:
        keep_root(transaction, state, trace)
    for span in trace.spans:
        if span.trace_id == trace.trace_id:
            add_span(transaction, state, span)
        else:
            add_spans(transaction, [span])


def keep_root(
    transaction: Transaction, state: TraceState, trace: Trace, *, parent_id: str | None = None
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
    add_span(transaction, state, root)
    keep_exposures(transaction, trace.trace_id, trace.exposures, trace.start_ns)


def keep_exposures(
    transaction: Transaction, trace_id: str, exposures: Sequence[Exposure], seen_ns: int
) -> None:
    """Which variants of experiments a trace has shown to whom; the first word of it stays."""
    for one in exposures:
        row = (one.experiment, trace_id, one.variant, one.unit, seen_ns)
        transaction.add(_INSERT_EXPOSURE, row)


def add_spans(transaction: Transaction, spans: Iterable[Span]) -> None:
    """Child spans of traces that are on disk; one that is there already is replaced."""
    for span in spans:
        state = transaction.trace(span.trace_id)
        if state is not None:  # retention may have taken a trace that an old cache still names
            add_span(transaction, state, span)


def key_column(run_key: str) -> bytes | str | None:
    """A run's key at half its size: the bytes that its 64 hex digits mean."""
    if _HASH.fullmatch(run_key):
        return bytes.fromhex(run_key)
    return run_key or None


def insert_trace(
    transaction: Transaction, trace: Trace, answer: Answer | None = None
) -> TraceState:
    """A new trace, without its answer and spans."""
    row = transaction.new_id("traces")
    transaction.add(_INSERT_TRACE, (row, *trace_values(transaction, trace, answer)))
    state = TraceState(row, ended=False, new=True)
    transaction.know(trace.trace_id, state)
    if trace.session_id is not None:
        join_session(transaction, trace.session_id, row, trace.start_ns)
    return state


def trace_values(
    transaction: Transaction, trace: Trace, answer: Answer | None = None
) -> tuple[object, ...]:
    """A trace's row: the values of TRACE_COLUMNS."""
    redaction = transaction.redaction
    asked = trace.prompt
    prompt, clean = keep_prompt(transaction, asked)
    last = asked.messages[-1].text if asked.messages else ""
    answer = answer or Answer(redaction, trace.completion, trace.fault)
    return (
        trace.trace_id,
        trace.span_id,
        trace.name,
        trace.source,
        asked.model.id,
        asked.name,
        prompt,
        version_column(asked.version),
        trace.suite,
        trace.case_id,
        trace.repeat,
        trace.experiment_id,
        trace.session_id,
        key_column(trace.run_key),
        trace.kind,
        redaction.text(trace.user),
        preview(redaction, last, clean=clean),
        *_ending(transaction, trace, answer),
    )


def _ending(transaction: Transaction, trace: Trace, answer: Answer) -> tuple[object, ...]:
    """The values of _ENDING."""
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
        answer.preview,
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


def preview(redaction: Redaction, text: str, *, clean: bool = False) -> str:
    """The start of a text as a list shows it; cut after redaction, which must see it whole unless
    it is known to hold nothing suspicious."""
    whole = (redaction.storable(text) if clean else redaction.text(text)) or ""
    return whole if len(whole) <= PREVIEW_CHARS else whole[: PREVIEW_CHARS - 1] + "…"


class Answer:
    """The end of a run or of a span, as it is written: the message that was said, and its start.

    It is shaped like a message: the next turn of a conversation sends it again and shares it.
    """

    def __init__(
        self, redaction: Redaction, completion: Completion | None, fault: Fault | None
    ) -> None:
        self.completion = completion
        self.fault = fault
        self.message: str | None = None
        clean = False
        if completion is not None:
            said = Message(
                role="assistant", content=completion.text, tool_calls=completion.tool_calls
            )
            self.message, clean = redaction.said(said)
        shown = _shown_answer(completion, fault)
        clean = clean and completion is not None and shown is completion.text
        self.preview = preview(redaction, shown, clean=clean)


def _shown_answer(completion: Completion | None, fault: Fault | None) -> str:
    if fault is not None:
        return fault.message
    if completion is None:
        return ""
    calls = ", ".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or calls


def join_session(transaction: Transaction, session_id: str, trace: int, start_ns: int) -> None:
    """The trace in its session, which is made if it is new."""
    known = transaction.memory.sessions
    session = known.get(session_id)
    if session is None:
        session = transaction.find("SELECT id FROM sessions WHERE session_id = ?", session_id)
    if session is None:
        session = transaction.new_id("sessions")
        transaction.add(_INSERT_SESSION, (session, session_id, start_ns))
    known[session_id] = session
    transaction.add(_JOIN_SESSION, (session, trace))


def remove_response(transaction: Transaction, trace: int) -> None:
    """A trace's answer, out of the full-text index first."""
    connection = transaction.connection
    found = connection.execute(
        "SELECT id FROM responses WHERE trace = ? AND span IS NULL", (trace,)
    ).fetchone()
    if found is not None:
        forget_ending(connection, trace)
        connection.execute("DELETE FROM responses WHERE id = ?", (found[0],))


def add_span(
    transaction: Transaction, state: TraceState, span: Span, fault: Fault | None = None
) -> None:
    """A span of the trace, with its answer; it replaces one of the same id."""
    redaction = transaction.redaction
    if not state.may_add(span.span_id):
        transaction.connection.execute(
            "DELETE FROM spans WHERE trace = ? AND span_id = ?", (state.row, span.span_id)
        )
    row = transaction.new_id("spans")
    prompt = model = None
    if span.prompt is not None:
        prompt = keep_prompt(transaction, span.prompt)[0]
        model = redaction.text(span.prompt.model.id) if span.kind in MODEL_KINDS else None
    transaction.add(
        _INSERT_SPAN,
        (
            row,
            state.row,
            span.span_id,
            span.parent_id,
            span.name,
            span.kind,
            span.status,
            redaction.text(span.status_message),
            span.start_ns,
            span.end_ns,
            redaction.json(span.attributes),
            prompt,
            key_column(span.run_key),
            redaction.json(span.events),
            model or None,
        ),
    )
    if span.completion is not None or fault is not None:
        answer = Answer(redaction, span.completion, fault)
        insert_response(transaction, state.row, row, answer)


def insert_response(transaction: Transaction, trace: int, span: int | None, answer: Answer) -> None:
    """The end of a run (``span`` None) or of a span."""
    redaction, completion = transaction.redaction, answer.completion
    row = transaction.new_id("responses")
    failed = None if answer.fault is None else redaction.record(answer.fault)
    if completion is None:
        nothing = (row, trace, span, *(None,) * 9, failed, *_NOTHING_MORE)
        transaction.add(_INSERT_RESPONSE, nothing)
        return
    values = (
        row,
        trace,
        span,
        keep_text(transaction, answer.message),
        keep_text(transaction, redaction.text(completion.reasoning)),
        keep_text(transaction, redaction.json(completion.raw)),
        redaction.text(completion.refusal),
        completion.finish_reason,
        completion.raw_finish_reason,
        completion.response_id,
        completion.duration_ns,
        redaction.json(completion.rate_limit),
        failed,
        *(_NOTHING_MORE if span is None else _measures(completion)),
    )
    transaction.add(_INSERT_RESPONSE, values)
    if completion.time_to_first_token_ns is not None:
        first_token = (row, "time_to_first_token_ns", completion.time_to_first_token_ns)
        transaction.add(_INSERT_FIRST_TOKEN, first_token)
