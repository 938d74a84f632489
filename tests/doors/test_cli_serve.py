"""`p2re serve`: what it says, what it refuses, and how it ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("fastapi", reason="the extra 'server' is not installed")

from p2re_eval.cli import main
from p2re_eval.store import open_store


@pytest.fixture
def db(tmp_path: Path) -> Path:
    path = tmp_path / "runs.db"
    open_store(path).close()
    return path


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command as a user runs it, and the address that it prints."""
    command = [Path(sys.executable).with_name("p2re"), "serve", "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield process, line.partition(" at ")[2].split()[0]
    finally:
        process.kill()
        process.wait(10)
        assert process.stdout is not None
        process.stdout.close()


def test_it_serves_until_it_is_interrupted(db: Path) -> None:
    with serving("--db", str(db), "--read-only") as (process, address):
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{address}api/p2re/health") as answer:
            assert json.load(answer)["read_only"] is True
        with urllib.request.urlopen(address) as page:
            assert b"<title>p2re</title>" in page.read()
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0


def test_the_address_carries_the_token_once(db: Path) -> None:
    with serving("--db", str(db), "--token", "s3cret") as (_, address):
        assert address.endswith("/?token=s3cret")
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(address) as page:
            assert page.url == address.partition("?")[0]


def test_other_machines_are_not_let_in_without_a_token(db: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--db", str(db), "--host", "0.0.0.0"])
    assert result.exit_code == 2
    assert "'0.0.0.0' can be reached from other machines: give a token" in result.stderr


def test_a_port_in_use_is_said_in_a_sentence(db: Path) -> None:
    with serving("--db", str(db)) as (_, address):
        port = address.rstrip("/").rpartition(":")[2]
        result = CliRunner().invoke(main, ["serve", "--db", str(db), "--port", port])
        assert result.exit_code == 2
        assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


def test_a_database_that_is_none_is_said_before_anything_listens(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("not a database, but long enough to be looked at" * 20)
    result = CliRunner().invoke(main, ["serve", "--db", str(tmp_path / "notes.txt")])
    assert result.exit_code == 2
    assert "notes.txt" in result.stderr


def test_reading_makes_no_file(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["serve", "--db", str(tmp_path / "no.db"), "--read-only"])
    assert result.exit_code == 2
    assert "there is no database yet" in result.stderr
    assert list(tmp_path.iterdir()) == []
