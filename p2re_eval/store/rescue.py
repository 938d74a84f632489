"""Answers that could not be written: JSON lines in a file that the next opening imports."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError

from p2re_eval.store.faults import concerns_the_file
from p2re_eval.store.jobs import BeginTrace, Change, Job, SaveSpans, StartExperiment, Write
from p2re_eval.store.redaction import Redaction

Read: TypeAlias = Callable[[bytes], bytes]


def rescue_paths(database: Path) -> tuple[Path, Path]:
    """Beside the database, and the place to go when that fails as well."""
    beside = database.with_name(f"{database.name}.rescue.jsonl")
    name = blake2b(str(database).encode(), digest_size=8).hexdigest()
    return beside, Path(tempfile.gettempdir()) / f"p2re-rescue-{name}.jsonl"


def rescue(database: Path, jobs: Sequence[Write], redaction: Redaction) -> Path | None:
    """The file that now holds these jobs; None when none of them is worth keeping: a run that
    has no answer yet will be told, and not be made; a person's edit will be told as well.

    Raises OSError when no place would take them.
    """
    keep = [job for job in jobs if not isinstance(job, Change) and _worth_keeping(job)]
    if not keep:
        return None
    adapter = TypeAdapter[Job](Job)
    lines = [redaction.json(adapter.dump_python(job)) or "" for job in keep]
    text = "".join(f"{line}\n" for line in lines).encode()
    beside, elsewhere = rescue_paths(database)
    try:
        _append(beside, text)
    except OSError:
        _append(elsewhere, text)
        return elsewhere
    return beside


def _worth_keeping(job: Job) -> bool:
    """Not what only begins: its end, if there is one, says all of it."""
    if isinstance(job, SaveSpans):
        return any(one.span.end_ns is not None for one in job.spans)
    return not isinstance(job, (BeginTrace, StartExperiment))


def import_rescued(database: Path, write: Callable[[Job], None]) -> int:
    """Hand every rescued job to ``write``, then remove the files; gives how many were written.

    Lines that cannot be read (a file that was cut off) or written move to a file that ends in
    ``.unreadable``. An error of the database itself leaves everything where it is, and is raised.
    """
    total = 0
    for path in rescue_paths(database):
        if not is_ours(path):
            continue
        with _locked(path, os.O_RDWR) as file:
            total += import_file(path, everything(file), write)
    return total


def import_file(
    path: Path, content: bytes, write: Callable[[Job], None], *, read: Read = bytes
) -> int:
    """Hand each line to ``write`` and remove the file, which is ``path``; gives how many. ``read``
    makes lines of ours of those that it holds."""
    adapter: TypeAdapter[Job] = TypeAdapter(Annotated[Job, Field(discriminator="write")])
    lines = [line for line in content.split(b"\n") if line]
    unreadable = [line for line in lines if not _written(adapter, line, write, read)]
    if unreadable:
        _append(path.with_name(path.name + ".unreadable"), b"\n".join(unreadable) + b"\n")
    path.unlink()
    return len(lines) - len(unreadable)


def _written(
    adapter: TypeAdapter[Job], line: bytes, write: Callable[[Job], None], read: Read
) -> bool:
    try:
        write(_job(adapter, read(line)))
    except (ValidationError, json.JSONDecodeError):
        return False
    except Exception as error:
        if concerns_the_file(error):
            raise
        return False
    return True


def _job(adapter: TypeAdapter[Job], line: bytes) -> Job:
    try:
        return adapter.validate_json(line)
    except ValidationError:
        return adapter.validate_python(json.loads(line))  # json.loads accepts lone surrogates


def _append(path: Path, content: bytes) -> None:
    """All of it or, on a disk that fills up in the middle, nothing."""
    with _locked(path, os.O_RDWR | os.O_CREAT) as file:
        size = os.lseek(file, 0, os.SEEK_END)
        try:
            written = 0
            while written < len(content):
                written += os.write(file, content[written:])
            os.fsync(file)
        except OSError:
            os.ftruncate(file, size)
            if not size:
                path.unlink(missing_ok=True)
            raise


@contextmanager
def _locked(path: Path, flags: int) -> Iterator[int]:
    """The open file, ours alone. Opened again when an importer removed it while we waited."""
    while True:
        file = os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            _lock(file)
            if is_same(file, path):
                yield file
                return
        finally:
            os.close(file)


def _lock(file: int) -> None:
    try:
        import fcntl
    except ImportError:
        return  # Windows: an importer and an appender at the same moment are not told apart
    fcntl.flock(file, fcntl.LOCK_EX)


def is_same(file: int, path: Path) -> bool:
    """Whether the open file is still what stands at this path."""
    try:
        return os.path.samestat(os.fstat(file), path.stat())
    except FileNotFoundError:
        return False


def is_ours(path: Path) -> bool:
    """The temp folder is everybody's: what someone else put there is not imported."""
    try:
        found = path.lstat()
    except OSError:
        return False
    mine = not hasattr(os, "geteuid") or found.st_uid == os.geteuid()
    return stat.S_ISREG(found.st_mode) and mine


def everything(file: int) -> bytes:
    """The whole content of an open file."""
    with os.fdopen(os.dup(file), "rb") as stream:
        stream.seek(0)
        return stream.read()
