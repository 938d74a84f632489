"""Experiments: listed, opened, their results page by page."""

from __future__ import annotations

from p2re_eval.records import Experiment, Result
from p2re_eval.service.contracts import (
    ExperimentDetail,
    Page,
    bad_cursor,
    cursor_number,
    next_by_id,
    page_size,
)
from p2re_eval.store import Store, experiment_queries


class Experiments:
    """Every experiment of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self, *, limit: int = 20, cursor: str | None = None) -> Page[Experiment]:
        """The newest first."""
        size, before = page_size(limit), cursor_number(cursor)
        rows = self._store.read(
            lambda connection: experiment_queries.page_of_experiments(
                connection, limit=size, before=before
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
        return ExperimentDetail(experiment=experiment, outcomes=outcomes)

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
