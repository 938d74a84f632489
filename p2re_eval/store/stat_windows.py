"""What a window of time holds, added up in groups: what is rolled up, and what is not yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

from p2re_eval.store import rollups, search, upkeep
from p2re_eval.store.histogram import number_of

Dimension = Literal["model", "prompt", "version", "day", "hour", "status", "source"]
Key: TypeAlias = tuple[str | int, ...]
Counts: TypeAlias = dict[str, int | float | None]
"""By name; None is a sum of what nobody knows. ``latency`` is a histogram."""
Groups: TypeAlias = dict[Key, Counts]

_COLUMN = {
    "model": "model",
    "prompt": "prompt_name",
    "version": "prompt_version",
    "day": "start_ns",
    "hour": "start_ns",
    "status": "status",
    "source": "source",
}
_SUMMED = (
    *("traces", "priced", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens"),
    "cost_usd",
)
_JUDGED = ("evaluations", "valued", "value", "passed", "failed", "faults")
_OF_TRACES = (
    ", ".join(f"sum({name}) AS {name}" for name in _SUMMED)
    + ", sum(CASE WHEN status IN ('ERROR', 'ABANDONED') THEN traces ELSE 0 END) AS errors"
    + ", histogram_sum(latency) AS latency"
)
_OF_SCORES = ", ".join(f"sum({name}) AS {name}" for name in _JUDGED)
_LAST = (1 << 63) - 1


@dataclass(frozen=True)
class Window:
    """Counts by the hour or the day. ``terms`` are what rows must be, with ``values`` in them;
    of a long window of hours, the ``whole_days`` between its ends are read by the day."""

    period: str
    terms: tuple[str, ...]
    values: Mapping[str, object]
    whole_days: tuple[int, int] | None = None

    def traces(self, connection: sqlite3.Connection, by: Sequence[Dimension]) -> Groups:
        """Groups of runs, in the order of their keys."""
        late = rollups.ended_traces(self.period)
        changed = rollups.changed_traces(self.period)
        first = search.watermark(connection)
        found: Groups = {}
        for keys, source in self._sources("rollups", by, (late, changed)):
            sql = _grouped(keys, _OF_TRACES, source)
            _add(found, len(keys), self._rows(connection, sql, first))
        return _in_order(found, "traces")

    def scores(self, connection: sqlite3.Connection, by: Sequence[Dimension]) -> Groups:
        """Groups of evaluations, by name and kind in each; they have no source."""
        late = rollups.scores_share(self.period, rollups.JUDGED)
        changed = rollups.changed_scores(self.period)
        first = upkeep.judged_watermark(connection)
        found: Groups = {}
        for some, source in self._sources("score_rollups", by, (late, changed)):
            keys = (*some, "name", "kind")
            sql = _grouped(keys, _OF_SCORES, source)
            _add(found, len(keys), self._rows(connection, sql, first))
        return _in_order(found, "evaluations")

    def _rows(self, connection: sqlite3.Connection, sql: str, first: int) -> sqlite3.Cursor:
        return connection.execute(sql, {**self.values, "first": first, "last": _LAST, "sign": 1})

    def _sources(
        self, table: str, by: Sequence[Dimension], more: Iterable[str]
    ) -> Iterator[tuple[tuple[str, ...], str]]:
        """Where counts are, each with the columns to group by."""
        terms = [term for term in self.terms if "source" not in term or table == "rollups"]
        for period, when in self._parts():
            where = " AND ".join((f"period = '{period}'", *when, *terms))
            yield _columns(by, period), f"{table} WHERE {where}"
        for share in more:
            where = " AND ".join(("true", *terms))
            yield _columns(by, self.period), f"({share}) WHERE {where}"

    def _parts(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Hours at both ends, and the days between them, which are fewer."""
        if self.whole_days is None:
            return ((self.period, ()),)
        first, last = self.whole_days
        return (
            ("hour", (f"start_ns < {first}",)),
            ("day", (f"start_ns >= {first}", f"start_ns < {last}")),
            ("hour", (f"start_ns >= {last}",)),
        )


@contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """All that is read inside is of one moment: what is not rolled up in one query must not be
    found rolled up by the next."""
    if connection.in_transaction:
        yield
        return
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")


def _grouped(keys: Sequence[str], sums: str, source: str) -> str:
    grouping = f" GROUP BY {', '.join(keys)}" if keys else ""
    return f"SELECT {', '.join((*keys, sums))} FROM {source}{grouping}"  # noqa: S608 - our own SQL


def _columns(by: Sequence[Dimension], period: str) -> tuple[str, ...]:
    """What rows of this period are grouped by; those of a day begin with it."""
    day = "start_ns" if period == "day" else f"start_ns - start_ns % {rollups.PERIODS['day']}"
    return tuple(day if name == "day" else _COLUMN[name] for name in by)


def _add(groups: Groups, keys: int, rows: sqlite3.Cursor) -> None:
    """Rows whose first columns are the key, added to the groups."""
    names = [column[0] for column in rows.description][keys:]
    for row in rows:
        counts = dict(zip(names, row[keys:], strict=True))
        if "latency" in counts:
            counts["latency"] = number_of(counts["latency"])
        known = groups.setdefault(row[:keys], counts)
        if known is not counts:
            for name, count in counts.items():
                known[name] = _added(known[name], count)


def _added(one: int | float | None, other: int | float | None) -> int | float | None:
    """Their sum, of what is known of them."""
    if one is None or other is None:
        return one if other is None else other
    return one + other


def _in_order(groups: Groups, counted: str) -> Groups:
    """Without the groups of nothing."""
    return {key: groups[key] for key in sorted(groups) if groups[key][counted]}
