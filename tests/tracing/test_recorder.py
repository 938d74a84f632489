"""Recording never breaks what it records: every loss is counted and said."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from p2re_eval.store import TraceRow, open_store
from p2re_eval.tracing import capture, recorder, span
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.recorder import Recorder


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING, "p2re_eval.tracing")
    return caplog


def raw(number: int) -> RawSpan:
    """A root that has ended."""
    return RawSpan(f"{number:032x}", f"{number:016x}", "step", 1, end_ns=2)


def shown(database: Path) -> list[TraceRow]:
    """What a reader in this process sees at once."""
    with open_store(database, read_only=True) as store:
        return store.list_traces()


def test_a_place_that_cannot_be_a_database(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """The program goes on; the reason is said once, and the number at the end."""
    with capture(tmp_path, sdks=False) as made:
        for _ in range(3):
            with span("step"):
                pass
    assert (made.recorded, made.lost) == (0, 3)
    assert made.why is not None
    assert "this is a folder" in made.why
    first, last = said.messages
    assert "this is a folder" in first
    assert last.startswith("p2re: 3 spans lost: ")
    assert "3 lost (" in repr(made)


def test_another_programs_database(tmp_path: Path, said: pytest.LogCaptureFixture) -> None:
    """It is left alone."""
    path = tmp_path / "other.db"
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE theirs(x)")
    with capture(path, sdks=False) as made, span("step"):
        pass
    assert made.lost == 1
    assert "another program's" in said.messages[0]


def test_a_file_that_is_gone_in_the_middle(database: Path, said: pytest.LogCaptureFixture) -> None:
    """What could not be written is in a rescue file, which the next opening imports."""
    with capture(database, sdks=False) as made:
        with span("first"):
            pass
        assert [row.name for row in shown(database)] == ["first"]
        for path in database.parent.glob("captured.db*"):
            path.unlink()
        with span("second"):
            pass
    assert (made.recorded, made.rescued, made.lost) == (1, 1, 0)
    assert "kept in" in said.messages[0]
    with open_store(database) as store:
        assert [row.name for row in store.list_traces()] == ["second"]


def test_a_locked_database_delays_one_call_and_loses_nothing(
    database: Path, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first call waits its share; those after it do not wait while the disk is behind. So it
    is where calls go straight to the database, as a function of the user's is to see each text."""
    monkeypatch.setattr(recorder, "WAIT_S", 0.05)
    made = Recorder(database, redact=str)
    assert made.open()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, 4):
            made.record(raw(number))
        assert made.recorded == 0
        other.execute("COMMIT")
    made.close()
    assert (made.recorded, made.lost) == (3, 0)
    assert [message for message in said.messages if "is slow" in message] == said.messages[:1]


def test_a_backlog_that_is_too_long_is_lost_and_counted(
    database: Path, said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call never waits for room in the queue, where it goes straight to the database."""
    monkeypatch.setattr(recorder, "WAIT_S", 0.05)
    monkeypatch.setattr(recorder, "BACKLOG", 2)
    made = Recorder(database, redact=str)
    assert made.open()
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(1, 6):
            made.record(raw(number))
        other.execute("COMMIT")
    made.close()
    assert (made.recorded, made.lost) == (2, 3)
    assert said.messages[-1].startswith("p2re: 3 spans lost: ")


def test_the_innermost_capture_gets_the_spans(tmp_path: Path) -> None:
    """And the outer one again, after it."""
    outer, inner = tmp_path / "outer.db", tmp_path / "inner.db"
    with capture(outer, sdks=False) as first:
        with capture(inner, sdks=False) as second, span("in"):
            pass
        with span("out"):
            pass
    assert (first.recorded, second.recorded) == (1, 1)
    with open_store(inner) as store:
        assert [row.name for row in store.list_traces()] == ["in"]


def test_stopping_twice_is_harmless(database: Path) -> None:
    """A block's end and the process's."""
    made = capture(database, sdks=False)
    made.stop()
    made.stop()
    assert made.recorded == 0


def test_a_key_in_a_captured_call_never_reaches_the_disk(database: Path) -> None:
    """Messages, raw attributes, metadata: all pass the store's redaction."""
    key = "sk-proj-" + "Ab1" * 14
    with capture(database, sdks=False, metadata={"note": key}), span("step", kind="LLM") as step:
        step.input(f"my key is {key}")
        step.output({"echo": key})
        step.set(header=f"Bearer {key}")
    with open_store(database) as store:
        [row] = store.list_traces()
        assert store.read_trace(row.trace_id).attributes["input.value"] != ""
    files = b"".join(path.read_bytes() for path in database.parent.glob("captured.db*"))
    assert b"Ab1Ab1" not in files
