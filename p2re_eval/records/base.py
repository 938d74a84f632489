"""What every record is made of: JSON, its one text and hash, a place in a file."""

import hashlib
import json
from typing import Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

JSON: TypeAlias = Any
"""Any JSON value: ``None``, bool, int, float, str, or lists and string-keyed dicts of them."""

Role = Literal["system", "developer", "user", "assistant", "tool"]
FinishReason = Literal["stop", "length", "tool_calls", "content_filter", "other"]
Source = Literal["live", "cache", "replay"]
Outcome = Literal["passed", "failed", "error", "unscored", "not_run"]
TraceStatus = Literal["RUNNING", "OK", "ERROR", "ABANDONED"]
SpanKind = Literal[
    "LLM", "TOOL", "CHAIN", "AGENT", "RETRIEVER", "RERANKER", "EMBEDDING", "GUARDRAIL", "EVALUATOR"
]
MODEL_KINDS: frozenset[SpanKind] = frozenset({"LLM", "EMBEDDING", "RERANKER"})
"""The spans that are calls to a model."""
EvaluationKind = Literal["CODE", "LLM", "HUMAN"]


_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def canonical_json(value: JSON) -> str:
    """The one text of a JSON value: sorted keys, no spaces, UTF-8. Every hash is taken of it."""
    return _ENCODER.encode(value)


def content_hash(value: JSON) -> str:
    """SHA-256 of :func:`canonical_json`, 64 lowercase hex digits."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


class Record(BaseModel):
    """What all records share: frozen, no unknown fields, built on first use for light imports."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", defer_build=True, protected_namespaces=()
    )


class Place(Record):
    """A position in a file the user wrote; ``line`` and ``column`` count from 1, 0 is unknown."""

    path: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return ":".join([self.path, *(str(n) for n in (self.line, self.column) if n)])
