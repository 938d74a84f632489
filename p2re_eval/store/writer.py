"""The one thread that writes: whatever is queued at a moment shares a transaction."""

from __future__ import annotations

import os
import sqlite3
import sys
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import TypeAlias

from p2re_eval.errors import StoreError
from p2re_eval.interfaces import Clock
from p2re_eval.store import recovery, upkeep
from p2re_eval.store.apply import apply_all
from p2re_eval.store.faults import concerns_the_file, store_error
from p2re_eval.store.forking import Working
from p2re_eval.store.jobs import Write
from p2re_eval.store.redaction import Redaction
from p2re_eval.store.rescue import rescue
from p2re_eval.store.transaction import Memory, Transaction

QUEUE_LIMIT = 10_000
"""Jobs; a caller that is faster than the disk waits here instead of filling the memory."""
BATCH_LIMIT = 1000
"""Jobs in a transaction: beyond that, other processes wait longer and nothing gets faster."""
FEED_ROWS = 500
"""Texts indexed in a transaction, some 20 ms. A write waits for one, and for what was written."""
FEED_BEHIND = 250
"""Runs not yet indexed and counted, by whatever process: statistics add them up one by one, a
millisecond or two. Beyond that the index is fed as soon as nobody waits for a write ..."""
FEED_FAR_BEHIND = 500
"""... and beyond that between the writes that are waited for, faster than they come."""
LOOK_AFTER_JOBS = 64
IDLE_S = 0.25

_Waiting: TypeAlias = "tuple[Write, Future[None]]"


