"""Captured spans on their way to the store: a failure is counted and said, never raised."""

from __future__ import annotations

import logging
import os
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from contextlib import suppress
from pathlib import Path

from p2re_eval.errors import StoreError
from p2re_eval.plugins import installed_redact
from p2re_eval.quantities import count_text
from p2re_eval.records import MODEL_KINDS, CapturedSpan
from p2re_eval.store import Pending, Redact, Store, open_store
from p2re_eval.store.losses import note_loss
from p2re_eval.tracing.hiding import Hiding
from p2re_eval.tracing.mapping import captured
from p2re_eval.tracing.raw import RawSpan

LOG = logging.getLogger("p2re_eval.tracing")
WAIT_S = 1.0
"""The longest that a call waits for its record: what is late is written all the same."""
TRY_AGAIN_S = 30.0
"""How long a database that could not be opened is left alone."""
BACKLOG = 5000
"""Spans that may wait for a slow disk; more would make calls wait, so more are lost."""


class Recorder:
    """Spans into one database, from any thread and from forked children too.

    ``recorded`` counts the spans that are on disk, ``lost`` those that are nowhere and ``rescued``
    those in a file that the next opening of the database imports.
    """

    def __init__(self, path: Path, *, redact: Redact | None = None) -> None:
        self.path = path
        self.recorded = 0
        self.rescued = 0
        self.lost = 0
        self.why: str | None = None
        self._noted: set[str] = set()
        self._told = 0
        self._redact = redact
        self._hiding = Hiding.of(os.environ)
        self._store: Store | None = None
        self._pending: Pending | None = None
        self._pid = 0
        self._waiting = 0
        self._late: Future[None] | None = None
        self._refused: tuple[float, Exception] | None = None
        self._opening = threading.Lock()
        self._counting = threading.Lock()

    def open(self) -> bool:
        """Whether the database can be written; the sentence why not is said once."""
        try:
            self._opened()
        except Exception as error:  # noqa: BLE001 - a record must not break what it records
            self._failed(error, spans=0)
            return False
        return True

    def begin(self, raw: RawSpan) -> None:
        """A trace that has begun, on its way; nobody waits for it."""
        self._save(raw, wait=False, counted=False)

    def record(self, raw: RawSpan) -> None:
        """A span that has ended. A call to a model, and a root, is on disk when this returns."""
        self._save(raw, wait=True, counted=True)

    def close(self) -> None:
        """Write what is queued; say what was lost."""
        with self._opening:
            store, self._store = self._store, None
            pending, self._pending = self._pending, None
        if pending is not None:
            pending.close()
        if store is not None and self._pid == os.getpid():
            store.close()
        if self.lost:
            self._note(str(self.why))
            LOG.error("p2re: %s lost: %s", count_text(self.lost, "span"), self.why)

    def __repr__(self) -> str:
        words = [f"{count_text(self.recorded, 'span')} recorded in {self.path}"]
        words += [f"{self.rescued} in a rescue file"] if self.rescued else []
        words += [f"{self.lost} lost ({self.why})"] if self.lost else []
        return ", ".join(words)

    def _save(self, raw: RawSpan, *, wait: bool, counted: bool) -> None:
        try:
            raw = self._hiding(raw)
            if self._spooled(raw, spans=int(counted)):
                return
            one = captured(raw)
            awaited = wait and (one.root or one.span.kind in MODEL_KINDS)
            future = self._submit(one, at_once=awaited)
            future.add_done_callback(self._counted if counted else self._checked)
            if awaited:
                self._await(future)
        except Exception as error:  # noqa: BLE001 - a record must not break what it records
            self._failed(error, spans=int(counted))

    def _spooled(self, raw: RawSpan, *, spans: int) -> bool:
        """Whether it is on disk beside the database, soon to be in it."""
        self._opened()
        if self._pending is None:
            return False
        try:
            self._pending.add(raw)
        except OSError as error:
            LOG.debug("p2re: written to the database at once, as the spool fails: %s", error)
            return False
        with self._counting:
            self.recorded += spans
        return True

    def _failed_later(self, spans: int, error: BaseException, kept: bool) -> None:
        with self._counting:
            self.recorded -= spans
        self._failed(error, spans=spans, kept=kept)

    def _submit(self, one: CapturedSpan, *, at_once: bool) -> Future[None]:
        store = self._opened()
        if self._waiting >= BACKLOG:
            raise StoreError(f"{self.path}: the disk is too slow for these calls", path=self.path)
        future = store.save_spans([one], at_once=at_once)
        with self._counting:
            self._waiting += 1
        return future

    def _await(self, future: Future[None]) -> None:
        """Only while the disk keeps up: one call that waited in vain is enough."""
        if self._late is not None and not self._late.done():
            return
        try:
            future.exception(WAIT_S)
        except TooLate:
            self._late = future
            LOG.warning("p2re: %s is slow; calls are still being written down", self.path)

    def _counted(self, future: Future[None]) -> None:
        self._checked(future, spans=1)

    def _checked(self, future: Future[None], *, spans: int = 0) -> None:
        error = future.exception()
        with self._counting:
            self._waiting -= 1
            self.recorded += spans if error is None else 0
        if error is not None:
            self._failed(error, spans=spans)

    def _failed(self, error: BaseException, *, spans: int, kept: bool = False) -> None:
        rescued = kept or (isinstance(error, StoreError) and error.kept_in is not None)
        with self._counting:
            first = self.why is None
            self.why = str(error)
            self.rescued += spans if rescued else 0
            self.lost += 0 if rescued else spans
            news = first or str(error) not in self._noted
        if news:
            self._note(str(error))
        if first:
            LOG.error("p2re: calls are not recorded as they should be: %s", error)

    def _note(self, why: str) -> None:
        """For `p2re doctor`: each reason when it is met first, and what came to it at the end."""
        with self._counting:
            spans, self._told = self.lost - self._told, self.lost
            self._noted.add(why)
        if spans:
            with suppress(OSError):
                note_loss(self.path, spans, why)

    def _opened(self) -> Store:
        """The store of this process: a forked child must not use its parent's."""
        if self._store is not None and self._pid == os.getpid():
            return self._store
        with self._opening:
            if self._store is None or self._pid != os.getpid():
                if self._refused is not None and time.monotonic() < self._refused[0]:
                    raise self._refused[1]
                self._store = self._open_anew()
                self._pending = self._store.pending(captured, self._failed_later)
                self._pid, self._waiting, self._late = os.getpid(), 0, None
            return self._store

    def _open_anew(self) -> Store:
        try:
            return open_store(self.path, redact=self._redact or installed_redact())
        except Exception as error:
            self._refused = (time.monotonic() + TRY_AGAIN_S, error)
            raise
