"""What is done for a file before its tables change: room is looked for, a copy is made, and who
waits for a large file is told so."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from p2re_eval.errors import StoreFull

_NEEDS = ((8, 1.2), (4, 1.8), (1, 2.6))
"""From this schema on, the bytes free on the disk for each byte of the file: the copy, and the log
of what is written anew. As measured by `make bench-faults`, and a tenth more."""
_LARGE = 100_000_000
"""Bytes from which on it takes seconds, and is spoken of."""


def refuse_without_room(path: Path, version: int) -> None:
    """Raises StoreFull where the disk has no room for copy and log, before anything is written."""
    share = next(share for first, share in _NEEDS if version >= first)
    needed, free = int(path.stat().st_size * share), shutil.disk_usage(path.parent).free
    if free < needed:
        what = (
            f"{path}: this p2re_eval has newer tables; to back the file up and bring it to them, "
            f"{_megabytes(needed)} must be free on its disk, and {_megabytes(free)} are; free some "
            "space, or move the file to a larger disk"
        )
        raise StoreFull(what, path=path)


def back_up(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    """A private copy beside the file, under its name once it is whole; a copy that fails goes."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
    backup = path.with_name(f"{path.name}.schema{version}-{moment}.backup")
    part = backup.with_suffix(".part")
    part.touch(mode=0o600, exist_ok=False)
    try:
        with closing(sqlite3.connect(part)) as target:
            target.execute("PRAGMA journal_mode = OFF")  # it is whole, or it is thrown away
            connection.backup(target)
        part.replace(backup)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return backup


def tell(path: Path, doing: str) -> None:
    """Say on standard error what a large file is waited for."""
    size = path.stat().st_size
    if size >= _LARGE:
        sys.stderr.write(f"p2re: {path.name} ({_megabytes(size)}): {doing}\n")
        sys.stderr.flush()


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.0f} MB"
