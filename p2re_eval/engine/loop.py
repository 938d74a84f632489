"""One asyncio loop in one background thread: the same under pytest, the CLI and a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

_Value = TypeVar("_Value")
HAND_OVER_S = 0.005
"""How long a finished run may wait for company before its result is handed over."""


class EngineLoop:
    """A running loop that other threads hand coroutines to; started on first use."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._done: list[tuple[Future[Any], asyncio.Task[Any]]] = []

    def submit(self, coroutine: Coroutine[Any, Any, _Value]) -> Future[_Value]:
        """Start the coroutine in the loop; the future is for the calling thread to wait on."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._started())

    def submit_all(self, coroutines: Sequence[Coroutine[Any, Any, _Value]]) -> list[Future[_Value]]:
        """:meth:`submit` for many at once: the loop is woken once."""
        futures: list[Future[_Value]] = [Future() for _ in coroutines]

        def start() -> None:
            for coroutine, future in zip(coroutines, futures, strict=True):
                task = loop.create_task(coroutine)
                task.add_done_callback(partial(self._finished, loop, future))

        loop = self._started()
        loop.call_soon_threadsafe(start)
        return futures

    def _finished(
        self, loop: asyncio.AbstractEventLoop, future: Future[Any], task: asyncio.Task[Any]
    ) -> None:
        """Hand over in bunches: when many calls end at once, the next ones should be on their way
        before the waiting thread wakes up and competes for the interpreter."""
        if not self._done:
            loop.call_later(HAND_OVER_S, self._hand_over_all)
        self._done.append((future, task))

    async def _flush(self) -> None:
        self._hand_over_all()

    def _hand_over_all(self) -> None:
        done, self._done = self._done, []
        for future, task in done:
            _hand_over(future, task)

    def settle(self, grace_s: float) -> None:
        """Let what runs land for so long, then cancel the rest and wait for it to clean up."""
        if self._loop is not None:
            asyncio.run_coroutine_threadsafe(_settle(grace_s), self._loop).result()
            asyncio.run_coroutine_threadsafe(self._flush(), self._loop).result()

    def close(self) -> None:
        """Cancel what still runs, wait for it to clean up, and end the thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(_settle(0), loop).result()
        asyncio.run_coroutine_threadsafe(self._flush(), loop).result()
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name="p2re-engine", daemon=True
                )
                self._thread.start()
            return self._loop


def _hand_over(future: Future[_Value], task: asyncio.Task[_Value]) -> None:
    """What the task ended with, to the thread that waits for it."""
    if task.cancelled():
        future.cancel()
        future.set_running_or_notify_cancel()
    elif (error := task.exception()) is not None:
        future.set_exception(error)
    else:
        future.set_result(task.result())


async def _settle(grace_s: float) -> None:
    tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    if tasks and grace_s > 0:
        await asyncio.wait(tasks, timeout=grace_s)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
