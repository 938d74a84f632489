"""The garbage collector, out of the way while much is made at once."""

from __future__ import annotations

import atexit
import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_FILES = {io.TextIOWrapper, io.BufferedWriter, io.BufferedRandom}


@contextmanager
def collector_paused() -> Iterator[None]:
    """The garbage collector off for a while: parsing and writing make many objects and no garbage,
    and it would look through all of them, and all that the program holds, again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def skip_last_search() -> None:
    """Python's own search for garbage as it ends finds nothing: what is left goes with the process,
    and looking through it all takes 50 ms; finding the files in it takes 20."""
    atexit.unregister(_flush_and_freeze)
    atexit.register(_flush_and_freeze)


def _flush_and_freeze() -> None:
    """That search is also what writes the rest of files that nobody closed: the user's own."""
    gc.unfreeze()
    for one in gc.get_objects():
        if type(one) in _FILES:
            with suppress(OSError, ValueError):  # closed, or nobody reads it any more
                one.flush()
    gc.freeze()
