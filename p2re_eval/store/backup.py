"""Whole copies of a database, made while it is used, and put back."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from p2re_eval.errors import NotADatabase, StoreCorrupt, StoreError
from p2re_eval.store.connection import open_for_reading
from p2re_eval.store.faults import explained


def back_up(connection: sqlite3.Connection, path: Path, target: Path) -> int:
    """A copy of the database as it is at one moment, private and checked; gives its bytes.

    Writers go on meanwhile. Raises StoreError when there is a file at ``target`` already.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        what = f"{target}: there is a file already; give another path, or remove it"
        raise StoreError(what, path=target) from None
    except OSError as error:
        what = f"{target}: cannot be written ({error.strerror}); give another path"
        raise StoreError(what, path=target) from None
    try:
        with explained(target), closing(sqlite3.connect(target)) as copy:
            copy.execute("PRAGMA journal_mode = OFF")  # it is whole, or it is thrown away
            connection.backup(copy)
            _check(copy, target)
    except BaseException:
        target.unlink()
        raise
    return target.stat().st_size


def restore(connection: sqlite3.Connection, path: Path, backup: Path) -> Path | None:
    """Put a backup in the place of the database, in one transaction: whoever has it open sees the
    old content or the new. Gives the copy made of what was there, None when there was nothing.

    Raises StoreError: no such backup, not ours, newer than this code, or damaged.
    """
    with closing(open_for_reading(backup.absolute(), busy_timeout_s=10)) as source:
        _check(source, backup)
        kept = _keep(connection, path)
        with explained(path):
            source.backup(connection)
    return kept


def _keep(connection: sqlite3.Connection, path: Path) -> Path | None:
    held = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM traces) OR EXISTS (SELECT 1 FROM versions) "
        "OR EXISTS (SELECT 1 FROM experiments)"
    ).fetchone()[0]
    if not held:
        return None
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    kept = path.with_name(f"{path.name}.before-restore-{moment}.backup")
    back_up(connection, path, kept)
    return kept


def _check(connection: sqlite3.Connection, path: Path) -> None:
    try:
        found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise NotADatabase(f"{path}: is no database ({error})", path=path) from None
    if found != "ok":
        raise StoreCorrupt(f"{path}: the copy is damaged ({found})", path=path)
