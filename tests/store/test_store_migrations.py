"""Files are made private, migrated step by step after a backup, and never half."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2re_eval.errors import NewerSchema, StoreFull
from p2re_eval.store import before_migrating, default_path, open_store
from p2re_eval.store.connection import open_for_writing
from p2re_eval.store.migrations import STEPS, create_tables, migrate, schema_version
from p2re_eval.store.schema import statements

NOW = len(STEPS)


@pytest.fixture
def connection(database: Path) -> Iterator[sqlite3.Connection]:
    opened = open_for_writing(database, busy_timeout_s=1)
    with closing(opened):
        yield opened


def add_column(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE sessions ADD COLUMN mood TEXT")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half(x)")
    connection.execute("SELECT * FROM absent")


def test_a_new_file_is_its_owners_alone(tmp_path: Path, records: Any) -> None:
    """Prompts hold secrets: file, log and folder are closed to others."""
    database = tmp_path / "deep" / "er" / "p2re.db"
    with open_store(database) as store:
        store.begin_trace(records.trace()).result()
        modes = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    assert modes == {"p2re.db": 0o600, "p2re.db-wal": 0o600, "p2re.db-shm": 0o600}
    assert database.parent.stat().st_mode & 0o777 == 0o700


def test_an_old_file_is_backed_up_and_migrated(
    connection: sqlite3.Connection, database: Path, look: Any
) -> None:
    """The backup is the file before, private as well; a second look changes nothing."""
    connection.execute("INSERT INTO sessions(session_id, started_ns) VALUES ('s', 1)")
    backup = migrate(connection, database, (*STEPS, add_column))
    assert backup is not None
    assert backup.name.startswith(f"p2re.db.schema{NOW}-")
    assert backup.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(backup)) as old:
        assert schema_version(old) == NOW
        assert old.execute("SELECT * FROM sessions").fetchall() == [(1, "s", None, None, 1, None)]
    assert look("SELECT session_id, mood FROM sessions") == [("s", None)]
    assert look("PRAGMA user_version") == [(NOW + 1,)]
    assert migrate(connection, database, (*STEPS, add_column)) is None


def test_a_step_that_fails_leaves_the_version_before(
    connection: sqlite3.Connection, database: Path, look: Any
) -> None:
    """Each step is one transaction: those before it stay, nothing of it does."""
    with pytest.raises(sqlite3.OperationalError, match="no such table: absent"):
        migrate(connection, database, (*STEPS, add_column, fail))
    assert look("PRAGMA user_version") == [(NOW + 1,)]
    assert look("SELECT count(*) FROM sqlite_master WHERE name = 'half'") == [(0,)]
    assert not connection.in_transaction


def test_without_room_on_the_disk_nothing_is_begun(
    connection: sqlite3.Connection,
    database: Path,
    look: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sentence says how much is needed and what to do; the file stays at its schema."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(StoreFull, match=r"must be free on its disk, and 0 MB are; free some space"):
        migrate(connection, database, (*STEPS, add_column))
    assert look("PRAGMA user_version") == [(NOW,)]
    assert not list(database.parent.glob("*.backup"))


def test_a_copy_that_cannot_be_made_leaves_nothing(
    connection: sqlite3.Connection, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files is a disk that fills up in the middle."""
    connection.execute("CREATE TABLE big AS SELECT zeroblob(4000000) AS x")
    pid = os.fork()
    if not pid:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))
        try:
            migrate(sqlite3.connect(database), database, (*STEPS, add_column))
        except sqlite3.Error:
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    names = {path.name for path in database.parent.iterdir()}
    assert names <= {"p2re.db", "p2re.db-wal", "p2re.db-shm"}


