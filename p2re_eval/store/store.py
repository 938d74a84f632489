"""The handle that every door holds: writes go to one thread, reads to a connection a thread."""

from __future__ import annotations

import atexit
import contextlib
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from p2re_eval.clock import SystemClock
from p2re_eval.errors import StoreError
from p2re_eval.interfaces import Clock
from p2re_eval.records import (
    Assignment,
    CapturedSpan,
    Completion,
    Evaluation,
    Experiment,
    Observation,
    PromptTemplate,
    Result,
    Session,
    Span,
    Trace,
    TraceStatus,
)
from p2re_eval.store import (
    experiment_queries,
    observation_queries,
    recovery,
    trace_lists,
    trace_queries,
)
from p2re_eval.store.apply import apply_all
from p2re_eval.store.connection import open_for_reading, open_for_writing
from p2re_eval.store.faults import explained
from p2re_eval.store.health import StoreHealth, health
from p2re_eval.store.history import History, has_run, history
from p2re_eval.store.jobs import (
    BeginTrace,
    Change,
    FinishExperiment,
    FinishTrace,
    Job,
    KeepAssignment,
    SaveEvaluations,
    SavePromptVersion,
    SaveResult,
    SaveSpans,
    StartExperiment,
    StartSession,
    Write,
)
from p2re_eval.store.maintenance import Maintenance
from p2re_eval.store.pending import Failed, Pending, Read, catch_up
from p2re_eval.store.redaction import Redact, Redaction
from p2re_eval.store.rescue import import_rescued
from p2re_eval.store.search import as_query
from p2re_eval.store.spool import orphaned, take_over
from p2re_eval.store.sync_ledger import SyncLedger, targets
from p2re_eval.store.trace_lists import TraceFilter, TraceRow
from p2re_eval.store.trace_writes import key_column
from p2re_eval.store.transaction import Transaction
from p2re_eval.store.writer import Writer

_T = TypeVar("_T")
LOOK_S = 1.0
"""How often an open database looks for spans of processes that died."""


def open_store(
    path: Path,
    *,
    clock: Clock | None = None,
    busy_timeout_s: float = 10.0,
    redact: Redact | None = None,
    read_only: bool = False,
) -> Store:
    """The database at ``path``, made if it is not there, migrated (after a backup) if it is old.

    What dead processes left RUNNING becomes ABANDONED, and rescued answers are imported.
    ``busy_timeout_s`` is how long a write waits for another process; ``redact`` sees every text
    before the disk does; ``read_only`` changes nothing and makes no file: what a dead process left
    in its spool waits for an opening that may write.

    Raises StoreReadOnly, NotADatabase, NewerSchema, StoreLocked, StoreFull, StoreCorrupt.
    """
    path = Path(path).expanduser().absolute()
    clock = clock or SystemClock()
    if read_only:
        store = Store(path, None, busy_timeout_s)
        store.check()
        return store
    redaction = Redaction(redact)
    connection = open_for_writing(path, busy_timeout_s=busy_timeout_s)
    try:
        with explained(path):
            _tidy_up(connection, path, clock, redaction)
    except BaseException:
        connection.close()
        raise
    writer = Writer(connection, path, clock, redaction)
    return Store(path, writer, busy_timeout_s, redaction=redaction, clock=clock)


