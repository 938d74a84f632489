"""Captured spans that wait for a moment, so that many are read and written together; each is in
the spool before its caller goes on, and in the tables before anybody in this process reads."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from p2re_eval.errors import StoreError
from p2re_eval.records import JSON, CapturedSpan
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.spool import SpoolFile, raw_line

LINGER_S = 0.1
"""How long a span waits for others; other processes see it after that."""
IN_MEMORY = 5000
"""Spans; while the database takes nothing, further ones are in the spool alone."""
CHUNK = 200
"""Spans in a transaction."""
CATCH_UP_S = 2.0
"""The longest that a reader waits for what is on its way."""

_Waiting: TypeAlias = "tuple[Raw, bool]"
"""A span, and whether redaction found nothing in it."""


class Raw(Protocol):
    """A span as another room knows it; ``vars()`` of it are what a file keeps."""

    @property
    def name(self) -> str: ...
    @property
    def end_ns(self) -> int | None: ...
    @property
    def status_message(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, JSON]: ...
    @property
    def events(self) -> Sequence[object]: ...
    @property
    def links(self) -> Sequence[object]: ...
    @property
    def resource(self) -> Mapping[str, JSON]: ...


Read: TypeAlias = Callable[[Any], CapturedSpan]


class Save(Protocol):
    """:meth:`Store.save_spans`."""

    def __call__(self, spans: Sequence[CapturedSpan], *, passed: bool) -> Future[None]: ...


Failed: TypeAlias = Callable[[int, BaseException, bool], None]
"""Told how many spans did not get into the tables, why, and whether a file still has them."""


class Pending:
    """The spans of one process on their way into one database; safe from any thread.

    ``read`` makes of a raw span what ``save`` takes. Raises OSError where no spool can be made: a
    read-only folder, a system without file locks.
    """

    def __init__(
        self, path: Path, redaction: Redaction, *, read: Read, save: Save, failed: Failed
    ) -> None:
        self.path = path
        self._redaction = redaction
        self._read = read
        self._save = save
        self._failed = failed
        self._files = [SpoolFile(path), SpoolFile(path)]
        self._waiting: list[_Waiting] = []
        self._changed = threading.Condition()
        self._added = self._settled = 0
        self._asleep = self._hurry = self._closing = False
        self._pid = os.getpid()
        self._thread = threading.Thread(target=self._work, name="p2re-pending", daemon=True)
        self._thread.start()
        _ALL.add(self)
        atexit.register(self.close)  # after the store's own, so it comes before it

    def add(self, one: Raw) -> None:
        """A span that has ended is on disk when this returns. Raises OSError (a full disk) and
        StoreError (closed): then nothing is kept of it."""
        line, passed = self._line(one)
        with self._changed:
            if self._closing:
                raise StoreError(f"{self.path}: nothing is captured any more", path=self.path)
            if line is not None:
                if self._files[0].left:
                    self._open_anew()
                self._files[0].append(line)
            self._added += 1
            full = len(self._waiting) >= IN_MEMORY
            if full:
                self._settled += 1
                self._files[0].incomplete = True
            else:
                self._waiting.append((one, passed))
            if self._asleep:
                self._asleep = False
                self._changed.notify_all()
        if full and line is not None:
            what = f"{self.path}: the database has taken nothing for {IN_MEMORY} spans"
            self._failed(1, StoreError(what, path=self.path), True)

    def catch_up(self, timeout_s: float = CATCH_UP_S) -> None:
        """What was added by now is in the tables when this returns, if the database takes it."""
        if self._settled == self._added or self._pid != os.getpid():
            return
        if threading.current_thread() is self._thread:
            return
        with self._changed:
            wanted = self._added
            self._hurry = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._settled >= wanted, timeout_s)

    def close(self) -> None:
        """Write what waits; safe to call twice, and in a forked child."""
        if self._pid != os.getpid():
            return
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        _ALL.discard(self)
        atexit.unregister(self.close)

    def _line(self, one: Raw) -> tuple[bytes | None, bool]:
        """What goes into the spool: nothing of a span that has only begun."""
        if one.end_ns is None:
            return None, False
        text, passed = self._redaction.raw(vars(one), _texts(one))
        return raw_line(text), passed

    def _work(self) -> None:
        while self._wait_for_work():
            with self._changed:
                batch, self._waiting = self._waiting, []
                self._hurry = False
                file = self._files[0]
                self._files.reverse()  # what comes from now on is in the other one
            self._write_down(batch, file)
            with self._changed:
                self._settled += len(batch)
                self._changed.notify_all()
        for file in self._files:
            with contextlib.suppress(OSError):
                file.remove()

    def _wait_for_work(self) -> bool:
        """Whether there is some; False when all is written and nothing will come."""
        with self._changed:
            while not self._waiting:
                if self._closing:
                    return False
                self._asleep = True
                self._changed.wait()
            self._asleep = False
            if not self._closing and not self._hurry:
                self._changed.wait_for(lambda: self._hurry or self._closing, LINGER_S)
        return True

    def _write_down(self, batch: list[_Waiting], file: SpoolFile) -> None:
        chunks = [batch[start : start + CHUNK] for start in range(0, len(batch), CHUNK)]
        kept = [self._written(chunk, file) for chunk in chunks]
        if all(kept) and not file.incomplete:
            file.clear()
        else:
            file.leave()
        with self._changed:
            self._open_anew()

    def _open_anew(self) -> None:
        """Files in the place of those that were let go of. Called under the lock."""
        for place, file in enumerate(self._files):
            if file.left:
                with contextlib.suppress(OSError):  # tried again with the next span
                    self._files[place] = SpoolFile(self.path)

    def _written(self, chunk: list[_Waiting], file: SpoolFile) -> bool:
        """Whether the spool is not needed for these spans any more."""
        error = self._tried(chunk)
        if error is None:
            return True
        if not isinstance(error, StoreError) and len(chunk) > 1:  # one span's mistake
            kept = [self._written([one], file) for one in chunk]
            return all(kept)
        ended = sum(one.end_ns is not None for one, _ in chunk)
        in_a_file = isinstance(error, StoreError)
        self._failed(ended, error, in_a_file)
        return not in_a_file or getattr(error, "kept_in", None) is not None

    def _tried(self, chunk: Sequence[_Waiting]) -> BaseException | None:
        try:
            spans = [self._read(one) for one, _ in chunk]
            return self._save(spans, passed=all(passed for _, passed in chunk)).exception()
        except Exception as error:  # noqa: BLE001 - its callers are long gone: it is counted
            return error


def _texts(one: Raw) -> list[str] | None:
    """Every text in a span; None where that is not so simple."""
    if one.events or one.links:
        return None
    texts = [one.name, one.status_message or ""]
    for attributes in (one.attributes, one.resource):
        texts.append(_as_keys(tuple(attributes)))
        for value in attributes.values():
            if isinstance(value, str):
                texts.append(value)
            elif value is not None and not isinstance(value, (int, float)):
                return None
    return texts


@lru_cache(maxsize=256)
def _as_keys(names: tuple[str, ...]) -> str:
    """As they stand in JSON; a name may say that its value is a secret."""
    return " ".join(f'"{name}":' for name in names)


_ALL: weakref.WeakSet[Pending] = weakref.WeakSet()


def catch_up(path: Path) -> None:
    """Whoever reads the database in this process sees every call that has returned."""
    if _ALL:
        for one in list(_ALL):
            if one.path == path:
                one.catch_up()
