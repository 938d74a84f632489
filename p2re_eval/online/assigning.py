"""What an application calls: which variant for whom, and what came of it."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from p2re_eval.clock import new_trace_id
from p2re_eval.errors import UsageError
from p2re_eval.online.buckets import variant_of
from p2re_eval.plugins import installed_redact
from p2re_eval.records import Assignment, Evaluation, Exposure, OnlineExperiment, Score
from p2re_eval.store import Store, default_path, online_queries, open_store
from p2re_eval.tracing.context import expose
from p2re_eval.tracing.recorder import LOG

FRESH_S = 30.0
"""How long a definition is believed: so soon does a running service hear that it was stopped."""
LARGEST = 1e100
"""An outcome, either way: the squares of such numbers can still be added up."""
_REMEMBERED = 100_000
"""Units known to be written down; beyond that, some are said twice, which changes nothing."""


class Desk:
    """Assignments from one database; a definition is read at most every FRESH_S seconds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._store: Store | None = None
        self._pid = 0
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, OnlineExperiment]] = {}
        self._written: set[tuple[str, str]] = set()

    def assign(self, name: str, unit: str) -> Assignment:
        """The unit's variant, written down the first time. Raises NoSuchRecord, StoreError."""
        experiment = self._experiment(name)
        counts = experiment.status == "RUNNING"
        found = Assignment(
            experiment=name, unit=unit, variant=variant_of(experiment, unit), counts=counts
        )
        if counts:
            self._write_down(found)
            expose(Exposure(experiment=name, variant=found.variant.name, unit=unit))
        return found

    def outcome(self, name: str, unit: str, value: float) -> None:
        """What came of a unit, on disk when this returns; said again it replaces.

        Raises UsageError for what is no amount that can be averaged.
        """
        if not abs(value) <= LARGEST:
            what = f"the outcome {value} cannot be averaged"
            raise UsageError(f"{what}; give a number between -{LARGEST:g} and {LARGEST:g}")
        experiment = self._experiment(name)
        now_ns = time.time_ns()
        judged = Evaluation(
            evaluation_id=new_trace_id(now_ns),
            trace_id=online_queries.unit_target(name, unit),
            name=experiment.outcome,
            scorer="outcome",
            scorer_version="1",
            score=Score(value=value),
            created_ns=now_ns,
            identifier="outcome",
        )
        self._opened().save_evaluations([judged]).result()

    def _experiment(self, name: str) -> OnlineExperiment:
        now, known = time.monotonic(), self._known.get(name)
        if known is not None and now < known[0]:
            return known[1]
        try:
            found = self._opened().read(
                lambda connection: online_queries.read_online(connection, name, self.path)
            )
        except Exception as error:
            if known is None:
                raise
            LOG.error("p2re: experiment '%s' could not be read again: %s", name, error)
            found = known[1]  # what was known a moment ago serves while the disk is away
        self._known[name] = (now + FRESH_S, found)
        return found

    def _write_down(self, found: Assignment) -> None:
        """Queued, once a process; the application does not wait for it, and not for its failure."""
        key = (found.experiment, found.unit)
        if key in self._written:
            return
        try:
            self._opened().keep_assignment(found)
        except Exception as error:  # noqa: BLE001 - an experiment must not break what it is about
            LOG.error("p2re: an assignment was not written down: %s", error)
            return
        if len(self._written) >= _REMEMBERED:
            self._written.clear()
        self._written.add(key)

    def _opened(self) -> Store:
        with self._lock:
            if self._store is None or self._pid != os.getpid():
                self._store = open_store(self.path, redact=installed_redact())
                self._pid = os.getpid()
                self._written = set()
            return self._store

    def close(self) -> None:
        """Write what is queued and let go of the file."""
        with self._lock:
            store, self._store = self._store, None
        if store is not None and self._pid == os.getpid():
            store.close()


_DESKS: dict[Path, Desk] = {}
"""One a database: an application asks from many places, and its definitions are read once."""


def assign(experiment: str, unit: str, *, db: Path | str | None = None) -> Assignment:
    """Which variant of a running experiment this unit (a user, a conversation) gets.

    The same unit gets the same variant in every process, without asking the database: only the
    definition is read, at most every 30 seconds. It is written down once. Calls to models that are
    captured from here on, in this context, count as having met the variant.

    Raises NoSuchRecord when there is no such experiment, StoreError without a database; both only
    at the first time, so a service that has started goes on.
    """
    return _desk(db).assign(experiment, unit)


def outcome(experiment: str, unit: str, value: float, *, db: Path | str | None = None) -> None:
    """What came of a unit: 1 or 0, or an amount. Beside it count the evaluations and feedback that
    the unit's captured traces get under the experiment's outcome name."""
    _desk(db).outcome(experiment, unit, value)


def _desk(db: Path | str | None) -> Desk:
    path = Path(db or default_path()).expanduser().absolute()
    return _DESKS.setdefault(path, Desk(path))
