"""Phoenix's spans in the order of their arrival: ours are confirmed, theirs imported."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from p2re_eval.bridges.phoenix.client import RemoteSpan, SpanPage
from p2re_eval.bridges.phoenix.course import (
    EVALUATION,
    LABEL,
    PROMPT,
    THEIR_TRACE,
    TRACE,
    Course,
)
from p2re_eval.records import JSON, CapturedSpan
from p2re_eval.store import Mark, Position
from p2re_eval.tracing.hiding import Hiding
from p2re_eval.tracing.mapping import captured

OVERLAP_ROWS = 100
"""Read again each time: on Postgres a lower number may become visible after a higher one."""
IMPORTED, CONFIRMED = "spans", "spans seen"


class Arrivals:
    """Follows the project's spans from where the last sync stopped."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._stream = IMPORTED if course.pull else CONFIRMED
        self._position: Position | None = None
        self._downward = False
        self._read_spans = 0

    async def read(self) -> None:
        """Everything that has arrived since; each page is on disk before the next is asked for."""
        course = self._course
        overlap = OVERLAP_ROWS if self._position is None else 0
        position = self._position or self._begin()
        page = await course.phoenix.spans_from(max(position.watermark - overlap, 0))
        self._downward = self._downward or not _ascending(page.spans)
        if self._downward:
            self._position = await self._read_downward(position)
            return
        if position.watermark and not _holds(page, position):
            page, position = await self._find_footing()
        while True:
            position = await self._take(page.spans, position)
            self._position = position
            if page.next_row is None:
                return
            page = await course.phoenix.spans_from(page.next_row)

    def _begin(self) -> Position:
        positions = [self._course.ledger.position(IMPORTED)]
        if not self._course.pull:
            positions.append(self._course.ledger.position(CONFIRMED))
        return max(positions, key=lambda one: one.watermark)

    async def _find_footing(self) -> tuple[SpanPage, Position]:
        """The last span that we saw is not where it was: some were deleted, or all of them.

        Row numbers may be given anew then, so everything is read again; what is known is skipped.
        """
        course = self._course
        beginning = await course.phoenix.spans_from(0)
        known = {one.raw.trace_id for one in beginning.spans}
        marks = {**course.ledger.marks(TRACE, known), **course.ledger.marks(THEIR_TRACE, known)}
        if not marks:
            await self._restart()
        else:
            course.outcome.notes.append("spans were deleted there; all of them were read again")
        return beginning, Position()

    async def _restart(self) -> None:
        course = self._course
        course.outcome.notes.append(
            "the project there holds nothing that was there before: sent again from the beginning"
        )
        if course.dry:
            return
        ours, theirs = (TRACE, EVALUATION, PROMPT, LABEL), (THEIR_TRACE,)
        await asyncio.wrap_future(course.ledger.restart(forget=ours, bury=theirs))

    async def _take(
        self, spans: Sequence[RemoteSpan], position: Position, *, downward: bool = False
    ) -> Position:
        """One page: imports, confirmations and the cursor in one transaction."""
        if not spans:
            return position
        course = self._course
        sorted_page = sort(course, [one.raw.trace_id for one in spans], spans)
        news = sorted_page.news if course.pull else []
        position = position if downward else _after(spans, position)
        marks = [*sorted_page.confirmed, *(sorted_page.theirs if course.pull else ())]
        await course.save(spans=news, marks=marks, positions={self._stream: position})
        course.outcome.add("spans_pushed", sorted_page.arrived)
        course.outcome.add("traces_pushed", sorted_page.completed)
        if course.pull:
            course.outcome.add("spans_pulled", len(sorted_page.news))
            self._read_spans += len(spans)
            course.progress("spans read", self._read_spans, None)
        return position

    async def _read_downward(self, position: Position) -> Position:
        """A server that cannot sort gives the newest first: down to what was seen, resumably.

        ``state`` remembers how far down an unfinished walk has come, and where it began.
        """
        course = self._course
        walk = dict(position.state.get("walk") or {})
        row, top = int(walk.get("row", 0)), walk.get("top")
        while True:
            page = await course.phoenix.spans_from(row, ascending=False)
            if top is None and page.spans:
                top = _anchor(page.spans[0])
            fresh = [one for one in page.spans if one.row > position.watermark - OVERLAP_ROWS]
            done = page.next_row is None or len(fresh) < len(page.spans)
            row = page.next_row or 0
            if done:
                last = top or position.state.get("last")
                reached = int(last[0]) if last else position.watermark
                position = Position(
                    watermark=max(reached, position.watermark), state={"last": last}
                )
            else:
                state = {**position.state, "walk": {"row": row, "top": top}}
                position = position.model_copy(update={"state": state})
            await self._take(fresh, position, downward=True)
            if not fresh and done:
                await course.save(positions={self._stream: position})
            if done:
                return position


