"""Real time, and ids that sort by it."""

from __future__ import annotations

import asyncio
import os
import random
import time

# Our own generator, seeded by the system: asking the system each time gives up the interpreter's
# lock, and the global one repeats itself where a program calls random.seed().
_RANDOM = random.Random()  # noqa: S311 - ids must be unique, not secret
os.register_at_fork(after_in_child=_RANDOM.seed)


class SystemClock:
    """The machine's own clock."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def new_trace_id(now_ns: int) -> str:
    """32 hex digits, time-ordered to the millisecond (the layout of UUIDv7); a valid W3C trace id.

    Source: RFC 9562, section 5.7.
    """
    random = _RANDOM.getrandbits(74)
    value = (now_ns // 1_000_000) << 80 | 0x7 << 76 | (random >> 62) << 64 | 0b10 << 62
    return f"{value | random & (1 << 62) - 1:032x}"


def new_span_id() -> str:
    """16 random hex digits, never all zero."""
    return f"{_RANDOM.getrandbits(64) or 1:016x}"
