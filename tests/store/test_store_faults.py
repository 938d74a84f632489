"""Every way in which a disk can refuse is a sentence, and no finished answer is lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import (
    NewerSchema,
    NotADatabase,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)
from p2re_eval.store import open_store
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.rescue import import_rescued, rescue, rescue_paths

OPEN_TO_ALL = tempfile.gettempdir()
"""pytest's own folders are closed to other users."""


@contextmanager
def nobody() -> Iterator[Path]:
    """A folder that anybody may enter, and no longer being root, whom no permission stops."""
    folder = Path(tempfile.mkdtemp(prefix="p2re-store-", dir=OPEN_TO_ALL))
    folder.chmod(0o755)
    user = os.geteuid()
    try:
        if user == 0:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield folder
    finally:
        os.seteuid(user)
        shutil.rmtree(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of two megabytes, really."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs rights that this machine does not give")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture(autouse=True)
def _own_temp_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rescue files go there when even the database's folder is full."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def text(number: int, size: int = 3000) -> str:
    """Words that do not compress."""
    return "".join(f"{(number * 7919 + at) ** 3 % 999983:06d}" for at in range(size // 6))


def test_a_full_disk_is_a_sentence_and_the_answer_is_kept_and_imported(
    small_disk: Path, records: Any
) -> None:
    """What was acknowledged is in the file; what was refused is in the rescue file that the error
    names, mostly in the temp folder as this disk is full; room made, all is there again."""
    database = small_disk / "p2re.db"
    acknowledged, refused, errors = [], [], []
    with open_store(database) as store:
        while len(refused) < 3:
            trace = records.answered(text=text(len(acknowledged)))
            try:
                store.finish_trace(trace).result()
            except StoreFull as error:
                refused.append(trace)
                errors.append(str(error))
            else:
                acknowledged.append(trace)
        for error in errors:
            assert "the disk is full; free some space" in error
            assert any(str(path) in error for path in rescue_paths(database))
        assert len(acknowledged) >= 5
        assert store.read_trace(acknowledged[-1].trace_id) == acknowledged[-1]
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    with open_store(database) as store:
        for trace in (*acknowledged, *refused):
            assert store.read_trace(trace.trace_id) == trace
        assert store.health().integrity == "ok"
    assert not any(path.exists() for path in rescue_paths(database))


def test_a_database_at_its_limit_says_full_too(database: Path, records: Any) -> None:
    """The same error from SQLite itself, on machines where no disk can be mounted: the answer
    goes beside the database."""
    store = open_store(database)
    assert store._writer is not None
    store._writer._connection.execute("PRAGMA max_page_count = 70")
    trace = records.answered(text=text(1, 300_000))
    with pytest.raises(StoreFull, match=r"p2re\.db\.rescue\.jsonl"):
        store.finish_trace(trace).result()
    with pytest.raises(StoreFull) as begun:
        store.begin_trace(records.trace(prompt=records.prompt(text(2, 300_000)))).result()
    assert "rescue" not in str(begun.value)
    store.close()
    with open_store(database) as again:
        assert again.read_trace(trace.trace_id) == trace
        assert [row.trace_id for row in again.list_traces()] == [trace.trace_id]
    assert not rescue_paths(database)[0].exists()


def test_results_evaluations_and_experiments_are_rescued_too(database: Path, records: Any) -> None:
    """Everything that was paid for comes back; a run that only began does not."""
    from p2re_eval.records import Experiment, Fault, PromptTemplate, Session, TemplateMessage

    store = open_store(database)
    ended = Experiment(experiment_id="e1", name="n", started_ns=1, status="COMPLETE")
    trace = records.answered(text="lone \ud800 surrogate")
    judged = records.evaluation(trace.trace_id)
    broken = records.evaluation(
        trace.trace_id, "x", score=None, fault=Fault(kind="scorer", message="m")
    )
    with store, closing(sqlite3.connect(database, isolation_level=None)) as other:
        assert store._writer is not None
        store._writer._connection.execute("PRAGMA busy_timeout = 10")
        other.execute("BEGIN IMMEDIATE")
        writes = [
            store.begin_trace(records.trace()),
            store.finish_trace(trace),
            store.save_result(records.result(trace_id=trace.trace_id), [judged]),
            store.save_evaluations([broken]),
            store.start_session(Session(session_id="s", started_ns=1)),
            store.save_prompt_version(
                PromptTemplate(name="p", version="1", messages=(TemplateMessage(role="user"),))
            ),
        ]
        for write in writes:
            with pytest.raises(StoreLocked):
                write.result()
        with pytest.raises(StoreLocked):
            store.finish_experiment(ended)
        other.execute("ROLLBACK")
    with open_store(database) as again:
        assert [row.trace_id for row in again.list_traces()] == [trace.trace_id]
        assert again.read_trace(trace.trace_id) == trace
        [result] = again.results("e1")
        assert result.evaluations == (judged, broken)
        assert again.read_experiment("e1") == ended
        assert again.health().counts["versions"] == 1


def test_a_lock_that_is_held_too_long_is_a_sentence(database: Path, records: Any) -> None:
    """Waiting has an end, that the caller chooses; afterwards everything works again."""
    with (
        open_store(database, busy_timeout_s=0.05) as store,
        closing(sqlite3.connect(database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreLocked, match="another program keeps the database locked"):
            store.begin_trace(records.trace()).result()
        assert store.list_traces() == []
        other.execute("ROLLBACK")
        store.begin_trace(records.trace()).result()
        assert len(store.list_traces()) == 1


def test_a_lock_that_is_let_go_in_time_is_only_a_wait(database: Path, records: Any) -> None:
    """Other processes' transactions are short: waiting is the rule."""
    with (
        open_store(database) as store,
        closing(sqlite3.connect(database, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        future = store.begin_trace(records.trace())
        other.execute("COMMIT")
        future.result(timeout=10)


def test_a_read_only_file_is_refused_before_anything_is_paid_for(records: Any) -> None:
    """At the opening, not at the first answer; reading it still works, and so does a folder
    that may not be written."""
    trace = records.answered()
    with nobody() as folder:
        database = folder / "p2re.db"
        with open_store(database) as store:
            store.finish_trace(trace).result()
        database.chmod(0o444)
        with pytest.raises(StoreReadOnly, match="may not be written; change its permissions"):
            open_store(database)
        database.chmod(0o600)
        folder.chmod(0o555)
        with pytest.raises(StoreReadOnly, match="may not be written"):
            open_store(database)
        with pytest.raises(StoreReadOnly, match="cannot be created"):
            open_store(folder / "new.db")
        with open_store(database, read_only=True) as store:
            assert store.read_trace(trace.trace_id) == trace
            assert store.search("billing") == []
            with pytest.raises(StoreError, match="was opened to read only"):
                store.begin_trace(trace)
        folder.chmod(0o755)


def test_reading_only_makes_no_file(database: Path) -> None:
    """A list of nothing must not leave a database behind."""
    with pytest.raises(StoreError, match="there is no database yet"):
        open_store(database, read_only=True)
    assert not database.exists()


@pytest.mark.parametrize(
    ("path", "what"),
    [("file/p2re.db", "a part of this path is a file"), ("folder", "this is a folder")],
)
def test_a_path_that_cannot_be_a_file_is_a_sentence(tmp_path: Path, path: str, what: str) -> None:
    """Said with the path in question."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    with pytest.raises(StoreError, match=what) as error:
        open_store(tmp_path / path)
    assert error.value.path == tmp_path / path


def test_something_else_is_not_a_database(database: Path) -> None:
    """A text file stays exactly as it was."""
    database.write_text("not a database at all, but long enough to look at\n" * 20)
    before = database.read_bytes()
    with pytest.raises(NotADatabase, match="not an SQLite database"):
        open_store(database)
    assert database.read_bytes() == before


@pytest.mark.parametrize("statement", ["CREATE TABLE t(x)", "PRAGMA application_id = 77"])
def test_another_programs_database_is_left_alone(database: Path, statement: str) -> None:
    """Not one byte changes, not even the journal mode."""
    with closing(sqlite3.connect(database)) as connection:
        connection.execute(statement)
        connection.commit()
    before = database.read_bytes()
    for read_only in (False, True):
        with pytest.raises(NotADatabase, match="another program's SQLite database"):
            open_store(database, read_only=read_only)
    assert database.read_bytes() == before


def test_a_newer_file_is_refused(database: Path) -> None:
    """An old program must not write into tables it does not understand."""
    open_store(database).close()
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for read_only in (False, True):
        with pytest.raises(NewerSchema, match=r"schema 99, this one knows \d+\); upgrade"):
            open_store(database, read_only=read_only)


def test_a_damaged_page_is_a_sentence_and_health_sees_it(database: Path, records: Any) -> None:
    """Reading it raises StoreCorrupt, with what to do; the check names the damage."""
    with open_store(database) as store:
        for number in range(300):
            store.finish_trace(records.answered(text=text(number)))
    with closing(sqlite3.connect(database)) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'sqlite_autoindex_traces_1'"
        ).fetchone()[0]
    with database.open("r+b") as file:
        file.seek((root - 1) * 8192)
        file.write(b"\xff" * 8192)
    with open_store(database) as store:
        with pytest.raises(StoreCorrupt, match="the database is damaged; restore a backup"):
            store.read_trace("1".zfill(32))
        assert store.health().integrity != "ok"
        with pytest.raises(StoreCorrupt, match=r"rescue\.jsonl"):
            store.finish_trace(records.answered()).result()


@pytest.mark.parametrize("replace", [False, True])
def test_a_file_removed_under_an_open_store_is_noticed(
    database: Path, records: Any, replace: bool
) -> None:
    """SQLite would go on writing to a file that has no name any more; the answer is rescued."""
    store = open_store(database)
    store.finish_trace(records.answered()).result()
    database.rename(database.with_name("away.db"))
    if replace:
        database.touch()
    lost = records.answered()
    with pytest.raises(StoreError, match="was removed or replaced while it was open"):
        store.finish_trace(lost).result()
    store.close()
    database.unlink(missing_ok=True)
    with open_store(database) as again:
        assert [row.trace_id for row in again.list_traces()] == [lost.trace_id]


def test_a_rescue_file_that_was_cut_off_gives_what_is_whole(database: Path, records: Any) -> None:
    """Whole lines are imported, the rest is put aside for a person to look at."""
    from p2re_eval.store.jobs import FinishTrace

    traces = [records.answered() for _ in range(3)]
    kept = rescue(database, [FinishTrace(trace) for trace in traces], Redaction())
    assert kept == rescue_paths(database)[0]
    assert kept.stat().st_mode & 0o777 == 0o600
    assert len([json.loads(line) for line in kept.read_text().splitlines()]) == 3
    kept.write_bytes(kept.read_bytes()[:-40])
    with open_store(database) as store:
        assert [row.id for row in store.list_traces()] == [2, 1]
    assert not kept.exists()
    aside = kept.with_name(kept.name + ".unreadable")
    assert aside.read_text().startswith('{"trace"')


def test_what_cannot_be_imported_now_stays_in_the_rescue_file(database: Path, records: Any) -> None:
    """An import that the database refuses is tried again at the next opening."""
    from p2re_eval.store.jobs import FinishTrace, Job

    kept = rescue(database, [FinishTrace(records.answered())], Redaction())
    assert kept is not None

    def refuse(job: Job) -> None:
        raise StoreFull("full", path=database)

    with pytest.raises(StoreFull):
        import_rescued(database, refuse)
    assert kept.exists()
    with open_store(database) as store:
        assert len(store.list_traces()) == 1


def test_a_strangers_rescue_file_is_not_imported(
    database: Path, records: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The temp folder is everybody's: neither another user's file nor a link is followed."""
    from p2re_eval.store.jobs import FinishTrace

    elsewhere = rescue_paths(database)[1]
    kept = rescue(database, [FinishTrace(records.answered())], Redaction())
    assert kept is not None
    real = database.with_name("real.jsonl")
    kept.rename(real)
    elsewhere.symlink_to(real)
    with open_store(database) as store:
        assert store.list_traces() == []
    elsewhere.unlink()
    real.rename(elsewhere)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with open_store(database) as store:
        assert store.list_traces() == []


def test_errors_of_sqlite_itself_name_the_file(
    database: Path, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """Whatever else goes wrong inside is a StoreError with SQLite's own words."""
    store = open_store(database)
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("DROP TABLE results")
        connection.commit()
    with store, pytest.raises(StoreError, match="no such table: results"):
        list(store.results("e"))
