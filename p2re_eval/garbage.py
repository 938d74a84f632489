"""The garbage collector, out of the way while much is made at once."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_inside: list[bool] = []
"""One for each pause of this moment, whichever thread's: whether the collector was on before."""


@contextmanager
def collector_paused() -> Iterator[None]:
    """The garbage collector off for a while: parsing and writing make many objects and no garbage,
    and it would look through all of them, and all that the program holds, again and again.

    It is the whole process's: of pauses in several threads, the last to end turns it on again.
    """
    with _lock:
        _inside.append(any(_inside) or gc.isenabled())
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            was_on = _inside.pop()
            if was_on and not _inside:
                gc.enable()
