"""SQLite's error codes as the package's own errors."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2re_eval.errors import (
    NotADatabase,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
)

_KINDS: dict[int, tuple[type[StoreError], str]] = {
    sqlite3.SQLITE_BUSY: (
        StoreLocked,
        "another program keeps the database locked; close it, or wait and run again",
    ),
    sqlite3.SQLITE_LOCKED: (
        StoreLocked,
        "another connection keeps a table locked; close it, or wait and run again",
    ),
    sqlite3.SQLITE_FULL: (
        StoreFull,
        "the disk is full; free some space, or put the database elsewhere (--p2re-db, P2RE_DB)",
    ),
    sqlite3.SQLITE_READONLY: (
        StoreReadOnly,
        "the file or its folder may not be written; change its permissions or use another path",
    ),
    sqlite3.SQLITE_NOTADB: (
        NotADatabase,
        "this file is not an SQLite database; give another path",
    ),
    sqlite3.SQLITE_CORRUPT: (
        StoreCorrupt,
        "the database is damaged; restore a backup, or save what is left with "
        "'sqlite3 FILE .recover'",
    ),
}


def store_error(error: sqlite3.Error, path: Path) -> StoreError:
    """The StoreError for what SQLite raised."""
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN and not os.access(path.parent, os.W_OK):
        code = sqlite3.SQLITE_READONLY
    kind, sentence = _KINDS.get(code & 0xFF, (StoreError, ""))
    if not sentence:
        name = getattr(error, "sqlite_errorname", type(error).__name__)
        sentence = f"SQLite says: {error} ({name}); check the disk and the file"
    return kind(f"{path}: {sentence}", path=path)


def concerns_the_file(error: BaseException) -> bool:
    """Whether every other write would fail in the same way: not a mistake of one record."""
    if isinstance(error, StoreError):
        return True
    code: int = getattr(error, "sqlite_errorcode", None) or 0
    return code & 0xFF in {
        *_KINDS,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_PROTOCOL,
    }


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raises SQLite's errors as StoreErrors about ``path``."""
    try:
        yield
    except sqlite3.Error as error:
        raise store_error(error, path) from error
