"""Captured spans on their way into the tables: a trace grows with them, in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import chain

from p2re_eval.records import MODEL_KINDS, CapturedSpan, ModelSettings, RenderedPrompt, Span, Trace
from p2re_eval.store.contents import Answer, Contents
from p2re_eval.store.result_writes import save_evaluations
from p2re_eval.store.texts import look_up
from p2re_eval.store.trace_writes import (
    TRACE_COLUMNS,
    add_span,
    insert_response,
    insert_trace,
    join_session,
    keep_exposures,
    keep_root,
    not_before,
    remove_response,
    trace_values,
)
from p2re_eval.store.transaction import TraceState, Transaction
from p2re_eval.store.upkeep import forget_ending

_SQL_KINDS = "(" + ", ".join(f"'{kind}'" for kind in sorted(MODEL_KINDS)) + ")"
_MODELS_SHOWN = 3
_OF_A_RUN = {"trace_id", "source", "suite", "case_id", "repeat", "experiment_id", "run_key"}
_ROOT_COLUMNS = [name for name in TRACE_COLUMNS if name not in _OF_A_RUN]
_SET_ROOT = (
    "UPDATE traces SET "  # noqa: S608 - our own names
    + ", ".join(f"{name} = ?" for name in _ROOT_COLUMNS)
    + " WHERE id = ?"
)
_ADD_UP = f"""
UPDATE traces SET (input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd) = (
  SELECT sum(r.input_tokens), sum(r.output_tokens), sum(r.cached_tokens), sum(r.reasoning_tokens),
    CASE WHEN count(*) = count(r.cost_usd) THEN sum(r.cost_usd) END
  FROM spans s JOIN responses r ON r.span = s.id
  WHERE s.trace = traces.id AND s.kind IN {_SQL_KINDS} AND r.fault IS NULL AND NOT EXISTS (
    SELECT 1 FROM spans p JOIN responses q ON q.span = p.id
    WHERE p.trace = s.trace AND p.span_id = s.parent_id AND p.kind = 'LLM'
      AND q.input_tokens IS NOT NULL))
WHERE id = ? AND (span_id = '' OR kind NOT IN {_SQL_KINDS})
"""  # noqa: S608 - our own names
"""A framework's call with the SDK's own call inside it is one call: the outer one counts."""
_OWN_MEASURES = """
, (model_answered, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd) = (
  SELECT model_answered, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd
  FROM traces WHERE id = trace)
"""


@dataclass(frozen=True)
class _Known:
    """What stands in a trace before a span joins it; ``root`` is empty until the root has come."""

    state: TraceState
    root: str
    kind: str
    model: str
    session_id: str | None
    user: str | None
    tags: str | None
    metadata: str | None

    @property
    def row(self) -> int:
        """The row in ``traces``."""
        return self.state.row

    @property
    def adds_up(self) -> bool:
        """Whether model and tokens come from the calls below the root."""
        return not self.root or self.kind not in MODEL_KINDS


def save_spans(transaction: Transaction, spans: Iterable[CapturedSpan]) -> None:
    """Each span in its trace; traces are made as they are needed, and added up again."""
    grown: dict[int, None] = {}
    spans = tuple(spans)
    new = _look_ahead(transaction, spans)
    for one in spans:
        known = _known(transaction, one.span.trace_id)
        if known is None and one.root:
            _whole(transaction, one, *new[id(one)])
            continue
        if known is None:
            known = _begin(transaction, one)
        if _is_news(transaction, known, one.span):
            _join(transaction, known, one)
            grown[known.row] = None
    for row in grown:
        transaction.connection.execute(_ADD_UP, (row,))


def _known(transaction: Transaction, trace_id: str) -> _Known | None:
    state = transaction.trace(trace_id)
    if state is None:
        return None
    found = transaction.connection.execute(
        "SELECT span_id, kind, model, session_id, user, tags, metadata FROM traces WHERE id = ?",
        (state.row,),
    ).fetchone()
    return _Known(state, *found)


def _look_ahead(
    transaction: Transaction, spans: Iterable[CapturedSpan]
) -> dict[int, tuple[Trace, Contents]]:
    """The traces that begin with their roots, by the root's identity; which of their texts are
    stored already is asked for all of them at once."""
    new: dict[int, tuple[Trace, Contents]] = {}
    for one in spans:
        if one.root and transaction.trace(one.span.trace_id) is None:
            trace = _trace(one)
            new[id(one)] = trace, Contents(transaction.redaction, trace)
    look_up(transaction, chain.from_iterable(contents.texts() for _, contents in new.values()))
    return new


def _whole(transaction: Transaction, one: CapturedSpan, trace: Trace, contents: Contents) -> None:
    """A trace that begins with its root, nearly always a single call: nothing is added up."""
    state = insert_trace(transaction, trace, contents)
    if trace.session_id is not None and trace.user is not None:
        _name_user(transaction, trace.session_id, trace.user)
    _keep(transaction, state, one, trace, contents.answer)


def _keep(
    transaction: Transaction, state: TraceState, one: CapturedSpan, trace: Trace, answer: Answer
) -> None:
    """What a root leaves beside the trace's row."""
    keep_root(transaction, state, trace, parent_id=one.span.parent_id)
    if trace.status != "RUNNING":
        insert_response(transaction, state.row, None, answer)
    state.ended = trace.status != "RUNNING"
    if one.evaluations:
        save_evaluations(transaction, one.evaluations)