@dataclass(frozen=True)
class SortedPage:
    """A page of spans by what they are to us."""

    news: list[CapturedSpan]
    confirmed: list[Mark]
    arrived: int
    theirs: list[Mark]

    @property
    def completed(self) -> int:
        """How many of our traces are there as a whole since this page."""
        return sum(m.status == "SYNCED" and not m.detail.get("shared") for m in self.confirmed)


def sort(course: Course, trace_ids: Iterable[str], spans: Sequence[RemoteSpan]) -> SortedPage:
    """What is new to us, which of ours have arrived, and the runs that came from there.

    A span that is recorded here is never taken over: ours has all that Phoenix loses. A run that
    is marked and not here was deleted here, or stands here under an id that no span can have.
    """
    ledger, ids = course.ledger, sorted(set(trace_ids))
    here = ledger.spans_here((one.raw.trace_id, one.raw.span_id) for one in spans)
    ours, theirs = ledger.marks(TRACE, ids), ledger.marks(THEIR_TRACE, ids)
    present = ledger.traces_here(ids)
    news: list[CapturedSpan] = []
    hiding = Hiding.of(os.environ)
    for one in spans:
        pair = one.raw.trace_id, one.raw.span_id
        marked = one.raw.trace_id in ours or one.raw.trace_id in theirs
        gone = marked and one.raw.trace_id not in present
        if pair not in here and not gone:
            news.append(captured(hiding(one.raw)))
    arrived = {(one.raw.trace_id, one.raw.span_id) for one in spans}
    imported = {one.span.trace_id for one in news}
    new_marks = [
        Mark(kind=THEIR_TRACE, local_id=trace_id, status="SYNCED")
        for trace_id in sorted(imported - ours.keys() - theirs.keys() - present)
    ]
    confirmed, count = _confirmations(ours, arrived)
    shared = _shared(ours, present - theirs.keys(), arrived)
    return SortedPage(news, [*confirmed, *shared], count, new_marks)


def _shared(
    ours: dict[str, Mark], present: set[str], arrived: set[tuple[str, str]]
) -> Iterator[Mark]:
    """Runs that are on both sides without our doing, as when a program reports to both: what is
    there need not be sent, the rest will be."""
    for trace_id in sorted(present):
        mark = ours.get(trace_id)
        if mark is not None and not mark.detail.get("shared"):
            continue
        before = [] if mark is None else mark.detail["sent"]
        there = [span_id for of_trace, span_id in sorted(arrived) if of_trace == trace_id]
        sent = list(dict.fromkeys([*before, *there]))
        if mark is None or len(sent) > len(before):
            detail = {"sent": sent, "missing": [], "shared": True}
            yield Mark(kind=TRACE, local_id=trace_id, status="SYNCED", detail=detail)


def _confirmations(ours: dict[str, Mark], arrived: set[tuple[str, str]]) -> tuple[list[Mark], int]:
    """The marks of ours that the arrival of these spans changes, and how many spans it confirms."""
    changed: list[Mark] = []
    count = 0
    for trace_id, mark in ours.items():
        awaited = mark.detail.get("missing") or []
        missing = [one for one in awaited if (trace_id, one) not in arrived]
        if mark.status == "SENT" and len(missing) < len(awaited):
            count += len(awaited) - len(missing)
            detail = {**mark.detail, "missing": missing}
            status = "SENT" if missing else "SYNCED"
            changed.append(mark.model_copy(update={"status": status, "detail": detail}))
    return changed, count


def _after(spans: Sequence[RemoteSpan], position: Position) -> Position:
    last = max(spans, key=lambda one: one.row)
    if last.row < position.watermark:
        return position
    return Position(watermark=last.row, state={"last": _anchor(last)})


def _anchor(one: RemoteSpan) -> list[JSON]:
    return [one.row, one.raw.trace_id, one.raw.span_id]


def _holds(page: SpanPage, position: Position) -> bool:
    """Whether the span that was last is still where it was."""
    last = position.state.get("last")
    return last is None or any(_anchor(one) == last for one in page.spans)


def _ascending(spans: Sequence[RemoteSpan]) -> bool:
    rows = [one.row for one in spans]
    return rows == sorted(rows)
