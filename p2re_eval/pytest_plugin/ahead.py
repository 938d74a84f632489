"""Runs started ahead of the items that will report them, in item order, within a window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future

from p2re_eval.pipeline import Harness
from p2re_eval.planning import PlannedRun
from p2re_eval.records import Result

WINDOW = 4
"""How many times the concurrency may be started and not yet reported: enough that one slow answer
does not idle the others, little enough that stopping wastes little."""


class Ahead:
    """Hands each item its result; keeps the engine busy with those that come next.

    Runs are started in bunches of half the concurrency: each bunch wakes the engine once.
    ``runs`` are sure to be asked for. Of ``maybe`` those are that share the key ``together`` with
    one that was asked for; until then they are not started: another process may run them.
    """

    def __init__(
        self,
        harness: Harness,
        runs: Sequence[PlannedRun],
        *,
        maybe: Sequence[PlannedRun] = (),
        together: Callable[[PlannedRun], str] | None = None,
    ) -> None:
        self._harness = harness
        self._waiting = list(reversed(runs))
        self._together = together
        self._groups: dict[str, list[PlannedRun]] = {}
        if together is not None:
            for run in maybe:
                self._groups.setdefault(together(run), []).append(run)
        self._started: dict[str, Future[Result]] = {}
        self._window = harness.settings.concurrency * WINDOW
        self._bunch = max(1, harness.settings.concurrency // 2)

    def start(self) -> None:
        """Start as many runs as the window allows. Raises StoreError."""
        room = min(self._window - len(self._started), len(self._waiting))
        if room < min(self._bunch, len(self._waiting)) or not room:
            return
        runs = [self._waiting.pop() for _ in range(room)]
        fresh = [run for run in runs if run.item not in self._started]
        futures = self._harness.start_all(fresh)
        self._started.update(zip((run.item for run in fresh), futures, strict=True))

    def result(self, planned: PlannedRun) -> Result:
        """This run's result, once; started now if nobody foresaw it.

        Raises NotRun, StoreError.
        """
        future = self._started.get(planned.item)
        if future is None:
            (future,) = self._harness.start_all([planned])
            self._foresee(planned)
        try:
            return future.result()
        finally:
            self._started.pop(planned.item, None)
            self.start()

    def _foresee(self, asked: PlannedRun) -> None:
        """What comes here together with a run that nobody foresaw."""
        if self._together is None:
            return
        group = self._groups.pop(self._together(asked), [])
        others = [run for run in reversed(group) if run.item != asked.item]
        self._waiting[:0] = others
        self.start()

    def abandon(self) -> None:
        """Start nothing more."""
        self._waiting.clear()
        self._groups.clear()
