"""What a sync ledger is made of: marks on things, positions in streams."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from p2re_eval.records import JSON, Record

MarkStatus: TypeAlias = Literal["SENT", "SYNCED", "FAILED", "DELETED", "CONFLICT"]


class Mark(Record):
    """One thing in the ledger: SENT and not yet seen there, SYNCED, FAILED (``detail`` says why),
    DELETED there, or CONFLICT (both sides changed; ``detail`` holds both).

    ``digest`` names the content on which both sides agreed last.
    """

    kind: str
    local_id: str
    status: MarkStatus
    remote_id: str | None = None
    digest: str | None = None
    detail: dict[str, JSON] = Field(default_factory=dict)
    updated_ns: int = 0


class Position(Record):
    """How far a stream was followed; ``state`` is what the bridge needs beside the number."""

    watermark: int = 0
    state: dict[str, JSON] = Field(default_factory=dict)
    updated_ns: int | None = None


class Newest(Record):
    """The newest child span and judgement, as cursors."""

    spans: int
    evaluations: int


class KnownSpan(Record):
    """Where a span is: its run, by number and id, and the span that is the run itself."""

    run: int
    trace_id: str
    root_id: str
    span_id: str
