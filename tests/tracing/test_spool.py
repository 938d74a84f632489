"""A call is on disk when it returns and in the tables a moment later, whatever happens between."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from p2re_eval.records import Trace
from p2re_eval.store import open_store, pending
from p2re_eval.tracing import capture, span
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.recorder import Recorder

KEY = "sk-proj-" + "Ab1" * 14
DIES = """
import os, sqlite3, sys
from p2re_eval.tracing import capture, span
capture({path!r}, sdks=False)
other = sqlite3.connect({path!r}, isolation_level=None)
other.execute("BEGIN IMMEDIATE")  # nothing gets into the tables any more
for number in range(3):
    with span(f"call {{number}}", kind="LLM") as step:
        step.input("my key is {key}")
os.kill(os.getpid(), 9)
"""


def raw(number: int) -> RawSpan:
    """A root that has ended."""
    return RawSpan(f"{number:032x}", f"{number:016x}", f"step {number}", 1, end_ns=2)


def spools(database: Path) -> list[Path]:
    """The files beside the database that have something in them."""
    return [path for path in database.parent.glob("*.spool-*") if path.stat().st_size]


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Another program writes, and does not end."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.fixture
def orphans(database: Path) -> Path:
    """What a process left that was killed before anything of it got into the tables."""
    program = DIES.format(path=str(database), key=KEY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (-9, "")
    [found] = spools(database)
    return found


def test_what_returned_before_a_kill_is_there_at_the_next_opening(
    database: Path, orphans: Path, traces: Callable[[], list[Trace]]
) -> None:
    """The file is gone after that."""
    with open_store(database):
        pass
    assert [one.name for one in traces()] == ["call 0", "call 1", "call 2"]
    assert {one.status for one in traces()} == {"OK"}
    assert not orphans.exists()


def test_a_secret_is_not_in_the_spool_either(orphans: Path) -> None:
    """Redaction comes before the disk, not before the tables."""
    content = orphans.read_text()
    assert "[redacted key]" in content
    assert "Ab1Ab1" not in content


def test_what_is_taken_over_twice_is_kept_once(database: Path, orphans: Path) -> None:
    """A process may die between its commit and the end of its spool."""
    content = orphans.read_bytes()
    open_store(database).close()
    orphans.write_bytes(content)
    with open_store(database) as store:
        assert [row.name for row in store.list_traces()] == ["call 2", "call 1", "call 0"]


def test_a_record_that_was_cut_off_is_not_missed(database: Path, orphans: Path) -> None:
    """Its call had not returned: the others are taken over, and nobody is told of a fault."""
    orphans.write_bytes(orphans.read_bytes()[:-40])
    with open_store(database) as store:
        assert [row.name for row in store.list_traces()] == ["call 1", "call 0"]
    assert not list(database.parent.glob("*.unreadable"))


def test_a_database_that_stays_open_finds_them_too(
    database: Path, orphans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server lives longer than the programs that it shows."""
    monkeypatch.setattr("p2re_eval.store.store.LOOK_S", 0.0)
    content = orphans.read_bytes()
    with open_store(database) as store:
        store.change(lambda transaction: transaction.connection.execute("DELETE FROM traces"))
        orphans.write_bytes(content)
        assert [row.name for row in store.list_traces()] == ["call 2", "call 1", "call 0"]


def test_a_reader_in_the_same_process_sees_a_call_at_once(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for what is on its way, and for full text too."""
    monkeypatch.setattr(pending, "LINGER_S", 60.0)
    with capture(database, sdks=False), open_store(database) as store:
        with span("refund", kind="LLM") as step:
            step.input("where is my money")
        assert [row.name for row in store.list_traces()] == ["refund"]
        assert [row.name for row in store.search("money")] == ["refund"]


def test_another_process_sees_a_call_after_a_moment(database: Path) -> None:
    """Nobody has to read, close or flush for it."""
    with capture(database, sdks=False):
        with span("step"):
            pass
        with closing(sqlite3.connect(database)) as other:
            until = time.monotonic() + 30
            while not (found := other.execute("SELECT name FROM traces").fetchall()):
                assert time.monotonic() < until
                time.sleep(0.01)
    assert found == [("step",)]


def test_a_living_processes_spool_is_left_alone(database: Path) -> None:
    """An opening in between takes nothing away from it."""
    made = Recorder(database)
    assert made.open()
    with locked(database):
        made.record(raw(1))
        [spool] = spools(database)
        code = (
            f"from p2re_eval.store import open_store\nopen_store({str(database)!r}, read_only=True)"
        )
        subprocess.run([sys.executable, "-c", code], check=True)
        assert spool.stat().st_size
    made.close()
    assert (made.recorded, made.rescued, made.lost) == (1, 0, 0)


def test_who_may_only_read_leaves_a_dead_processes_spool(database: Path, orphans: Path) -> None:
    """Read only is read only: the next opening that may write takes it over."""
    left = orphans.read_bytes()
    with open_store(database, read_only=True) as store:
        assert store.list_traces() == []
    assert orphans.read_bytes() == left
    with open_store(database) as store:
        assert len(store.list_traces()) == 3


def test_a_child_that_lives_on_does_not_keep_its_parents_spool(database: Path) -> None:
    """A worker forked by a process that died must not stop others from taking over."""
    program = DIES.format(path=str(database), key=KEY).replace(
        "os.kill",
        "heard, lives = os.pipe()\n"
        "if os.fork() == 0:\n    os.close(1)\n    os.write(lives, b'!')\n"
        "    import time; time.sleep(60)\n"
        "os.read(heard, 1)\nos.kill",
    )
    child = subprocess.Popen([sys.executable, "-c", program], start_new_session=True)
    assert child.wait() == -9
    try:
        with open_store(database) as store:
            assert len(store.list_traces()) == 3
    finally:
        os.killpg(child.pid, 9)


def test_while_the_database_is_locked_calls_neither_wait_nor_get_lost(database: Path) -> None:
    """They are in the spool; the tables get them when they can."""
    made = Recorder(database)
    assert made.open()
    with locked(database):
        for number in range(1, 4):
            made.record(raw(number))
        assert made.recorded == 3
    made.close()
    with open_store(database) as store:
        assert [row.name for row in store.list_traces()] == ["step 3", "step 2", "step 1"]
    assert not list(database.parent.glob("*.spool-*"))


def test_more_than_the_memory_should_hold_stays_in_the_spool(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next opening brings it in; until then it is counted as rescued."""
    monkeypatch.setattr(pending, "IN_MEMORY", 2)
    monkeypatch.setattr(pending, "LINGER_S", 60.0)
    made = Recorder(database)
    assert made.open()
    for number in range(1, 6):
        made.record(raw(number))
    made.close()
    assert (made.recorded, made.rescued, made.lost) == (2, 3, 0)
    with open_store(database) as store:
        assert len(store.list_traces()) == 5


def test_a_full_disk_breaks_no_call_and_leaves_no_half_record(database: Path) -> None:
    """What did not fit is taken back, and goes the slow way, where it is counted."""
    made = Recorder(database)
    assert made.open()
    made.record(raw(1))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        made.record(raw(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    made.record(raw(3))
    made.close()
    assert made.recorded + made.rescued + made.lost == 3
    with open_store(database) as store:
        names = [row.name for row in store.list_traces()]
    assert names[0] == "step 3"
    assert "step 1" in names
    assert not list(database.parent.glob("*.unreadable"))
