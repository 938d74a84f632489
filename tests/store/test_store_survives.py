"""Clocks, crashes and kills: the short form of ``make bench-faults``."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from p2re_eval.store import open_store
from p2re_eval.store.stat_queries import StatsQuery, stats
from tests.store.old_files import EARLIER, crash, old_file, told_wrong
from tests.store.soundness import begun, ended, judged, unsound

HOUR_NS = 3_600_000_000_000


def test_a_clock_that_goes_back_leaves_order_and_durations(database: Path) -> None:
    """Lists go by the order of writing, nothing has taken less than no time, and each run is
    counted in the hour in which its clock said that it began."""
    now_ns = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
    starts = [now_ns, now_ns + 5, now_ns - 2 * HOUR_NS, now_ns - 2 * HOUR_NS + 7]
    with open_store(database) as store:
        for number, start_ns in enumerate(starts):
            run = begun(start_ns, f"question {number}")
            store.begin_trace(run).result()
            store.finish_trace(ended(run, f"answer {number}", start_ns - 1_000_000)).result()
            store.save_evaluations([judged(run)]).result()
        assert [row.output_preview for row in store.list_traces()] == [
            "answer 3",
            "answer 2",
            "answer 1",
            "answer 0",
        ]
        newest = store.read_trace(store.list_traces(limit=1)[0].trace_id)
        assert newest.end_ns == newest.start_ns == starts[3]
        assert newest.spans[0].end_ns == newest.spans[0].start_ns
        report = store.read(lambda c: stats(c, StatsQuery(by=("hour",)), now_ns=now_ns))
        assert [(row.key["hour"], row.traces, row.p50_ns) for row in report.rows] == [
            (now_ns - 2 * HOUR_NS, 2, 0),
            (now_ns, 2, 0),
        ]
    assert unsound(database) == []


@pytest.mark.parametrize("version", EARLIER)
def test_a_migration_that_is_interrupted_is_taken_up_again(tmp_path: Path, version: int) -> None:
    """Whatever step it dies in, the file is whole, a backup was made, and the next opening
    finishes the work."""
    for step in range(version + 1, EARLIER.stop + 1):
        path = old_file(tmp_path / f"step{step}.db", version)
        assert list(crash(path, version, step, 0.5)) == []


def test_files_of_every_earlier_schema_are_read(tmp_path: Path) -> None:
    """Nothing of what they hold is lost on the way."""
    for version in EARLIER:
        path = old_file(tmp_path / f"schema{version}.db", version)
        assert list(told_wrong(path)) == []
        assert unsound(path) == []


def test_kill_9_leaves_the_file_whole(database: Path, tmp_path: Path) -> None:
    """Again and again on one file: nothing without its parent, every run counted and found."""
    for _ in range(5):
        told = tmp_path / "told"
        told.unlink(missing_ok=True)
        pid = os.fork()
        if not pid:
            _write(database, told)
        while not told.exists():
            time.sleep(0.002)
        time.sleep(0.02)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert unsound(database) == []
    with open_store(database) as store:
        assert store.list_traces(status="RUNNING") == []
        assert len(store.list_traces(status="OK", limit=10_000)) >= 5


def _write(database: Path, told: Path) -> None:
    """Until it is killed."""
    try:
        with open_store(database) as store:
            for number in range(1_000_000):
                run = begun(time.time_ns(), f"question {number}")
                store.begin_trace(run).result()
                store.finish_trace(ended(run, f"answer {number}", time.time_ns())).result()
                told.touch()
    finally:
        os._exit(1)
