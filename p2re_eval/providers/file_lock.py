"""A lock between processes that the system frees even when its holder is killed."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_POLL_S = 0.2


@contextmanager
def only_one(path: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock file for the length of the block, after whoever holds it now."""
    with path.open("a+b") as file:
        if not _try_lock(file):
            say("another pull is at work; waiting for it")
            while not _try_lock(file):
                time.sleep(_POLL_S)
        yield


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