def _begin(transaction: Transaction, one: CapturedSpan) -> _Known:
    """A trace whose root is still to come. What is imported from a rescue file has no process that
    could still end it."""
    name = one.span.name
    trace = Trace(
        trace_id=one.span.trace_id,
        span_id="",
        name=name,
        kind="CHAIN",
        status="RUNNING" if transaction.process else "ABANDONED",
        start_ns=one.span.start_ns,
        prompt=RenderedPrompt(name=name, messages=(), model=ModelSettings()),
        session_id=one.session_id,
        user=one.user,
    )
    state = insert_trace(transaction, trace)
    return _Known(state, "", "CHAIN", "", one.session_id, one.user, None, None)


def _is_news(transaction: Transaction, known: _Known, span: Span) -> bool:
    """Whether the span says more than what is there: not the same again, and not word of its
    beginning after that of its end."""
    found = transaction.connection.execute(
        "SELECT end_ns, attributes FROM spans WHERE trace = ? AND span_id = ?",
        (known.row, span.span_id),
    ).fetchone()
    if found is None:
        return True
    if span.end_ns is None:
        return False
    end_ns = not_before(span.start_ns, span.end_ns)
    return (end_ns, transaction.redaction.json(span.attributes)) != tuple(found)


def _join(transaction: Transaction, known: _Known, one: CapturedSpan) -> None:
    span = one.span
    if span.span_id == known.root or (one.root and _outranks(transaction, known, span)):
        if known.root and span.span_id != known.root:
            _demote(transaction, known)
        _set_root(transaction, known, one)
        return
    add_span(transaction, known.state, span, one.fault if span.kind in MODEL_KINDS else None)
    if known.adds_up and span.kind in MODEL_KINDS and span.prompt is not None:
        _name_model(transaction, known, span.prompt.model.id)
    _inherit(transaction, known, one)
    keep_exposures(transaction, span.trace_id, one.exposures, span.start_ns)
    save_evaluations(transaction, one.evaluations)


def _outranks(transaction: Transaction, known: _Known, span: Span) -> bool:
    """A span without any parent outranks one whose parent is only in another process."""
    if not known.root:
        return True
    above = transaction.connection.execute(
        "SELECT parent_id FROM spans WHERE trace = ? AND span_id = ?", (known.row, known.root)
    ).fetchone()
    return span.parent_id is None and above is not None and above[0] is not None


