"""What a search expression may ask for: every field, where it stands, and how it is compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from p2re_eval.records import EvaluationKind, Source, SpanKind, TraceStatus

FieldType = Literal["text", "number", "duration", "age", "time", "flag", "tags", "words", "version"]


@dataclass(frozen=True)
class Field:
    """A field: its SQL over ``t`` (traces), its type, and whether an index finds equal values.

    ``choices`` are the only values there are; ``partial`` repeats the index's own condition.
    """

    sql: str
    type: FieldType
    meaning: str
    indexed: bool = False
    choices: tuple[str, ...] = ()
    partial: str = ""


FIELDS: dict[str, Field] = {
    "text": Field("", "words", "words of the prompt and the answer"),
    "input": Field("prompt", "words", "words of the prompt"),
    "output": Field("response", "words", "words of the answer"),
    "model": Field("t.model", "text", "as asked for: provider/name", indexed=True),
    "model_answered": Field("t.model_answered", "text", "as the service named it"),
    "prompt": Field("t.prompt_name", "text", "the prompt's name", indexed=True),
    "version": Field(
        "t.prompt_version",
        "version",
        "the prompt's version: v3, or seven or more digits of it",
        indexed=True,
    ),
    "status": Field(
        "t.status", "text", "OK, ERROR, RUNNING or ABANDONED", choices=get_args(TraceStatus)
    ),
    "error": Field("t.fault_kind", "text", "kind of the fault: rate_limited, timeout ..."),
    "source": Field("t.source", "text", "live, cache or replay", choices=get_args(Source)),
    "kind": Field("t.kind", "text", "kind of the root: LLM, CHAIN ...", choices=get_args(SpanKind)),
    "name": Field("t.name", "text", "name of the root"),
    "id": Field("t.trace_id", "text", "the trace's id", indexed=True),
    "suite": Field("t.suite", "text", "the suite file", indexed=True),
    "case": Field("t.case_id", "text", "the case's id"),
    "repeat": Field("t.repeat", "number", "the case's repeat, from 0"),
    "experiment": Field("t.experiment_id", "text", "the experiment's id", indexed=True),
    "session": Field("t.session_id", "text", "the session's id", indexed=True),
    "user": Field("t.user", "text", "the user", indexed=True),
    "tag": Field("", "tags", "one of the trace's tags"),
    "pinned": Field("t.pinned_ns IS NOT NULL", "flag", "kept from retention"),
    "attempts": Field("t.attempts", "number", "attempts until the answer"),
    "input_tokens": Field("t.input_tokens", "number", "tokens asked"),
    "output_tokens": Field("t.output_tokens", "number", "tokens answered"),
    "cached_tokens": Field("t.cached_tokens", "number", "of the tokens asked, read from a cache"),
    "reasoning_tokens": Field("t.reasoning_tokens", "number", "of those answered, reasoning"),
    "total_tokens": Field("t.input_tokens + t.output_tokens", "number", "both together"),
    "cost_usd": Field("t.cost_usd", "number", "US dollars"),
    "latency": Field("t.end_ns - t.start_ns", "duration", "from begin to end: 2s, 150ms"),
    "started": Field("t.start_ns", "time", 'begin: "2026-01-31" or "2026-01-31T09:00"'),
    "age": Field("t.start_ns", "age", "time since the begin: 2h, 7d"),
    "metadata": Field("t.metadata", "text", "metadata.KEY: one entry of the metadata"),
}
PARTS: dict[str, Field] = {
    "score": Field("e.value", "number", "the value"),
    "value": Field("e.value", "number", "the same"),
    "label": Field("e.label", "text", "the label"),
    "passed": Field("e.passed", "flag", "the verdict"),
    "kind": Field("e.kind", "text", "CODE, LLM or HUMAN", choices=get_args(EvaluationKind)),
    "explanation": Field("e.explanation", "text", "the explanation or a person's note"),
    "annotator": Field("e.identifier", "text", "who gave a HUMAN one"),
    "error": Field("e.fault IS NOT NULL", "flag", "the scorer broke"),
}
ALONE = tuple(name for name, field in FIELDS.items() if field.type == "flag")
