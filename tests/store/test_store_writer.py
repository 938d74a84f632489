"""One thread writes: together what waits together, each future after its commit."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import StoreError
from p2re_eval.records import Completion, Trace
from p2re_eval.store import Store, open_store
from p2re_eval.store import writer as writing
from p2re_eval.store.jobs import Change
from p2re_eval.store.migrations import STEPS


class Lock:
    """Another program's write lock on the file, to make the writer wait."""

    def __init__(self, database: Path) -> None:
        self.connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)

    def __enter__(self) -> Lock:
        self.connection.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.execute("COMMIT")
        self.connection.close()


def test_a_resolved_future_means_committed(store: Store, records: Any, look: Any) -> None:
    """Another connection sees the row at once; before, the future is not done."""
    with Lock(store.path):
        future = store.begin_trace(records.trace())
        assert not future.done()
        assert look("SELECT count(*) FROM traces") == [(0,)]
    future.result()
    assert look("SELECT status FROM traces") == [("RUNNING",)]


def test_what_waits_together_is_committed_together(
    store: Store, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Group commit: a queue of any length behind a lock costs one transaction more."""
    batches: list[int] = []
    write = writing.apply_all

    def counted(transaction: Any, jobs: Any) -> None:
        batches.append(len(jobs))
        write(transaction, jobs)

    monkeypatch.setattr(writing, "apply_all", counted)
    with Lock(store.path):
        futures = [store.begin_trace(records.trace()) for _ in range(200)]
    wait(futures)
    assert sum(batches) == 200
    assert len(batches) <= 3


def test_a_record_that_cannot_be_written_does_not_take_others_along(
    store: Store, records: Any
) -> None:
    """Its own future fails, its neighbours in the transaction are written."""
    bad = records.trace().model_copy(update={"attempts": 2**70})
    with Lock(store.path):
        futures = [store.begin_trace(trace) for trace in (records.trace(), bad, records.trace())]
    with pytest.raises(OverflowError):
        futures[1].result()
    futures[0].result()
    futures[2].result()
    assert [row.id for row in store.list_traces()] == [2, 1]


def test_a_caller_that_gives_up_does_not_lose_the_answer(store: Store, records: Any) -> None:
    """A cancelled task cancels its future: the write goes on all the same."""
    with Lock(store.path):
        future = store.finish_trace(records.answered())
        assert not future.cancel()
    future.result()
    assert len(store.list_traces()) == 1


def test_a_full_queue_makes_the_caller_wait(
    store: Store, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Backpressure instead of memory: the caller goes on when the writer has taken a batch."""
    monkeypatch.setattr(writing, "QUEUE_LIMIT", 5)
    done = threading.Event()
    futures: list[Future[None]] = []

    def write_many() -> None:
        futures.extend(store.begin_trace(records.trace()) for _ in range(30))
        done.set()

    with Lock(store.path):
        thread = threading.Thread(target=write_many)
        thread.start()
        assert not done.wait(0.05)
        assert len(futures) <= 10  # five that the writer took, five that wait
    thread.join(10)
    wait(futures)
    assert len(store.list_traces()) == 30


def test_many_threads_write_and_read_at_once(store: Store, records: Any) -> None:
    """A handle is shared freely: nothing is lost, every read is whole."""
    traces = [records.answered(text=f"answer {number}") for number in range(400)]

    def work(mine: list[Trace]) -> None:
        for trace in mine:
            store.finish_trace(trace).result()
            assert store.read_trace(trace.trace_id) == trace

    threads = [threading.Thread(target=work, args=(traces[at::8],)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.list_traces(limit=1000)) == 400


def test_a_broken_writer_keeps_nobody_waiting(
    store: Store, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake of ours in the thread fails what waits and what comes; nothing hangs."""

    def broken(*_: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(writing, "apply_all", broken)
    monkeypatch.setattr(writing.Writer, "_rescued", broken)
    with pytest.raises(StoreError, match="the writer failed: RuntimeError"):
        store.finish_trace(records.answered()).result(timeout=10)
    with pytest.raises(StoreError):
        store.finish_trace(records.answered()).result(timeout=10)
    assert store.search("billing") == []


def test_closing_writes_what_is_queued(database: Path, records: Any, look: Any) -> None:
    """Nobody has to wait for every future; the log is folded into the file."""
    with open_store(database) as store:
        for _ in range(500):
            store.finish_trace(records.answered())
    assert look("SELECT count(*) FROM traces WHERE status = 'OK'") == [(500,)]
    assert not database.with_name("p2re.db-wal").exists()


def test_leaving_marks_what_will_never_end(database: Path, records: Any, look: Any) -> None:
    """A closed store cannot finish its runs any more."""
    with open_store(database) as store:
        store.begin_trace(records.trace())
    assert look("SELECT status, end_ns FROM traces") == [("ABANDONED", None)]
    assert look("SELECT count(*) FROM processes") == [(0,)]


def test_a_closed_store_says_so(database: Path, records: Any) -> None:
    """Also to a second close, which is allowed."""
    store = open_store(database)
    store.close()
    store.close()
    for use in (store.list_traces, lambda: store.begin_trace(records.trace())):
        with pytest.raises(StoreError, match="the store is closed; open it again"):
            use()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_is_refused_instead_of_waiting_for_ever(store: Store, records: Any) -> None:
    """The writer thread does not follow a fork, and SQLite forbids to share a connection."""
    store.begin_trace(records.trace()).result()
    reading, writing_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            store.begin_trace(records.trace())
        except StoreError as error:
            os.write(writing_end, str(error).encode())
        os._exit(0)
    os.close(writing_end)
    os.waitpid(child, 0)
    with os.fdopen(reading) as told:
        assert "opened before this process was forked" in told.read()


def test_the_caller_only_queues(store: Store, records: Any) -> None:
    """Nothing is turned into text in the caller's thread: records of a megabyte cost nothing."""

    class Watched(Completion):
        def model_dump_json(self, **options: Any) -> str:
            raise AssertionError("dumped by the caller")

    trace = records.answered().model_copy(update={"completion": Watched(text="x" * 1_000_000)})
    with Lock(store.path):
        future = store.finish_trace(trace)
        assert not future.done()
    future.result()


def test_a_small_file_is_made_without_heavy_imports(database: Path) -> None:
    """sqlite-utils costs 80 ms: a session that records must not pay for it."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from p2re_eval.store import open_store\n"
        f"open_store(Path({str(database)!r})).close()\n"
        "print(sorted({'sqlite_utils', 'tabulate', 'click', 'pluggy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    with closing(sqlite3.connect(database)) as connection:
        pragmas = ("page_size", "auto_vacuum", "journal_mode", "application_id", "user_version")
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas]
    assert found == [8192, 2, "wal", 0x50325245, len(STEPS)]


def test_the_index_holds_what_was_queued_before_it_was_asked_for(
    database: Path, records: Any
) -> None:
    """Also what still waited behind the write that was under way."""
    under_way, first, second = (threading.Event() for _ in range(3))

    def slow(transaction: Any) -> None:
        under_way.set()
        assert first.wait(10)

    with open_store(database) as store:
        assert store._writer is not None
        store._writer.submit(Change(slow))
        assert under_way.wait(10)
        written = store.finish_trace(records.answered(text="needle"))
        indexed = store._writer.index_everything()
        store._writer.submit(Change(lambda transaction: second.wait(10)))
        first.set()
        with pytest.raises(TimeoutError):
            indexed.result(0.3)
        second.set()
        indexed.result(10)
        assert written.done()


def test_the_index_keeps_up_with_a_stream_of_writes(
    store: Store, records: Any, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """What is not counted yet is counted at every question: it stays few."""
    for _ in range(4000):
        last = store.finish_trace(records.answered())
    last.result()
    (counted,) = look("SELECT watermark FROM sync_state WHERE stream = 'responses'")
    assert counted[0] >= 2500  # 500, and the last transaction's thousand


def test_a_write_does_not_wait_for_all_that_others_left_unindexed(
    store: Store, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a long backlog, a writer that is waited for takes what has come since, twice."""
    monkeypatch.setattr(writing, "FEED_ROWS", 5)
    with open_store(store.path) as other:
        wait([other.finish_trace(records.answered()) for _ in range(200)])
    for name, value in {"FEED_BEHIND": 10, "FEED_FAR_BEHIND": 20, "LOOK_AFTER_JOBS": 1}.items():
        monkeypatch.setattr(writing, name, value)
    feed, later, fed_before = writing.upkeep.feed, [], []
    asked = threading.Event()

    def fed(*given: Any) -> bool:
        if not later:
            later.append(store.finish_trace(records.answered()))
            asked.set()
        if not later[0].done():
            fed_before.append(1)
        return feed(*given)

    monkeypatch.setattr(writing.upkeep, "feed", fed)
    with Lock(store.path):  # the thread has it, not the caller
        first = store.finish_trace(records.answered())
    first.result()
    assert asked.wait(30)
    later[0].result()
    assert 1 <= len(fed_before) <= 3
