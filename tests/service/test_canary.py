"""The planted secret is found nowhere; and would be found if it were there."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.report.trace_document import trace_document
from p2re_eval.service.canary import planted_and_found, planted_in
from p2re_eval.service.canary_bytes import _holds, planted_in_bytes
from p2re_eval.service.service import Service
from p2re_eval.store import open_store
from p2re_eval.store.stat_queries import StatsQuery
from p2re_eval.tracing import capture, span


def test_a_planted_secret_is_found_nowhere() -> None:
    """Neither in bytes of file and log, nor index, lists or any export; no trace of it stays."""
    assert planted_and_found(trace_document) == []
    assert "P2RE_CANARY_SECRET" not in os.environ


def test_without_redaction_it_is_found_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else its absence would prove nothing."""
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    found = planted_and_found(trace_document)
    assert found[:6] == [
        "the export as JSON lines, and so a text in the database",
        "the export as .md",
        "the export as .html",
        "the export as .json",
        "the full-text index",
        "a list of traces",
    ]
    assert any(place.startswith("the bytes of canary.db") for place in found)


def test_doctor_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = ["doctor", "--root", str(tmp_path), "--db", str(tmp_path / "none.db")]
    well = CliRunner().invoke(main, root).output
    assert "secrets" in well
    assert "a planted one is in no file, log or export" in well
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    ill = CliRunner().invoke(main, root)
    assert ill.exit_code == 1
    assert "found in the full-text index" in ill.output


def content(database: Path) -> list[str]:
    """Everything in the file, as SQL; numbers that were given out too."""
    with closing(sqlite3.connect(database)) as connection:
        connection.create_function("message_text", 1, str)
        return [line for line in connection.iterdump() if "processes" not in line]


def test_in_the_users_own_file_nothing_of_it_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found in the tables where redaction is off, and either way the file is as it was."""
    database = tmp_path / "mine.db"
    with capture(database, sdks=False), span("call", kind="LLM") as step:
        step.input("hello")
    open_store(database).close()
    before = content(database)
    assert planted_in(database) == []
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    found = planted_in(database)
    assert {"blobs", "evaluations", "responses", "sessions", "spans", "traces", "versions"} <= {
        *found
    }
    assert content(database) == before


def charts(database: Path) -> object:
    with open_store(database, read_only=True) as store:
        report = Service(store).statistics.report(StatsQuery(by=("model", "prompt"), source=None))
        counts = {**store.health().counts}
        del counts["prompts"]  # the newest stays as an empty shell, see delete_unused_prompts
        return report, {name: count for name, count in counts.items() if name != "sync_state"}


def test_it_is_recorded_in_the_users_file_and_no_byte_shows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program has the file open; afterwards charts and lists are as they were. With
    redaction off the bytes have it, so that its absence proves something; then it is overwritten,
    and what the log of the other program still shows is said."""
    database = tmp_path / "mine.db"
    with capture(database, sdks=False), span("call", kind="LLM") as step:
        step.input("hello")
    with open_store(database) as other:
        other.index_everything()
        before = charts(database)
        assert planted_in_bytes(database, trace_document) == []
        assert charts(database) == before
        assert [row.prompt for row in other.list_traces()] == ["call"]
        monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
        found = planted_in_bytes(database, trace_document)
        assert {"the bytes of mine.db-wal", "its export as .json", "its export as JSON lines"} <= {
            *found
        }
        assert charts(database) == before


def test_alone_no_byte_of_it_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in the file while it was there, and gone from the file after."""
    database = tmp_path / "mine.db"
    open_store(database).close()
    monkeypatch.setenv("P2RE_REDACT_DEFAULTS", "off")
    assert planted_in_bytes(database, trace_document).count("the bytes of mine.db") == 1
    assert b"c4n4ry" not in database.read_bytes()


def test_a_word_is_found_where_two_blocks_meet(tmp_path: Path) -> None:
    """And the reader is told how far it is."""
    told: list[int] = []
    file = tmp_path / "file"
    file.write_bytes(b"x" * ((4 << 20) - 3) + b"secret" + b"x" * 9)
    assert _holds(file, b"secret", lambda _path, read, _size: told.append(read))
    assert not _holds(file, b"secreT", lambda _path, read, _size: told.append(read))
    assert told == [4 << 20, 4 << 20, (4 << 20) + 12]


def test_doctor_counts_what_capture_lost(tmp_path: Path) -> None:
    """With the reasons, long after the program has ended; and says how to be done with it."""
    database = tmp_path / "other.db"
    with closing(sqlite3.connect(database)) as theirs:
        theirs.execute("CREATE TABLE theirs(x)")
    with capture(database, sdks=False) as made:
        for _ in range(3):
            with span("call"):
                pass
    assert made.lost == 3
    database.unlink()
    told = CliRunner().invoke(main, ["doctor", "--root", str(tmp_path), "--db", str(database)])
    assert "3 spans lost since" in told.output
    assert "another program's" in told.output
    assert f"rm {database}.losses.jsonl" in told.output.replace("\n", " ")
