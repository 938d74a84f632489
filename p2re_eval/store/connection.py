"""Opening the file: created private, checked to be ours, with the right pragmas."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from pathlib import Path

from p2re_eval.errors import NotADatabase, StoreError, StoreLocked, StoreReadOnly
from p2re_eval.store.faults import explained
from p2re_eval.store.histogram import HistogramSum, LatencyHistogram, add_histograms
from p2re_eval.store.migrations import STEPS, migrate, refuse_newer, schema_version
from p2re_eval.store.payloads import message_text
from p2re_eval.store.schema import APPLICATION_ID

_CACHE_KIB = 8192
_CHECKPOINT_PAGES = 4000
"""32 MB of log: pages that are written again and again go to the file, and are waited for on the
disk, a quarter as often as with SQLite's own 1000."""


def default_path() -> Path:
    """Where the database is unless somebody says otherwise: ``P2RE_DB``, or ``~/.aikh/p2re.db``."""
    named = os.environ.get("P2RE_DB")
    return Path(named).expanduser() if named else Path.home() / ".aikh" / "p2re.db"


def open_for_writing(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that may write, to a file that exists, is ours and has today's tables.

    Raises StoreReadOnly, NotADatabase, NewerSchema, StoreLocked, StoreFull, StoreCorrupt.
    """
    _create_file(path)
    _refuse_read_only(path)
    with explained(path):
        connection = _connect(path, "rw", busy_timeout_s)
        try:
            _refuse_strangers(connection, path)
            _switch_to_wal(connection, path, busy_timeout_s)
            connection.execute("PRAGMA synchronous = NORMAL")
            connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
            connection.execute("PRAGMA foreign_keys = ON")
            migrate(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def open_for_reading(path: Path, *, busy_timeout_s: float) -> sqlite3.Connection:
    """A connection that cannot write, its rows readable by column name.

    Raises StoreError when there is no file, NotADatabase, NewerSchema.
    """
    if not path.is_file():
        raise StoreError(
            f"{path}: there is no database yet; run a suite with --p2re first, or name another "
            "file (--db, P2RE_DB)",
            path=path,
        )
    with explained(path):
        connection = _connect(path, _reading_mode(path), busy_timeout_s)
        try:
            _refuse_strangers(connection, path)
            _refuse_older(connection, path)
            connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
    connection.row_factory = sqlite3.Row
    return connection


def _connect(path: Path, mode: str, busy_timeout_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode={mode}",
        uri=True,
        timeout=busy_timeout_s,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=512,
    )
    connection.create_function("message_text", 1, message_text, deterministic=True)
    connection.create_function("indexed_text", 2, lambda _, body: message_text(body))
    connection.create_function("histogram_add", 2, add_histograms, deterministic=True)
    # typeshed knows steps of one whole number only
    connection.create_aggregate("latency_histogram", 2, LatencyHistogram)  # type: ignore[arg-type]
    connection.create_aggregate("histogram_sum", 1, HistogramSum)  # type: ignore[arg-type]
    connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    return connection


def _reading_mode(path: Path) -> str:
    """Where no -wal and -shm file can be made, SQLite reads a closed database only as immutable."""
    effective = os.access in os.supports_effective_ids
    if os.access(path.parent, os.W_OK, effective_ids=effective):
        return "rw"
    wal = path.with_name(path.name + "-wal")
    return "ro" if wal.exists() else "ro&immutable=1"


def _create_file(path: Path) -> None:
    """For the owner's eyes only; SQLite gives -wal and -shm the same mode as the file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
    except (NotADirectoryError, FileExistsError):
        what = f"{path}: a part of this path is a file, not a folder; give another path"
        raise StoreError(what, path=path) from None
    except IsADirectoryError:
        what = f"{path}: this is a folder; give the path of a file in it"
        raise StoreError(what, path=path) from None
    except PermissionError as error:
        what = f"{path}: cannot be created ({error.strerror}); use another path"
        raise StoreReadOnly(what, path=path) from None
    except OSError as error:
        what = f"{path}: cannot be opened ({error.strerror}); check the disk and the path"
        kind = StoreReadOnly if error.errno == errno.EROFS else StoreError
        raise kind(what, path=path) from None


def _refuse_read_only(path: Path) -> None:
    """SQLite opens such a file without a word and refuses the first write: an answer paid for."""
    effective = os.access in os.supports_effective_ids
    for place in (path, path.parent):
        if not os.access(place, os.W_OK, effective_ids=effective):
            what = f"{place}: may not be written; change its permissions, or use another path"
            raise StoreReadOnly(what, path=path)


def _refuse_strangers(connection: sqlite3.Connection, path: Path) -> None:
    """Raises NotADatabase for another program's tables, before anything is changed."""
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    if owner == APPLICATION_ID:
        return
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if tables or owner:
        what = f"{path}: another program's SQLite database; give another path"
        raise NotADatabase(what, path=path)


def _refuse_older(connection: sqlite3.Connection, path: Path) -> None:
    version = schema_version(connection)
    refuse_newer(version, path)
    if version < len(STEPS):
        what = (
            f"{path}: has schema {version}, not yet {len(STEPS)}; open it once for writing "
            "(run a suite), which backs it up and migrates it"
        )
        raise StoreError(what, path=path)


def _switch_to_wal(connection: sqlite3.Connection, path: Path, busy_timeout_s: float) -> None:
    """Page size and vacuum count only before the first page; SQLite does not wait for this lock."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    if not path.stat().st_size:  # nothing to lose yet: three syncs fewer, 20 ms of a first run
        connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    deadline = time.monotonic() + busy_timeout_s
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() > deadline:
                what = f"{path}: another program keeps the database locked; close it, or try again"
                raise StoreLocked(what, path=path) from error
        time.sleep(0.01)
