"""What was deleted in Phoenix is found by comparing, now and then; nothing is deleted here."""

from __future__ import annotations

from p2re_eval.bridges.phoenix.course import THEIR_TRACE, TRACE, Course
from p2re_eval.store import Mark, Position

EVERY_NS = 24 * 3600 * 1_000_000_000
STREAM = "sweep"


def is_due(course: Course) -> bool:
    """Once a day, or when everything is asked for."""
    last = course.ledger.position(STREAM).updated_ns
    return course.full or (last is not None and course.clock.now_ns() - last > EVERY_NS)


async def sweep(course: Course) -> None:
    """Runs that both sides held and of which nothing is left there become DELETED."""
    left = {trace_id async for trace_id, _ in course.phoenix.stored()}
    for kind in (TRACE, THEIR_TRACE):
        gone = sorted(course.ledger.every_id(kind, "SYNCED") - left)
        course.outcome.add("deleted_there", len(gone))
        await course.save(marks=[Mark(kind=kind, local_id=one, status="DELETED") for one in gone])
    await remember(course)


async def remember(course: Course) -> None:
    """The next sweep is due a day from now."""
    await course.save(positions={STREAM: Position()})
