"""A fork waits until no thread of ours is inside SQLite."""

from __future__ import annotations

import os
import threading

import pytest

from p2re_eval.store.forking import Working

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")


def test_a_fork_waits_for_a_thread_that_works() -> None:
    """The child finds the thread outside, and can work itself."""
    working, entered, inside = Working(), threading.Event(), threading.Event()

    def work() -> None:
        with working:
            inside.set()
            entered.set()
            threading.Event().wait(0.05)
            inside.clear()

    thread = threading.Thread(target=work)
    thread.start()
    entered.wait()
    child = os.fork()
    if child == 0:
        seen_inside = inside.is_set()
        with working:
            os._exit(int(seen_inside))
    thread.join()
    assert os.waitpid(child, 0)[1] == 0
    with working:
        pass