class Writer:
    """Takes jobs from any thread and resolves their futures after the COMMIT."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, clock: Clock, redaction: Redaction
    ) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock
        self._redaction = redaction
        self._queue: deque[_Waiting] = deque()
        self._changed = threading.Condition()
        self._idle = False
        self._closing = False
        self._process: int | None = None
        self._jobs_since_look = 0
        self._behind = self._left_behind = sys.maxsize
        self._unfed = True
        self._index_wanted: list[tuple[Future[None] | None, Future[None]]] = []
        self._taken: list[Future[None]] = []
        self._file = path.stat()
        self._thread: threading.Thread | None = None
        self._working = Working()
        self._memory = Memory()
        connection.create_function("indexed_text", 2, self._memory.message_text)
        self._busy_timeout_ms = int(connection.execute("PRAGMA busy_timeout").fetchone()[0])

    def submit(self, job: Write) -> Future[None]:
        """Queue a job; blocks only while the queue is full. Raises StoreError after close()."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()  # a caller that gives up must not lose the answer
        with self._changed:
            while len(self._queue) >= QUEUE_LIMIT and not self._closing:
                self._changed.wait()
            if self._closing:
                what = f"{self._path}: the store is closed; open it again"
                raise StoreError(what, path=self._path)
            self._queue.append((job, future))
            if self._idle or self._thread is None:
                self._wake()
        return future

    def write_at_once(self, job: Write) -> Future[None]:
        """Write in the calling thread, which saves two changes of thread and, on a busy machine,
        the waits for them. Where anything is in the way (other work, another process, any error)
        the job is queued as ever. Raises StoreError after close()."""
        if not self._working.try_enter():
            return self.submit(job)
        try:
            written = self._wrote(job)
        finally:
            self._working.leave()
        if not written:
            return self.submit(job)
        future: Future[None] = Future()
        future.set_result(None)
        return future

    def _wrote(self, job: Write) -> bool:
        """Whether it could be done now, without waiting for anybody."""
        with self._changed:
            if self._queue or self._closing:
                return False
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            self._transact([job])
        except Exception:  # noqa: BLE001 - the writer's thread meets it again, and answers for it
            return False
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms}")
        self._jobs_since_look += 1
        with self._changed:
            unfed, self._unfed = self._unfed, True
            if self._thread is None or (self._idle and not unfed):
                self._wake()  # to feed the index after a while
        return True

    def index_everything(self) -> Future[None]:
        """Resolved when the full-text index holds every run that had ended by now."""
        future: Future[None] = Future()
        future.set_running_or_notify_cancel()
        with self._changed:
            if self._closing:
                future.set_result(None)
            else:
                last = self._queue[-1][1] if self._queue else None
                self._index_wanted.append((last, future))
                self._wake()
        return future

    def close(self) -> None:
        """Write what is queued, mark what will never end, and close the connection."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            thread = self._thread
        if thread is None:
            self._say_goodbye()
        else:
            thread.join()

    def _wake(self) -> None:
        """Who only reads needs no thread: it starts with the first job. Called under the lock."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="p2re-store", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _work(self) -> None:
        try:
            self._work_until_closed()
        except BaseException as error:  # noqa: BLE001 - else every caller would wait for ever
            self._give_up(error)
        self._say_goodbye()

    def _work_until_closed(self) -> None:
        while True:
            batch = self._next_batch()
            if batch is None:
                break
            with self._working:
                if batch:
                    self._write(batch)
                self._feed(idle=not batch)
                self._answer_searchers()
        self._answer_searchers()

    def _give_up(self, error: BaseException) -> None:
        """A mistake of ours: whoever waits hears of it, and so does whoever comes later."""
        with self._changed:
            self._closing = True
            waiting = [*self._taken, *(future for _, future in (*self._queue, *self._index_wanted))]
            self._queue.clear()
            self._index_wanted.clear()
            self._changed.notify_all()
        told = StoreError(f"{self._path}: the writer failed: {error!r}", path=self._path)
        for future in waiting:
            if not future.done():
                future.set_exception(told)

    def _next_batch(self) -> list[_Waiting] | None:
        """What is queued now; empty after a while without work, None at the end."""
        with self._changed:
            if not self._wanted():
                self._idle = True
                if not self._unfed:
                    self._changed.wait()
                if self._unfed and not self._wanted():  # written at once, by another thread
                    self._changed.wait(IDLE_S)
                self._idle = False
            if not self._queue:
                return None if self._closing else []
            full = len(self._queue) >= QUEUE_LIMIT
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_LIMIT))]
            self._taken = [future for _, future in batch]
            if full:
                self._changed.notify_all()
        return batch

    def _wanted(self) -> bool:
        """Whether there is something to do that cannot wait. Called under the lock."""
        return bool(self._queue or self._closing or self._index_wanted)

    def _write(self, batch: list[_Waiting]) -> None:
        self._jobs_since_look += len(batch)
        self._unfed = True
        try:
            self._transact([job for job, _ in batch])
        except Exception as error:  # noqa: BLE001 - whatever it is, its callers must hear of it
            self._refuse(batch, error)
            return
        for _, future in batch:
            future.set_result(None)

    def _refuse(self, batch: list[_Waiting], error: Exception) -> None:
        """One job's own mistake must not take the others along; a broken file refuses them all."""
        if len(batch) > 1 and not concerns_the_file(error):
            for one in batch:
                self._write([one])
            return
        told = self._rescued([job for job, _ in batch], error)
        for _, future in batch:
            future.set_exception(told)

    def _rescued(self, jobs: Sequence[Write], error: Exception) -> Exception:
        """The error for the caller, which names the file that keeps what was not written."""
        if not isinstance(error, (sqlite3.Error, StoreError)):
            return error
        told = error if isinstance(error, StoreError) else store_error(error, self._path)
        try:
            kept = rescue(self._path, jobs, self._redaction)
        except OSError as second:
            return type(told)(f"{told}; nor could it be rescued ({second})", path=self._path)
        if kept is None:
            return told
        what = f"{told}; kept in {kept}, which the next opening of the database imports"
        return type(told)(what, path=self._path, kept_in=kept)

    def _transact(self, jobs: Sequence[Write]) -> None:
        self._refuse_another_file()
        now_ns = self._clock.now_ns()
        if self._process is None:
            self._process = recovery.enter(self._connection, now_ns)
        apply_all(
            Transaction(self._connection, self._redaction, now_ns, self._process, self._memory),
            jobs,
        )

    def _refuse_another_file(self) -> None:
        """SQLite would go on writing to a removed file, and everything would be gone at the end."""
        try:
            same = os.path.samestat(self._file, self._path.stat())
        except OSError:
            same = False
        if not same:
            what = f"{self._path}: the database was removed or replaced while it was open"
            raise StoreError(what, path=self._path)

    def _answer_searchers(self) -> None:
        with self._changed:
            ready = [(last, f) for last, f in self._index_wanted if last is None or last.done()]
            self._index_wanted = [one for one in self._index_wanted if one not in ready]
            wanted = [future for _, future in ready]
            self._taken = wanted
        if not wanted:
            return
        try:
            while upkeep.feed(self._connection, FEED_ROWS, self._memory):
                pass
        except sqlite3.Error as error:
            for future in wanted:
                future.set_exception(store_error(error, self._path))
            return
        for future in wanted:
            future.set_result(None)

    def _feed(self, *, idle: bool) -> None:
        try:
            if idle:
                self._unfed = upkeep.feed(self._connection, FEED_ROWS, self._memory)
            else:
                self._catch_up()
        except sqlite3.Error:
            self._unfed = False  # the index waits for better times: the next write tries again

    def _catch_up(self) -> None:
        """Who waits for a write waits for twice what has come since, never for all that is left
        from before: so every writer does its part, and none does it while it is waited for."""
        left = None
        while self._is_behind() and not self._closing:
            if left is None:
                left = FEED_ROWS + 2 * max(0, self._behind - self._left_behind)
            if self._queue and left <= 0:
                break
            self._unfed = upkeep.feed(self._connection, FEED_ROWS, self._memory)
            left -= FEED_ROWS
        self._left_behind = self._behind

    def _is_behind(self) -> bool:
        """Whether a writer that is not idle should feed the index now."""
        if self._jobs_since_look < LOOK_AFTER_JOBS:
            return False
        try:
            behind = upkeep.runs_behind(self._connection)
        except sqlite3.Error:
            behind = 0
        self._behind = behind
        if behind <= FEED_BEHIND:
            self._jobs_since_look = 0
        return behind > (FEED_FAR_BEHIND if self._queue else FEED_BEHIND)

    def _say_goodbye(self) -> None:
        with self._working:
            try:
                if self._process is not None:
                    recovery.leave(self._connection, self._process)
            except sqlite3.Error:
                return  # the next opening finds this process dead and does the same
            finally:
                self._connection.close()
