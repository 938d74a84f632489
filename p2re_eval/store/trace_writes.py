"""Traces, their answers and spans on their way into the tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain

from p2re_eval.records import MODEL_KINDS, Completion, Exposure, Fault, Span, Trace
from p2re_eval.store.columns import Insert, Update, columns
from p2re_eval.store.contents import Answer, Asked, Contents
from p2re_eval.store.payloads import Text
from p2re_eval.store.steps.record_tables import version_column
from p2re_eval.store.texts import keep_prompt, keep_text, look_up
from p2re_eval.store.transaction import TraceState, Transaction
from p2re_eval.store.upkeep import forget_ending

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
_END_TRACE = Update("traces", _ENDING)
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
    state = transaction.trace(trace.trace_id)
    contents = _contents(transaction, trace, asked=state is None)
    if state is None:
        state = insert_trace(transaction, trace, contents)
    else:
        if state.ended:
            remove_response(transaction, state.row)  # first: it is counted as the row still stands
        transaction.alone((trace.trace_id, "ending"))
        transaction.add(_END_TRACE, (*_ending(transaction, trace, contents.answer), state.row))
    if trace.status != "RUNNING":
        insert_response(transaction, state.row, None, contents.answer)
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
    if not run_key:
        return None
    return bytes.fromhex(run_key) if _HASH.fullmatch(run_key) else run_key


def expect_traces(transaction: Transaction, traces: Iterable[Trace]) -> None:
    """Look up at once what these traces, which are about to be written, will ask for."""
    traces = list(traces)
    transaction.expect(trace.trace_id for trace in traces)
    met: set[str] = set()
    for trace in traces:
        asked = transaction.trace(trace.trace_id) is None and trace.trace_id not in met
        contents = Contents(transaction.redaction, trace, asked=asked)
        transaction.contents[id(trace)] = contents
        met.add(trace.trace_id)
    look_up(transaction, chain.from_iterable(c.texts() for c in transaction.contents.values()))


def _contents(transaction: Transaction, trace: Trace, *, asked: bool) -> Contents:
    contents = transaction.contents.pop(id(trace), None)
    if contents is None or (asked and contents.asked is None):
        return Contents(transaction.redaction, trace, asked=asked)
    return contents


def not_before(start_ns: int, end_ns: int | None) -> int | None:
    """An end: where a clock was set back in between, nothing has taken less than no time."""
    return end_ns if end_ns is None or end_ns >= start_ns else start_ns


def insert_trace(
    transaction: Transaction, trace: Trace, contents: Contents | None = None
) -> TraceState:
    """A new trace, without its answer and spans."""
    contents = contents or _contents(transaction, trace, asked=True)
    row = transaction.new_id("traces")
    transaction.add(_INSERT_TRACE, (row, *trace_values(transaction, trace, contents)))
    state = TraceState(row, ended=False, new=True)
    transaction.know(trace.trace_id, state)
    if trace.session_id is not None:
        join_session(transaction, trace.session_id, row, trace.start_ns)
    return state


def trace_values(transaction: Transaction, trace: Trace, contents: Contents) -> tuple[object, ...]:
    """A trace's row: the values of TRACE_COLUMNS."""
    redaction = transaction.redaction
    prompt = trace.prompt
    asked = contents.asked or Asked(redaction, prompt)
    return (
        trace.trace_id,
        trace.span_id,
        trace.name,
        trace.source,
        prompt.model.id,
        prompt.name,
        keep_prompt(transaction, asked),
        version_column(prompt.version),
        trace.suite,
        trace.case_id,
        trace.repeat,
        trace.experiment_id,
        trace.session_id,
        key_column(trace.run_key),
        trace.kind,
        trace.user and redaction.text(trace.user),
        asked.preview,
        *_ending(transaction, trace, contents.answer),
    )


def _ending(transaction: Transaction, trace: Trace, answer: Answer) -> tuple[object, ...]:
    """The values of _ENDING."""
    redaction, completion = transaction.redaction, trace.completion
    model, *tokens_and_cost = _NOTHING_MORE if completion is None else _measures(completion)
    return (
        trace.status,
        trace.start_ns,
        not_before(trace.start_ns, trace.end_ns),
        model,
        trace.attempts,
        *tokens_and_cost,
        None if trace.fault is None else trace.fault.kind,
        answer.preview,
        redaction.json(trace.tags) if trace.tags else None,
        redaction.json(trace.metadata) if trace.metadata else None,
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
    asked = model = None
    if span.prompt is not None:
        asked = Asked(redaction, span.prompt)
        model = redaction.text(span.prompt.model.id) if span.kind in MODEL_KINDS else None
    prompt = None if asked is None else keep_prompt(transaction, asked)
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
            span.status_message and redaction.text(span.status_message),
            span.start_ns,
            not_before(span.start_ns, span.end_ns),
            redaction.json(span.attributes),
            prompt,
            key_column(span.run_key),
            redaction.json(span.events) if span.events else None,
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
        _kept(transaction, answer.message),
        _kept(transaction, answer.reasoning),
        _kept(transaction, answer.raw),
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


def _kept(transaction: Transaction, text: Text | None) -> int | None:
    return None if text is None else keep_text(transaction, text)
