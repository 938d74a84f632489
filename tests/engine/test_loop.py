"""The background loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import CancelledError

import pytest

from p2re_eval.engine.loop import EngineLoop


async def _thread_name() -> str:
    return threading.current_thread().name


async def _forever() -> None:
    await asyncio.Event().wait()


def test_coroutines_run_in_the_engines_thread_also_from_a_running_loop() -> None:
    """A notebook's own loop is not in the way: no nesting."""
    loop = EngineLoop()

    async def inside() -> str:
        return await asyncio.wrap_future(loop.submit(_thread_name()))

    assert loop.submit(_thread_name()).result() == "p2re-engine"
    assert asyncio.run(inside()) == "p2re-engine"
    loop.close()


def test_closing_cancels_what_still_runs_and_ends_the_thread() -> None:
    """Nobody waits for ever, and no thread is left behind."""
    loop = EngineLoop()
    waiting = loop.submit(_forever())
    loop.close()
    with pytest.raises(CancelledError):
        waiting.result()
    assert "p2re-engine" not in {thread.name for thread in threading.enumerate()}


def test_settling_lets_short_work_land_first() -> None:
    """Calls in flight are paid for: they get their grace."""
    loop = EngineLoop()
    waiting = loop.submit(asyncio.sleep(0.01, "landed"))
    loop.settle(5)
    assert waiting.result() == "landed"
    loop.close()


def test_a_loop_that_was_never_used_starts_no_thread() -> None:
    """Opening a session costs nothing."""
    loop = EngineLoop()
    loop.settle(1)
    loop.close()
    assert "p2re-engine" not in {thread.name for thread in threading.enumerate()}