def _set_root(transaction: Transaction, known: _Known, one: CapturedSpan) -> None:
    trace = _trace(one)
    contents = Contents(transaction.redaction, trace)
    values = dict(zip(TRACE_COLUMNS, trace_values(transaction, trace, contents), strict=True))
    for name in ("session_id", "user", "tags", "metadata"):
        values[name] = getattr(known, name) if values[name] is None else values[name]
    if trace.kind not in MODEL_KINDS:
        values["model"] = known.model
    if known.state.ended:
        remove_response(transaction, known.row)
    transaction.connection.execute(
        _SET_ROOT, (*(values[name] for name in _ROOT_COLUMNS), known.row)
    )
    if trace.session_id is not None:
        join_session(transaction, trace.session_id, known.row, trace.start_ns)
    if trace.user is not None and values["session_id"] is not None:
        _name_user(transaction, str(values["session_id"]), trace.user)
    _keep(transaction, known.state, one, trace, contents.answer)


def _trace(one: CapturedSpan) -> Trace:
    span = one.span
    return Trace(
        trace_id=span.trace_id,
        span_id=span.span_id,
        name=span.name,
        kind=span.kind,
        status=span.status,
        start_ns=span.start_ns,
        end_ns=span.end_ns,
        prompt=span.prompt or RenderedPrompt(name=span.name, messages=(), model=ModelSettings()),
        completion=span.completion,
        fault=one.fault,
        session_id=one.session_id,
        user=one.user,
        tags=one.tags,
        metadata=one.metadata,
        attributes=span.attributes,
        events=span.events,
        exposures=one.exposures,
    )


def _demote(transaction: Transaction, known: _Known) -> None:
    """The root so far becomes a span like others: its prompt and answer move there."""
    connection = transaction.connection
    forget_ending(connection, known.row)
    span = connection.execute(
        "SELECT id FROM spans WHERE trace = ? AND span_id = ?", (known.row, known.root)
    ).fetchone()[0]
    connection.execute(
        "UPDATE spans SET (prompt, model) = (SELECT prompt, CASE WHEN ? THEN model END FROM traces "
        "WHERE id = ?) WHERE id = ?",
        (not known.adds_up, known.row, span),
    )
    connection.execute(
        f"UPDATE responses SET span = ?{'' if known.adds_up else _OWN_MEASURES} "  # noqa: S608
        "WHERE trace = ? AND span IS NULL",
        (span, known.row),
    )


def _name_model(transaction: Transaction, known: _Known, model: str) -> None:
    """A trace of several models names them all, while they are few."""
    names = known.model.split(", ") if known.model else []
    if not model or model in names or len(names) > _MODELS_SHOWN:
        return
    shown = [*names, model if len(names) < _MODELS_SHOWN else "..."]
    transaction.connection.execute(
        "UPDATE traces SET model = ? WHERE id = ?", (", ".join(shown), known.row)
    )


def _inherit(transaction: Transaction, known: _Known, one: CapturedSpan) -> None:
    """What the trace does not know yet, it learns from any span."""
    connection = transaction.connection
    if not known.root:
        connection.execute(
            "UPDATE traces SET start_ns = min(start_ns, ?) WHERE id = ?",
            (one.span.start_ns, known.row),
        )
    if known.session_id is None and one.session_id is not None:
        connection.execute(
            "UPDATE traces SET session_id = ? WHERE id = ?", (one.session_id, known.row)
        )
        join_session(transaction, one.session_id, known.row, one.span.start_ns)
    if known.user is None and one.user is not None:
        user = transaction.redaction.text(one.user)
        connection.execute("UPDATE traces SET user = ? WHERE id = ?", (user, known.row))


def _name_user(transaction: Transaction, session_id: str, user: str) -> None:
    """Whose conversation it is, the first time that somebody says so."""
    if transaction.first(("user of", session_id)):
        transaction.connection.execute(
            "UPDATE sessions SET user = ? WHERE session_id = ? AND user IS NULL",
            (transaction.redaction.text(user), session_id),
        )
