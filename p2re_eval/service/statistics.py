"""Statistics through the service."""

from __future__ import annotations

from p2re_eval.interfaces import Clock
from p2re_eval.store import Store, stat_queries
from p2re_eval.store.stat_queries import StatsQuery, StatsReport


class Statistics:
    """What a store has counted."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def report(self, wanted: StatsQuery | None = None) -> StatsReport:
        """Calls, tokens, cost, errors, latencies and scores by what was asked for."""
        now_ns = self._clock.now_ns()
        return self._store.read(
            lambda connection: stat_queries.stats(connection, wanted or StatsQuery(), now_ns=now_ns)
        )
