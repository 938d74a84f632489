"""Experiments: listed, opened, their results page by page."""

from __future__ import annotations

from p2re_eval.errors import NoSuchRecord, NotAllowed
from p2re_eval.records import Experiment, Result
from p2re_eval.service.contracts import (
    ExperimentDetail,
    Page,
    bad_cursor,
    cursor_number,
    next_by_id,
    page_size,
)
from p2re_eval.store import Store, experiment_queries, removal


class Experiments:
    """Every experiment of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(
        self, *, text: str | None = None, limit: int = 20, cursor: str | None = None
    ) -> Page[Experiment]:
        """The newest first; ``text`` is looked for in name and id."""
        size, before = page_size(limit), cursor_number(cursor)
        rows = self._store.read(
            lambda connection: experiment_queries.page_of_experiments(
                connection, limit=size, before=before, text=text
            )
        )
        more = next_by_id([row for row, _ in rows], size)
        return Page(items=tuple(one for _, one in rows), next_cursor=more)

    def get(self, experiment_id: str) -> ExperimentDetail:
        """The experiment whose id is or begins so, or ``latest``.

        Raises NoSuchRecord, StoreError (ambiguous).
        """
        experiment = self._store.read_experiment(experiment_id)
        outcomes = self._store.read(
            lambda connection: experiment_queries.outcomes(connection, experiment.experiment_id)
        )
        assignments = self._store.read(
            lambda connection: experiment_queries.assignments(connection, experiment.experiment_id)
        )
        return ExperimentDetail(
            experiment=experiment, outcomes=outcomes, assignments=tuple(assignments)
        )

    def create(self, experiment: Experiment) -> ExperimentDetail:
        """Record one that is made elsewhere, or that goes on. Raises NotAllowed: it has ended."""
        known = self._known(experiment.experiment_id)
        if known is not None and known.status != "RUNNING":
            raise NotAllowed(
                f"the experiment {experiment.experiment_id[:12]} has ended, and what was found "
                "stays as it is; run the suites again for a new one"
            )
        self._store.start_experiment(experiment)
        if experiment.status != "RUNNING":
            self._store.finish_experiment(experiment)
        return self.get(experiment.experiment_id)

    def delete(self, experiment_id: str) -> None:
        """With its results and what was judged in it; its traces stay.

        Raises NoSuchRecord, StoreError (ambiguous), NotAllowed (still running).
        """
        found = self._store.read_experiment(experiment_id)
        if found.status == "RUNNING":
            raise NotAllowed(
                f"the experiment {found.experiment_id[:12]} is still running; stop it first"
            )
        whole = found.experiment_id
        self._store.change(lambda change: removal.delete_experiment(change.connection, whole))

    def _known(self, experiment_id: str) -> Experiment | None:
        try:
            found = self._store.read_experiment(experiment_id)
        except NoSuchRecord:
            return None
        return found if found.experiment_id == experiment_id else None

    def results(
        self, experiment_id: str, *, limit: int = 100, cursor: str | None = None
    ) -> Page[Result]:
        """The results by suite and position, with evaluations. Raises NoSuchRecord."""
        whole = self._store.read_experiment(experiment_id).experiment_id
        size, after = page_size(limit), _place(cursor)
        results, last = self._store.read(
            lambda connection: experiment_queries.page_of_results(
                connection, whole, limit=size, after=after
            )
        )
        more = None if last is None else f"{last[1]}.{last[2]}.{last[0]}"
        return Page(items=tuple(results), next_cursor=more)


def _place(cursor: str | None) -> tuple[str, int, int] | None:
    """``POSITION.ROW.SUITE``, as a page of results ends."""
    if cursor is None:
        return None
    position, _, rest = cursor.partition(".")
    row, _, suite = rest.partition(".")
    if not (position.isdecimal() and row.isdecimal()):
        raise bad_cursor(cursor)
    return suite, int(position), int(row)