class Store:
    """One open database, safe to use from any thread of the process that opened it.

    Writes give a future that resolves after the COMMIT (or fails with a StoreError); reads see
    everything that was committed before them.
    """

    def __init__(
        self,
        path: Path,
        writer: Writer | None,
        busy_timeout_s: float,
        *,
        redaction: Redaction | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._writer = writer
        self._busy_timeout_s = busy_timeout_s
        self._redaction = redaction
        self._clock = clock or SystemClock()
        self._pid = os.getpid()
        self._mine = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._closed = False
        self._look_again = time.monotonic() + LOOK_S
        atexit.register(self.close)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Write what is queued and let go of the file. Safe to call twice."""
        with self._lock:
            if self._closed or os.getpid() != self._pid:
                return
            self._closed = True
        atexit.unregister(self.close)
        for reader in list(self._readers):
            reader.connection.close()
        if self._writer is not None:
            self._writer.close()  # last: SQLite checkpoints when the last connection goes

    def begin_trace(self, trace: Trace) -> Future[None]:
        """The row of a run, RUNNING; wait for it before the provider is called."""
        return self._submit(BeginTrace(trace))

    def finish_trace(self, trace: Trace) -> Future[None]:
        """The run with its answer or fault, whether its beginning was recorded or not."""
        return self._submit(FinishTrace(trace))

    def save_result(
        self, result: Result, evaluations: Sequence[Evaluation], spans: Sequence[Span] = ()
    ) -> Future[None]:
        """The outcome of a planned run, and the spans that its scorers added to the trace."""
        return self._submit(SaveResult(result, tuple(evaluations), tuple(spans)))

    def save_evaluations(self, evaluations: Sequence[Evaluation]) -> Future[None]:
        """Judgements; the newest of each (trace, name, identifier) of an experiment stays."""
        catch_up(self.path)
        return self._submit(SaveEvaluations(tuple(evaluations)))

    def save_prompt_version(self, template: PromptTemplate) -> Future[None]:
        """The prompt's version under the next number; one that is known stays as it is."""
        return self._submit(SavePromptVersion(template))

    def save_spans(
        self, spans: Sequence[CapturedSpan], *, at_once: bool = False, passed: bool = False
    ) -> Future[None]:
        """Spans that other programs made: the trace grows with them, whatever order they come in.

        A span that has ended is not replaced by word that it has begun; one that comes twice is
        kept once. The trace is RUNNING until its root has ended. ``at_once`` is for a caller that
        waits anyway: it writes in its own thread, when nothing is in the way. ``passed``: redaction
        has found nothing in them, and need not look again.
        """
        return self._submit(SaveSpans(tuple(spans), passed), at_once=at_once)

    def pending(self, read: Read, failed: Failed) -> Pending | None:
        """A way for raw spans that makes nobody wait for a transaction: each is in a file beside
        the database when :meth:`Pending.add` returns, and in the tables, ``read``, a moment later.

        None where that cannot be: no such file can be made, or a function of the user's is to see
        every text, once.
        """
        if self._redaction is None or self._redaction.hooked:
            return None
        try:
            return Pending(
                self.path, self._redaction, read=read, save=self.save_spans, failed=failed
            )
        except OSError:
            return None

    def keep_assignment(self, assignment: Assignment) -> Future[None]:
        """A unit's variant in an A/B experiment; the first word of it stays."""
        return self._submit(KeepAssignment(assignment))

    def start_session(self, session: Session) -> Future[None]:
        """A conversation; its traces name it by ``session_id``."""
        return self._submit(StartSession(session))

    def start_experiment(self, experiment: Experiment) -> None:
        """On disk when this returns. Raises StoreError."""
        self._submit(StartExperiment(experiment)).result()

    def finish_experiment(self, experiment: Experiment) -> None:
        """On disk when this returns. Raises StoreError."""
        self._submit(FinishExperiment(experiment)).result()

    def find_run(self, run_key: str) -> Trace | None:
        """The newest live run with this key that was answered: what the cache gives."""
        with explained(self.path):
            return trace_queries.find_run(self._reader(), run_key)

    def has_run(self, run_key: str) -> bool:
        """Whether :meth:`find_run` would find one."""
        with explained(self.path):
            return has_run(self._reader(), key_column(run_key))

    def history(self, prompt: str, model: str) -> History:
        """What the newest live calls of this prompt on this model used."""
        with explained(self.path):
            return history(self._reader(), prompt, model)

    def find_call(self, run_key: str) -> Completion | None:
        """The newest answer to a scorer's own call with this key."""
        with explained(self.path):
            return trace_queries.find_call(self._reader(), run_key)

    def read_trace(self, trace_id: str) -> Trace:
        """The trace whose id is or begins so, with its spans.

        Raises NoSuchRecord, and StoreError when more than one begins so.
        """
        with explained(self.path):
            return trace_queries.read_trace(self._reader(), trace_id, self.path)

    def list_traces(
        self,
        *,
        limit: int = 50,
        before: int | None = None,
        model: str | None = None,
        prompt: str | None = None,
        status: TraceStatus | None = None,
        experiment_id: str | None = None,
        session_id: str | None = None,
        user: str | None = None,
        suite: str | None = None,
        since_ns: int | None = None,
    ) -> list[TraceRow]:
        """The newest traces first; the next page is ``before`` the last row's ``id``."""
        wanted = TraceFilter(
            model=model,
            prompt=prompt,
            status=status,
            experiment_id=experiment_id,
            session_id=session_id,
            user=user,
            suite=suite,
            since_ns=since_ns,
        )
        with explained(self.path):
            return trace_lists.list_traces(self._reader(), wanted, limit=limit, before=before)

    def newest_end(self) -> int:
        """The cursor after everything that has ended so far, for :meth:`ended_after`."""
        with explained(self.path):
            return trace_lists.newest_end(self._reader())

    def ended_after(
        self, cursor: int, wanted: TraceFilter | None = None, *, limit: int = 500
    ) -> tuple[list[TraceRow], int]:
        """Runs of any process in the order in which they ended, and the next cursor."""
        with explained(self.path):
            return trace_lists.ended_after(
                self._reader(), cursor, wanted or TraceFilter(), limit=limit
            )

    def search(self, text: str, limit: int = 50) -> list[TraceRow]:
        """Ended traces with all these words, "phrases" and beginnings*, the newest first."""
        query = as_query(text)
        if not query:
            return []
        self.index_everything()
        with explained(self.path):
            return trace_lists.search(self._reader(), query, limit=limit)

    def evaluations(self, trace_id: str) -> list[Evaluation]:
        """Everything that was said about a trace, by any experiment or person."""
        with explained(self.path):
            return trace_queries.evaluations(self._reader(), trace_id)

    def read_experiment(self, experiment_id: str) -> Experiment:
        """The experiment whose id is or begins so, or ``latest``.

        Raises NoSuchRecord, and StoreError when more than one begins so.
        """
        with explained(self.path):
            return experiment_queries.read_experiment(self._reader(), experiment_id, self.path)

    def list_experiments(self, limit: int = 20) -> list[Experiment]:
        """The newest experiments first."""
        with explained(self.path):
            return experiment_queries.list_experiments(self._reader(), limit)

    def results(self, experiment_id: str) -> Iterator[Result]:
        """The results in item order, with evaluations; read page by page."""
        with explained(self.path):
            yield from experiment_queries.results(self._reader(), experiment_id)

    def observations(self, experiment_id: str, suite: str | None = None) -> Iterator[Observation]:
        """The results in item order without their texts, of one suite where it is named."""
        with explained(self.path):
            yield from observation_queries.observations(self._reader(), experiment_id, suite)

    def case_results(self, experiment_id: str, case: tuple[str, str, str, str]) -> list[Result]:
        """The results of one case (suite, prompt, model, id), a repeat each."""
        with explained(self.path):
            return experiment_queries.case_results(self._reader(), experiment_id, case)

    def recordings(self, experiment_id: str) -> Iterator[Trace]:
        """The answered traces in item order, for replay; read page by page."""
        with explained(self.path):
            yield from experiment_queries.recordings(self._reader(), experiment_id, self.path)

    def sync_ledger(self, target: str) -> SyncLedger:
        """What another system holds of ours: the cursors and marks of a bridge."""
        return SyncLedger(target, self.read, self._submit)

    def sync_ledgers(self) -> list[SyncLedger]:
        """One for each target that was ever synced with."""
        return [self.sync_ledger(target) for target in self.read(targets)]

    def read(self, query: Callable[[sqlite3.Connection], _T]) -> _T:
        """What a query of this room finds on this thread's connection; rows go by column name."""
        with explained(self.path):
            return query(self._reader())

    def change(self, edit: Callable[[Transaction], _T]) -> _T:
        """An edit inside the next transaction, on disk when this returns.

        Raises StoreError, and what the edit raises: then nothing of it is written.
        """
        catch_up(self.path)
        found: list[_T] = []
        self._submit(Change(lambda transaction: found.append(edit(transaction)))).result()
        return found[-1]

    def index_everything(self) -> None:
        """Bring the full-text index and the rollups up to what has ended by now."""
        self._refuse_misuse()
        catch_up(self.path)
        if self._writer is not None:
            self._writer.index_everything().result()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection, which cannot write; rows go by column name."""
        with explained(self.path):
            yield self._reader()

    @contextmanager
    def maintenance(self) -> Iterator[Maintenance]:
        """A connection of its own for long work in batches; others write in between.

        Raises StoreError: opened to read only, or the file cannot be written.
        """
        self._refuse_misuse()
        if self._redaction is None:
            raise StoreError(f"{self.path}: was opened to read only", path=self.path)
        catch_up(self.path)
        connection = open_for_writing(self.path, busy_timeout_s=self._busy_timeout_s)
        try:
            with explained(self.path):
                yield Maintenance(connection, self.path, self._redaction, self._clock)
        finally:
            connection.close()

    def health(self) -> StoreHealth:
        """Sizes, counts and SQLite's own check; reads every page once."""
        with explained(self.path):
            return health(self._reader(), self.path)

    def check(self) -> None:
        """Open the file for this thread's reads. Raises what is wrong with it."""
        self._reader()

    def _submit(self, job: Write, *, at_once: bool = False) -> Future[None]:
        self._refuse_misuse()
        if self._writer is None:
            raise StoreError(f"{self.path}: was opened to read only", path=self.path)
        return self._writer.write_at_once(job) if at_once else self._writer.submit(job)

    def _reader(self) -> sqlite3.Connection:
        self._refuse_misuse()
        self._bring_in()
        reader: _Reader | None = getattr(self._mine, "reader", None)
        if reader is None:
            reader = _Reader(open_for_reading(self.path, busy_timeout_s=self._busy_timeout_s))
            self._mine.reader = reader
            with self._lock:
                self._readers.add(reader)
        return reader.connection

    def _bring_in(self) -> None:
        """Calls that have returned, and what other processes left behind: looked for now and then,
        as a server stays open for weeks."""
        catch_up(self.path)
        if self._redaction is not None and time.monotonic() >= self._look_again:
            self._look_again = time.monotonic() + LOOK_S
            _adopt(self.path, self._clock, self._redaction)

    def _refuse_misuse(self) -> None:
        if self._closed:
            raise StoreError(f"{self.path}: the store is closed; open it again", path=self.path)
        if os.getpid() != self._pid:
            what = f"{self.path}: was opened before this process was forked; open it anew"
            raise StoreError(what, path=self.path)


class _Reader:
    """A thread's connection, closed when the thread is gone."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


def _adopt(path: Path, clock: Clock, redaction: Redaction) -> None:
    """Spans of dead processes into the tables; where that cannot be done they stay as they are."""
    if not orphaned(path):
        return
    with contextlib.suppress(StoreError, OSError):
        connection = open_for_writing(path, busy_timeout_s=1.0)
        try:
            with explained(path):
                _tidy_up(connection, path, clock, redaction)
        finally:
            connection.close()


def _tidy_up(
    connection: sqlite3.Connection, path: Path, clock: Clock, redaction: Redaction
) -> None:
    now_ns = clock.now_ns()

    def write(job: Job) -> None:
        # No opening of its own (0): what was rescued has ended, and is never RUNNING.
        apply_all(Transaction(connection, redaction, now_ns, 0), [job])

    import_rescued(path, write)
    take_over(path, write)
    recovery.abandon_the_dead(connection, now_ns)
