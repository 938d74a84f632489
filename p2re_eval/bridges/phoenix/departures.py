"""Our traces on their way to Phoenix: marked before they leave, SYNCED when seen there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2re_eval.bridges.phoenix.arrivals import Arrivals
from p2re_eval.bridges.phoenix.course import THEIR_TRACE, TRACE, Course
from p2re_eval.errors import NoSuchRecord, Refused
from p2re_eval.store import Mark, MarkStatus, Position
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.told import hex_id, told, told_span

TRACES_A_BATCH = 200
SPANS_A_REQUEST = 500
UNSEEN_SPANS = 2000
"""Spans accepted and not seen there yet: beyond that we wait, because Phoenix keeps what it has
accepted in memory and loses it when it is stopped."""
PATIENCE_S = 10.0
"""Without any sign of progress; then what was not seen is sent once more."""
_NEVER_SEEN = "accepted there and never shown; another project may hold this trace already"
_RESENDINGS = 2
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.25, 2.0


class Departures:
    """Sends what has ended here since the last sync, and waits until it was seen there."""

    def __init__(self, course: Course, arrivals: Arrivals) -> None:
        self._course = course
        self._arrivals = arrivals
        self._unseen = 0
        self._cursors: dict[str, int] = {}

    async def send(self) -> None:
        """All of it: what an earlier sync did not see arrive first, then what is new."""
        if self._course.full:
            await self._forgive()
        for some in batched(self._waiting()):
            await self._again(some)
            await self._wait(UNSEEN_SPANS)
        while await self._next_traces():
            await self._wait(UNSEEN_SPANS)
        while await self._late_spans():
            await self._wait(UNSEEN_SPANS)
        await self._wait(1)

    async def _forgive(self) -> None:
        """What failed is tried once more when everything is asked for."""
        failed = self._course.ledger.marked(TRACE, "FAILED", limit=1_000_000)
        again = [
            mark.model_copy(
                update={"status": "SENT", "detail": {**mark.detail, "missing": mark.detail["sent"]}}
            )
            for mark in failed
            if mark.detail.get("sent")
        ]
        await self._course.save(marks=again)

    def _waiting(self) -> list[Mark]:
        return self._course.ledger.marked(TRACE, "SENT", limit=1_000_000)

    def _cursor(self, stream: str) -> int:
        """Where the stream stands; a dry run moves on without writing it down."""
        if stream not in self._cursors:
            self._cursors[stream] = self._course.ledger.position(stream).watermark
        return self._cursors[stream]

    async def _next_traces(self) -> bool:
        course = self._course
        rows, cursor = course.store.ended_after(self._cursor("traces"), limit=TRACES_A_BATCH)
        if not rows:
            return False
        ids = {row.trace_id: hex_id(row.trace_id, 32) for row in rows}
        known = {**course.ledger.marks(TRACE, ids.values())}
        known |= course.ledger.marks(THEIR_TRACE, ids.values())
        spans: list[RawSpan] = []
        marks: list[Mark] = []
        for trace_id, sent_as in ids.items():
            mark = known.get(sent_as)
            if mark is not None and not mark.detail.get("shared"):
                continue  # spans never change there: what was sent stays as it was sent
            there = () if mark is None else mark.detail["sent"]
            of_trace = told(course.store.read_trace(trace_id), both=False)
            missing = [raw for raw in of_trace if raw.span_id not in there]
            spans += missing
            marks.append(_sent(trace_id, of_trace, missing))
        await self._post(spans, marks, "traces", cursor)
        return True

    async def _late_spans(self) -> bool:
        """Steps that joined a trace after it was sent, such as a judge's call."""
        course = self._course
        rows = course.ledger.spans_after(self._cursor("late spans"), limit=TRACES_A_BATCH)
        if not rows:
            return False
        of_traces = {span.trace_id for _, span in rows}
        marks = course.ledger.marks(TRACE, {hex_id(one, 32) for one in of_traces})
        roots = {one.trace_id: one.root_id for one in course.ledger.spans_of(of_traces)}
        spans: list[RawSpan] = []
        for _, span in rows:
            mark = marks.get(hex_id(span.trace_id, 32))
            if mark is None or hex_id(span.span_id, 16) in mark.detail.get("sent", ()):
                continue
            raw = told_span(span, parent=hex_id(roots[span.trace_id], 16), both=False)
            spans.append(raw)
            detail = {
                **mark.detail,
                "sent": [*mark.detail.get("sent", ()), raw.span_id],
                "missing": [*mark.detail.get("missing", ()), raw.span_id],
            }
            marks[raw.trace_id] = mark.model_copy(update={"status": "SENT", "detail": detail})
        changed = [marks[trace_id] for trace_id in dict.fromkeys(raw.trace_id for raw in spans)]
        await self._post(spans, changed, "late spans", rows[-1][0])
        return True

    async def _post(
        self, spans: Sequence[RawSpan], marks: Sequence[Mark], stream: str, cursor: int
    ) -> None:
        """The marks are on disk before anything leaves: after a crash they say what left."""
        course = self._course
        self._cursors[stream] = cursor
        await course.save(marks=marks, positions={stream: Position(watermark=cursor)})
        await self._deliver_all(spans)

    async def _deliver_all(self, spans: Sequence[RawSpan]) -> None:
        if self._course.dry:
            self._course.outcome.add("spans_pushed", len(spans))
            return
        for start in range(0, len(spans), SPANS_A_REQUEST):
            await self._deliver(spans[start : start + SPANS_A_REQUEST])
        self._unseen += len(spans)

    async def _deliver(self, spans: Sequence[RawSpan]) -> None:
        """A request that is refused is halved until the span that it cannot take stands alone."""
        try:
            await self._course.phoenix.send_spans(spans)
        except Refused as error:
            if not error.is_about_content:
                raise
            if len(spans) > 1:
                half = len(spans) // 2
                await self._deliver(spans[:half])
                await self._deliver(spans[half:])
                return
            await self._give_up(spans[0].trace_id, str(error))

    async def _again(self, marks: Sequence[Mark]) -> None:
        """What was sent and not seen, once more; duplicates are ignored there."""
        course = self._course
        spans: list[RawSpan] = []
        for mark in marks:
            missing = set(mark.detail["missing"])
            try:
                trace = course.store.read_trace(str(mark.detail.get("own", mark.local_id)))
            except NoSuchRecord:
                await self._give_up(mark.local_id, "deleted here before it was seen there")
                continue
            spans += [raw for raw in told(trace, both=False) if raw.span_id in missing]
        await self._deliver_all(spans)

    async def _wait(self, most_unseen: int) -> None:
        """When so many are on their way: until all were seen, or nothing moves any more."""
        course = self._course
        if course.dry or self._unseen < most_unseen:
            return
        waiting = await self._watch()
        for _ in range(_RESENDINGS):
            if not waiting:
                break
            for some in batched(waiting):
                await self._again(some)
            waiting = await self._watch()
        for mark in waiting:
            await self._give_up(mark.local_id, _NEVER_SEEN)
        self._unseen = 0

    async def _watch(self) -> list[Mark]:
        """Read what arrives; gives what is still missing when nothing has for a while."""
        course = self._course
        before, wait_s, idle_s = -1, _FIRST_WAIT_S, 0.0
        while True:
            await self._arrivals.read()
            waiting = self._waiting()
            missing = sum(len(mark.detail["missing"]) for mark in waiting)
            course.progress("spans not seen there yet", missing, None)
            if not missing or idle_s >= PATIENCE_S:
                return waiting
            idle_s, wait_s = (idle_s, wait_s) if missing == before else (0.0, _FIRST_WAIT_S)
            before = missing
            await course.clock.sleep(wait_s)
            idle_s, wait_s = idle_s + wait_s, min(wait_s * 2, _LONGEST_WAIT_S)

    async def _give_up(self, trace_id: str, why: str) -> None:
        course = self._course
        course.outcome.fail("trace", trace_id, why)
        known = course.ledger.marks(TRACE, [trace_id]).get(trace_id)
        before = {} if known is None else known.detail
        detail = {**before, "why": why, "missing": []}
        await course.save(
            marks=[Mark(kind=TRACE, local_id=trace_id, status="FAILED", detail=detail)]
        )


def batched(marks: Sequence[Mark]) -> Iterator[Sequence[Mark]]:
    """A few at a time."""
    for start in range(0, len(marks), TRACES_A_BATCH):
        yield marks[start : start + TRACES_A_BATCH]


def _sent(trace_id: str, spans: Sequence[RawSpan], missing: Sequence[RawSpan]) -> Mark:
    """``own`` is the id here where no span can have it (an import's, say)."""
    sent_as = spans[0].trace_id
    own = {} if sent_as == trace_id else {"own": trace_id}
    detail = {
        "sent": [raw.span_id for raw in spans],
        "missing": [raw.span_id for raw in missing],
        **own,
    }
    status: MarkStatus = "SENT" if missing else "SYNCED"
    return Mark(kind=TRACE, local_id=sent_as, status=status, detail=detail)
