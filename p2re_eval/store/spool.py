"""Spans on their way into the tables, already on disk: a file beside the database that only its
process appends to, and that the next opening of the database takes over when that process died.

What is written here has passed redaction. A write that has returned survives the end of the
process; as with the database itself, only a power cut can take the last moments.
"""

from __future__ import annotations

import glob
import importlib
import json
import os
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

from p2re_eval.records import CapturedSpan
from p2re_eval.store.jobs import Job
from p2re_eval.store.rescue import everything, import_file, is_ours, is_same

_TRIES = 100
_BEGINS = b'{"write":"raw_span","span":'
_READER = "p2re_eval.tracing.spooled"
"""What understands raw spans is a room above this one, so it is looked up by its name, and only
where a process died: ``captured_of(mapping) -> CapturedSpan``."""


def raw_line(text: str) -> bytes:
    """A raw span's JSON as a line of a spool."""
    return b"%b%b}\n" % (_BEGINS, text.encode())


def rescued_line(line: bytes) -> bytes:
    """A line as rescue files have it: a raw span is read. Raises what its reader raises."""
    if not line.startswith(_BEGINS):
        return line
    reader = importlib.import_module(_READER)
    one: CapturedSpan = reader.captured_of(json.loads(line)["span"])
    return b'{"write":"save_spans","spans":[%b]}' % one.model_dump_json().encode()


class SpoolFile:
    """One such file, locked while its process lives. Raises OSError where that cannot be had."""

    def __init__(self, database: Path) -> None:
        self.path, self._file = _create(database)
        self._size = 0
        self.incomplete = False
        """Whether it holds spans that nobody has in memory any more."""
        _OPEN.add(self)

    @property
    def left(self) -> bool:
        """Whether it was let go of; nothing can be appended to it then."""
        return self._file < 0

    def append(self, line: bytes) -> None:
        """All of it or, on a disk that is full, nothing. Raises OSError."""
        try:
            written = os.write(self._file, line)
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, self._size)
            raise
        self._size += len(line)

    def clear(self) -> None:
        """Everything in it is in the tables now."""
        if self._size:
            os.ftruncate(self._file, 0)
            self._size = 0

    def leave(self) -> None:
        """Let go of it: the next opening of the database imports what is in it."""
        if not self.left:
            os.close(self._file)
            self._file, self._size = -1, 0

    def remove(self) -> None:
        """It is empty and not needed any more."""
        self.path.unlink(missing_ok=True)
        self.leave()


def take_over(database: Path, write: Callable[[Job], None]) -> int:
    """Hand what dead processes left to ``write`` and remove their files; gives how many spans.

    The files of the living are left alone. What was cut off in the middle was never acknowledged.
    """
    total = 0
    for path, file in _of_the_dead(database):
        content = everything(file)
        whole = content[: content.rfind(b"\n") + 1]
        total += import_file(path, whole, write, read=rescued_line)
    return total


def orphaned(database: Path) -> bool:
    """Whether a dead process left spans here."""
    return any(os.fstat(file).st_size for _, file in _of_the_dead(database))


def _of_the_dead(database: Path) -> Iterator[tuple[Path, int]]:
    """Each such file, open and locked as long as it is looked at."""
    for path in sorted(database.parent.glob(f"{glob.escape(database.name)}.spool-*.jsonl")):
        if not is_ours(path):
            continue
        try:
            file = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
        except OSError:
            continue
        try:
            if _locked(file) and is_same(file, path):
                yield path, file
        finally:
            os.close(file)


def _create(database: Path) -> tuple[Path, int]:
    for number in range(_TRIES):
        path = database.with_name(f"{database.name}.spool-{os.getpid()}-{number}.jsonl")
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        except FileExistsError:
            continue
        if _locked(file) and is_same(file, path):  # an opening may just have taken it away
            return path, file
        os.close(file)
    raise OSError(f"{database}: no file beside it can be locked")


def _locked(file: int) -> bool:
    """Whether it is ours alone from now on."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return False
    return True


_OPEN: weakref.WeakSet[SpoolFile] = weakref.WeakSet()


def _let_go_in_child() -> None:
    """Else the file would seem to live as long as any child of the process that died."""
    for one in list(_OPEN):
        one.leave()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_let_go_in_child)
