"""Recorded traces to any OpenTelemetry collector: the store is the queue, a cursor the place."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from p2re_eval.bridges.http import Peer, plain_address
from p2re_eval.bridges.outcome import Outcome, Progress
from p2re_eval.clock import SystemClock
from p2re_eval.errors import BridgeError, Refused
from p2re_eval.interfaces import Clock
from p2re_eval.otlp.protobuf import encoded, encoded_logs, rejected
from p2re_eval.records import Span
from p2re_eval.store import Mark, Position, Store, SyncLedger
from p2re_eval.tracing.raw import RawEvent, RawSpan
from p2re_eval.tracing.told import evaluation_event, hex_id, told, told_span

DEFAULT_ADDRESS = "http://127.0.0.1:4318"
ADDRESS, HEADERS = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_HEADERS"
"""The variables that every OpenTelemetry exporter reads."""
TRACES_A_BATCH = 200
_FEW = 500
_ALL_SENT = "nothing to do: everything that has ended here was sent"
_PROTOBUF = {"content-type": "application/x-protobuf"}
_RESOURCE = {"service.name": "p2re"}
_TRACES, _SPANS, _EVALUATIONS, _DROPPED = "traces", "late spans", "evaluations", "dropped"
_Item = TypeVar("_Item")
_Event = tuple[str, str, RawEvent]


@dataclass(frozen=True)
class OtlpSettings:
    """Where to; ``dry`` sends nothing."""

    address: str = ""
    dry: bool = False

    def completed(self) -> OtlpSettings:
        """With the address from the environment or by default. Raises UsageError."""
        wanted = self.address or os.environ.get(ADDRESS) or DEFAULT_ADDRESS
        return replace(self, address=plain_address(wanted))

    @property
    def target(self) -> str:
        """The name of the ledger."""
        return f"otlp {self.address}"


async def sync_otlp(
    store: Store,
    settings: OtlpSettings,
    *,
    clock: Clock | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Outcome:
    """Send what has ended since the last time: each span at least once, evaluations as events.

    Judgements that were there when their run was sent are events of its span, later ones are log
    records of its trace. What the collector refuses is counted and not tried again; when it is
    away, nothing is lost and the next call goes on. Raises Unreachable, Refused, UsageError,
    MissingExtra (opentelemetry-proto), StoreError.
    """
    settings, clock = settings.completed(), clock or SystemClock()
    outcome = Outcome(settings.target, planned=settings.dry, when_idle=_ALL_SENT)
    begun_ns = clock.monotonic_ns()
    async with Peer(settings.address, clock, headers=_headers()) as peer:
        export = _Export(store, store.sync_ledger(settings.target), peer, outcome, settings.dry)
        try:
            while await export.step():
                progress("spans sent", outcome.counts.get("spans_sent", 0), None)
        finally:
            outcome.requests = peer.requests
            outcome.duration_ns = clock.monotonic_ns() - begun_ns
    return outcome


async def watch_otlp(
    store: Store, settings: OtlpSettings, *, every_s: float = 1.0, clock: Clock | None = None
) -> AsyncIterator[Outcome | BridgeError]:
    """One export after the other, for ever; a collector that is away is tried again next time."""
    clock = clock or SystemClock()
    while True:
        try:
            yield await sync_otlp(store, settings, clock=clock)
        except BridgeError as error:
            yield error
        await clock.sleep(every_s)


class _Export:
    """One way through the streams, a batch of runs at a time."""

    def __init__(
        self, store: Store, ledger: SyncLedger, peer: Peer, outcome: Outcome, dry: bool
    ) -> None:
        self._store, self._ledger, self._peer = store, ledger, peer
        self._outcome, self._dry = outcome, dry
        streams = (_TRACES, _SPANS, _EVALUATIONS, _DROPPED)
        self._at = {name: ledger.position(name).watermark for name in streams}
        self._failed: list[Mark] = []

    async def step(self) -> bool:
        """Send the next runs and what came late for earlier ones; False when nothing is left.

        The cursors move when everything has been answered for: a crash repeats the batch.
        """
        newest, at = self._ledger.newest(), dict(self._at)
        rows, cursor = self._store.ended_after(at[_TRACES], limit=TRACES_A_BATCH)
        batch = {row.trace_id for row in rows}
        spans = [
            raw for one in dict.fromkeys(row.trace_id for row in rows) for raw in self._told(one)
        ]
        late, at[_SPANS] = self._late_spans(batch, newest.spans)
        judged, at[_EVALUATIONS] = self._late_evaluations(batch, newest.evaluations)
        await self._send([*spans, *late], self._post_spans, "spans_sent")
        await self._send(judged, self._post_events, "evaluations_sent")
        self._outcome.add("traces_sent", len(batch))
        at[_TRACES] = cursor
        moved = at != self._at
        self._at = {**at, _DROPPED: self._at[_DROPPED]}
        if moved and not self._dry:
            await self._save()
        return moved

    def _told(self, trace_id: str) -> list[RawSpan]:
        return told(self._store.read_trace(trace_id), self._store.evaluations(trace_id))

    def _late_spans(self, batch: set[str], newest: int) -> tuple[list[RawSpan], int]:
        """Steps that joined a run after it was sent; those of this batch are part of it."""
        rows = self._ledger.spans_after(self._at[_SPANS], until=newest, limit=_FEW)
        roots = self._sent_before({span.trace_id for _, span in rows} - batch)
        late = [
            told_span(span, parent=hex_id(roots[span.trace_id], 16))
            for _, span in rows
            if span.trace_id in roots
        ]
        return late, rows[-1][0] if rows else self._at[_SPANS]

    def _late_evaluations(self, batch: set[str], newest: int) -> tuple[list[_Event], int]:
        at = self._at[_EVALUATIONS]
        found, cursor = self._ledger.evaluations_after(at, until=newest, limit=_FEW)
        roots = self._sent_before({one.trace_id for one in found} - batch)
        return [
            (hex_id(one.trace_id, 32), hex_id(roots[one.trace_id], 16), evaluation_event(one))
            for one in found
            if one.trace_id in roots
        ], cursor

    def _sent_before(self, trace_ids: set[str]) -> dict[str, str]:
        return self._ledger.ended_by(trace_ids, self._at[_TRACES])

    async def _send(
        self,
        items: Sequence[_Item],
        post: Callable[[Sequence[_Item]], Awaitable[int]],
        counted: str,
    ) -> None:
        for start in range(0, len(items), _FEW):
            some = items[start : start + _FEW]
            dropped = 0 if self._dry else await self._post_or_halve(some, post)
            self._outcome.add(counted, len(some) - dropped)
            self._at[_DROPPED] += dropped

    async def _post_or_halve(
        self, items: Sequence[_Item], post: Callable[[Sequence[_Item]], Awaitable[int]]
    ) -> int:
        """How many were refused: a refused request is halved until one stands alone."""
        try:
            return await post(items)
        except Refused as error:
            if error.status == 404 and post == self._post_events:  # many take traces only
                return self._drop(len(items), "late evaluations", str(error))
            if not error.is_about_content:
                raise
            if len(items) == 1:
                return self._drop(1, _name(items[0]), str(error))
            half = len(items) // 2
            return await self._post_or_halve(items[:half], post) + await self._post_or_halve(
                items[half:], post
            )

    async def _post_spans(self, spans: Sequence[RawSpan]) -> int:
        body = encoded(spans, _RESOURCE)
        return self._partly((await self._peer.post("/v1/traces", body, headers=_PROTOBUF)).body)

    async def _post_events(self, events: Sequence[_Event]) -> int:
        body = encoded_logs(events, _RESOURCE)
        return self._partly((await self._peer.post("/v1/logs", body, headers=_PROTOBUF)).body)

    def _partly(self, body: bytes) -> int:
        count, why = rejected(body)
        return self._drop(count, "some of a request", why) if count else 0

    def _drop(self, count: int, name: str, why: str) -> int:
        for _ in range(count):
            self._outcome.fail("dropped", name, why)
        self._failed.append(
            Mark(kind="dropped", local_id=name, status="FAILED", detail={"why": why, "n": count})
        )
        return count

    async def _save(self) -> None:
        failed, self._failed = self._failed, []
        positions = {name: Position(watermark=at) for name, at in self._at.items()}
        await asyncio.wrap_future(self._ledger.save(marks=failed, positions=positions))


def _name(item: object) -> str:
    return item.span_id if isinstance(item, (RawSpan, Span)) else str(item)[:60]


def _headers() -> dict[str, str]:
    """``name=value`` pairs between commas, as the specification of the variable says."""
    pairs = (pair.partition("=") for pair in os.environ.get(HEADERS, "").split(",") if pair.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
