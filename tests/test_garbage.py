"""The garbage collector is as the user had it when the last pause has ended."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from p2re_eval.garbage import collector_paused
from p2re_eval.store import open_store


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_of_pauses_in_two_threads_the_last_to_end_turns_it_on() -> None:
    """The first to begin may end first; the other still has it off, and then it is on again."""
    begun, over = threading.Event(), threading.Event()

    def pause() -> None:
        with collector_paused():
            begun.set()
            over.wait(10)

    other = threading.Thread(target=pause)
    with collector_paused():
        other.start()
        assert begun.wait(10)
    assert not gc.isenabled()
    over.set()
    other.join()
    assert gc.isenabled()


def test_a_collector_that_is_off_stays_off() -> None:
    """The user's own choice is kept."""
    gc.disable()
    with collector_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_a_single_write_leaves_the_collector_alone(tmp_path: Path) -> None:
    """Who times something beside it finds the collector as it is: timeit would leave it off."""
    seen: list[bool] = []
    with open_store(tmp_path / "p2re.db") as store:
        store.change(lambda _: seen.append(gc.isenabled()))
    assert seen == [True]