def test_who_waits_for_a_large_file_is_told(
    connection: sqlite3.Connection,
    database: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(before_migrating, "_LARGE", 1)
    migrate(connection, database, (*STEPS, add_column))
    first, second = capsys.readouterr().err.splitlines()
    assert first.endswith(" MB): backing it up before its tables change")
    assert second.endswith(f"to newer tables, step {NOW + 1} of {NOW + 1}")


def test_a_new_file_needs_no_backup(database: Path) -> None:
    """There is nothing to lose yet."""
    open_store(database).close()
    assert [path.name for path in database.parent.iterdir()] == ["p2re.db"]


def test_a_step_another_process_took_meanwhile_is_not_taken_again(
    connection: sqlite3.Connection, database: Path
) -> None:
    """Several processes open an old file at once; the version is read again under the lock."""
    migrate(connection, database, (*STEPS, add_column))
    connection.execute(f"PRAGMA user_version = {NOW}")

    def racing(inner: sqlite3.Connection) -> None:
        raise AssertionError("taken twice")

    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute(f"PRAGMA user_version = {NOW + 1}")
        with pytest.raises(NewerSchema):
            migrate(connection, database, STEPS)
        assert migrate(connection, database, (*STEPS, racing)) is None


def test_statements_are_split_where_sql_ends_them() -> None:
    """A trigger's inner semicolons do not."""
    script = "CREATE TABLE a(x);\nCREATE TRIGGER t AFTER INSERT ON a\n BEGIN SELECT 1; END;\n"
    assert list(statements(script)) == [
        "CREATE TABLE a(x);",
        "CREATE TRIGGER t AFTER INSERT ON a\n BEGIN SELECT 1; END;",
    ]


def test_the_tables_of_the_design_are_there(connection: sqlite3.Connection) -> None:
    """By the names that other programs' SQL relies on."""
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    assert found >= {
        "traces", "prompts", "responses", "metrics", "evaluations", "prompt_templates", "versions",
        "labels", "experiments", "assignments", "results", "sessions", "trace_sessions", "spans",
        "messages", "blobs", "rollups", "sync_state", "search",
    }  # fmt: skip


def test_health_tells_how_the_file_is(database: Path, records: Any) -> None:
    """Sizes, counts, version and SQLite's own verdict."""
    with open_store(database) as store:
        store.finish_trace(records.answered()).result()
        store.begin_trace(records.trace()).result()
        health = store.health()
    assert health.path == str(database)
    assert health.sqlite_version == sqlite3.sqlite_version
    assert (health.schema_version, health.integrity) == (NOW, "ok")
    assert (health.counts["traces"], health.running, health.abandoned) == (2, 1, 0)
    assert health.page_size == 8192
    assert health.wal_bytes > 0
    assert health.page_count > health.free_pages == 0


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """P2RE_DB, or ~/.aikh/p2re.db."""
    monkeypatch.setenv("P2RE_DB", "~/mine.db")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_path() == tmp_path / "mine.db"
    monkeypatch.delenv("P2RE_DB")
    assert default_path() == tmp_path / ".aikh" / "p2re.db"


def test_a_file_of_the_first_schema_gets_versions_tags_and_rollups(tmp_path: Path) -> None:
    """What was recorded before is searched and counted like what comes after."""
    database = tmp_path / "old.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as old:
        old.execute("BEGIN")
        create_tables(old)
        old.execute("PRAGMA user_version = 1")
        head = '{"name":"p","version":"' + "ab" * 32 + '"}'
        old.execute("INSERT INTO blobs VALUES (1, x'00', ?)", (head,))
        old.execute("INSERT INTO prompts VALUES (1, x'00', 1, NULL)")
        old.execute(
            "INSERT INTO traces(trace_id, span_id, name, status, source, start_ns, end_ns, model, "
            "prompt_name, prompt, repeat, attempts, cost_usd, tags) VALUES "
            "('0a', '01', 'p', 'OK', 'live', 1700000000000000000, 1700000000250000000, 'o/m', "
            "'p', 1, 0, 1, 0.5, '[\"refund\"]')"
        )
        old.execute("INSERT INTO responses(trace) VALUES (1)")
        old.execute("INSERT INTO sync_state VALUES ('search', 'responses', 1, NULL, NULL)")
        old.execute("COMMIT")
    with open_store(database) as store:
        [row] = store.list_traces()
        assert (row.prompt_version, row.pinned_ns) == ("ab" * 32, None)
        ask = "SELECT {}, (SELECT count(*) FROM rollup_changes) FROM {}"
        tags = store.read(lambda c: tuple(c.execute(ask.format("tag", "trace_tags")).fetchone()))
        assert tags == ("refund", 0)
        counted = "period, prompt_version, traces, priced, cost_usd"
        rows = store.read(lambda c: c.execute(f"SELECT {counted} FROM rollups").fetchall())
        assert [tuple(one) for one in rows] == [
            ("day", "ab" * 32, 1, 1, 0.5),
            ("hour", "ab" * 32, 1, 1, 0.5),
        ]
