"""While a process forks, no thread of ours is inside SQLite: a child would inherit its locks."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType

_WAIT_S = 2.0
"""The longest that a fork waits: a locked database must not stop it."""


class Working:
    """Held by a thread around its use of SQLite."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _ALL.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def try_enter(self) -> bool:
        """Hold it if nobody does; :meth:`leave` then lets go."""
        return self._lock.acquire(blocking=False)

    def leave(self) -> None:
        """The use of SQLite is over."""
        self._lock.release()

    def pause(self) -> bool:
        """Whether the thread is outside now, and stays there until :meth:`go_on`."""
        return self._lock.acquire(timeout=_WAIT_S)

    def go_on(self) -> None:
        """The fork is over."""
        self._lock.release()


_ALL: weakref.WeakSet[Working] = weakref.WeakSet()
_PAUSED: list[Working] = []


def _before() -> None:
    _PAUSED.extend(one for one in list(_ALL) if one.pause())


def _after() -> None:
    while _PAUSED:
        _PAUSED.pop().go_on()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_after)
