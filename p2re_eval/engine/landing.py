"""Answers from another thread, brought into the loop in bunches instead of one by one."""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Future


class Landing:
    """Awaits futures that a thread resolves many of at once, as a group commit does.

    ``asyncio.wrap_future`` wakes the loop once for each; a wake is a system call, and a hand-over
    of the interpreter's lock. Here the first of a bunch wakes the loop and the others ride along.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._landed: deque[tuple[Future[None], asyncio.Future[None]]] = deque()
        self._waking = False

    async def wait(self, future: Future[None]) -> None:
        """Until the future is resolved; raises what it holds."""
        if not future.done():
            waiter: asyncio.Future[None] = self._loop.create_future()
            future.add_done_callback(lambda done: self._land(done, waiter))
            await waiter
        future.result()

    def _land(self, future: Future[None], waiter: asyncio.Future[None]) -> None:
        self._landed.append((future, waiter))
        if not self._waking:
            self._waking = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        # Cleared first: what lands from here on wakes the loop again, so nothing is left behind.
        self._waking = False
        while self._landed:
            _, waiter = self._landed.popleft()
            if not waiter.done():
                waiter.set_result(None)
