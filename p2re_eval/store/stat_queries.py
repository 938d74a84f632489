"""Statistics of what was recorded, read from the rollups and from what they do not hold yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import Field

from p2re_eval.records import Record, Source
from p2re_eval.store import rollups, search, upkeep
from p2re_eval.store.histogram import number_of, percentiles_of

Dimension = Literal["model", "prompt", "version", "day", "hour", "status", "source"]
_COLUMN = {
    "model": "model",
    "prompt": "prompt_name",
    "version": "prompt_version",
    "day": "start_ns",
    "hour": "start_ns",
    "status": "status",
    "source": "source",
}
_HOURLY_UP_TO = 8 * rollups.PERIODS["day"]
"""A window no longer than this is read by the hour, a longer one by the day."""
_GONE_WRONG = ("ERROR", "ABANDONED")


class StatsQuery(Record):
    """What is counted and by what; times are nanoseconds UTC, ``until_ns`` is not included.

    ``source`` is ``live`` unless said otherwise: what came from a recording or the cache was not
    paid for again. None counts all.
    """

    by: tuple[Dimension, ...] = ()
    since_ns: int | None = None
    until_ns: int | None = None
    model: str | None = None
    prompt: str | None = None
    version: str | None = None
    source: Source | None = "live"


class StatsRow(Record):
    """One group of runs. ``cost_usd`` is the sum of the known costs, of ``priced`` runs; None when
    none is known. Percentiles are within 2 % of the run of that rank."""

    key: dict[str, str | int]
    traces: int
    errors: int
    priced: int
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    reasoning_tokens: int | None = None
    cost_usd: float | None = None
    p50_ns: int | None = None
    p90_ns: int | None = None
    p95_ns: int | None = None
    p99_ns: int | None = None

    @property
    def unpriced_share(self) -> float:
        """The share of runs whose cost nobody knows."""
        return 1 - self.priced / self.traces if self.traces else 0.0


class ScoreRow(Record):
    """What was judged in one group under one name. ``mean`` is over the ``valued`` ones."""

    key: dict[str, str | int]
    name: str
    kind: str
    evaluations: int
    valued: int
    mean: float | None = None
    passed: int
    failed: int
    faults: int

    @property
    def pass_rate(self) -> float | None:
        """Passed of those with a verdict."""
        decided = self.passed + self.failed
        return self.passed / decided if decided else None


class StatsReport(Record):
    """Rows by key; ``since_ns`` and ``until_ns`` are the window that was read, rounded outward to
    whole hours or days (UTC)."""

    rows: tuple[StatsRow, ...]
    scores: tuple[ScoreRow, ...]
    total: StatsRow
    since_ns: int | None = None
    until_ns: int | None = None
    period: str = Field(default="day")


def stats(connection: sqlite3.Connection, wanted: StatsQuery, *, now_ns: int) -> StatsReport:
    """Everything counted so far, however little of it retention has left."""
    period = _period(wanted, now_ns)
    size = rollups.PERIODS[period]
    since = None if wanted.since_ns is None else wanted.since_ns - wanted.since_ns % size
    until = None if wanted.until_ns is None else -(-wanted.until_ns // size) * size
    window = _Window(wanted, period, (since, until), now_ns)
    rows = window.traces(connection, wanted.by)
    by: list[Dimension] = [name for name in wanted.by if name not in {"status", "source"}]
    return StatsReport(
        rows=tuple(_stats_row(row, wanted.by) for row in rows),
        scores=tuple(_score_row(row, by) for row in window.scores(connection, by)),
        total=_total(rows),
        since_ns=since,
        until_ns=until,
        period=period,
    )


class _Window:
    """The rollup rows of one question, those of what is not rolled up yet included."""

    def __init__(
        self, wanted: StatsQuery, period: str, window: tuple[int | None, int | None], now_ns: int
    ) -> None:
        since_ns, until_ns = window
        self.period = period
        self._whole_days = _whole_days(wanted, period, since_ns, until_ns, now_ns)
        given: dict[str, object] = {
            "model = :model": wanted.model,
            "prompt_name = :prompt": wanted.prompt,
            "prompt_version GLOB :version || '*'": wanted.version,
            "source = :source": wanted.source,
            "start_ns >= :since": since_ns,
            "start_ns < :until": until_ns,
        }
        self._terms = [term for term, value in given.items() if value is not None]
        self._values = {
            "model": wanted.model,
            "prompt": wanted.prompt,
            "version": wanted.version,
            "source": wanted.source,
            "since": since_ns,
            "until": until_ns,
            "period": period,
            "sign": 1,
        }

    def traces(self, connection: sqlite3.Connection, by: Sequence[Dimension]) -> list[sqlite3.Row]:
        """Groups of runs."""
        names = (*rollups.TRACE_KEYS, "traces", "priced", *_MEASURES, "latency")
        late = rollups.traces_share(self.period, rollups.ENDED)
        changed = rollups.changed_traces(self.period)
        rows = self._rows("rollups", ", ".join(names), (late, changed))
        sums = ", ".join(f"sum({name}) AS {name}" for name in ("traces", "priced", *_MEASURES))
        wrong = ", ".join(f"'{status}'" for status in _GONE_WRONG)
        grouping = ", ".join(f"key_{name}" for name in by)
        return connection.execute(
            f"SELECT {_keys(by)}{sums}, histogram_sum(latency) AS latency, "  # noqa: S608 - our own SQL
            f"sum(CASE WHEN status IN ({wrong}) THEN traces ELSE 0 END) AS errors FROM ({rows}) "
            f"GROUP BY {grouping or 'NULL'} HAVING sum(traces) <> 0 ORDER BY {grouping or '1'}",
            {**self._values, "first": search.watermark(connection), "last": _LAST},
        ).fetchall()

    def scores(self, connection: sqlite3.Connection, by: Sequence[Dimension]) -> list[sqlite3.Row]:
        """Groups of evaluations; they have no source."""
        names = (*rollups.SCORE_KEYS, *_COUNTED)
        late = rollups.scores_share(self.period, rollups.JUDGED)
        changed = rollups.changed_scores(self.period)
        rows = self._rows("score_rollups", ", ".join(names), (late, changed))
        sums = ", ".join(f"sum({name}) AS {name}" for name in _COUNTED)
        grouping = ", ".join((*(f"key_{name}" for name in by), "name", "kind"))
        return connection.execute(
            f"SELECT {_keys(by)}name, kind, {sums} FROM ({rows}) "  # noqa: S608 - our own SQL
            f"GROUP BY {grouping} HAVING sum(evaluations) <> 0 ORDER BY {grouping}",
            {**self._values, "first": upkeep.judged_watermark(connection), "last": _LAST},
        ).fetchall()

    def _rows(self, table: str, names: str, more: tuple[str, ...]) -> str:
        """Those rolled up, and those that are not yet."""
        terms = [term for term in self._terms if "source" not in term or table == "rollups"]
        where = f" AND {' AND '.join(terms)}" if terms else ""
        late = "".join(
            f" UNION ALL SELECT {names} FROM ({share}) WHERE true{where}"  # noqa: S608 - our own SQL
            for share in more
        )
        kept = " UNION ALL ".join(
            f"SELECT {names} FROM {table} WHERE {part}{where}"  # noqa: S608 - our own SQL
            for part in self._parts()
        )
        return f"{kept}{late}"

    def _parts(self) -> tuple[str, ...]:
        """Where the counts are: hours at both ends, and the days between them, which are fewer."""
        if self._whole_days is None:
            return ("period = :period",)
        first, last = self._whole_days
        return (
            f"period = 'hour' AND start_ns < {first}",
            f"period = 'day' AND start_ns >= {first} AND start_ns < {last}",
            f"period = 'hour' AND start_ns >= {last}",
        )


_MEASURES = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")
_COUNTED = ("evaluations", "valued", "value", "passed", "failed", "faults")
_LAST = (1 << 63) - 1


def _keys(by: Sequence[Dimension]) -> str:
    day = rollups.PERIODS["day"]
    columns = {**_COLUMN, "day": f"start_ns - start_ns % {day}"}
    return "".join(f"{columns[name]} AS key_{name}, " for name in by)


def _key(row: sqlite3.Row, by: Sequence[Dimension]) -> dict[str, str | int]:
    return {name: row[f"key_{name}"] for name in by}


def _stats_row(row: sqlite3.Row, by: Sequence[Dimension]) -> StatsRow:
    sums = {name: row[name] for name in ("traces", "errors", "priced", *_MEASURES)}
    return _with_percentiles(_key(row, by), sums, number_of(row["latency"]))


def _total(rows: Sequence[sqlite3.Row]) -> StatsRow:
    sums: dict[str, int | float | None] = {}
    for name in ("traces", "errors", "priced", *_MEASURES):
        known = [row[name] for row in rows if row[name] is not None]
        sums[name] = sum(known) if known or name not in _MEASURES else None
    return _with_percentiles({}, sums, sum(number_of(row["latency"]) for row in rows))


def _with_percentiles(
    key: dict[str, str | int], sums: Mapping[str, int | float | None], latency: int
) -> StatsRow:
    p50, p90, p95, p99 = percentiles_of(latency, 0.5, 0.9, 0.95, 0.99)
    return StatsRow.model_validate(
        {"key": key, **sums, "p50_ns": p50, "p90_ns": p90, "p95_ns": p95, "p99_ns": p99}
    )


def _score_row(row: sqlite3.Row, by: Sequence[Dimension]) -> ScoreRow:
    counts = {name: row[name] for name in ("evaluations", "valued", "passed", "failed", "faults")}
    return ScoreRow(
        key=_key(row, by),
        name=row["name"],
        kind=row["kind"],
        mean=row["value"] / row["valued"] if row["valued"] else None,
        **counts,
    )


def _whole_days(
    wanted: StatsQuery, period: str, since_ns: int | None, until_ns: int | None, now_ns: int
) -> tuple[int, int] | None:
    """The days that a window of hours holds whole, unless each hour is asked for."""
    if period != "hour" or "hour" in wanted.by or since_ns is None:
        return None
    day = rollups.PERIODS["day"]
    end = now_ns if until_ns is None else until_ns
    first, last = -(-since_ns // day) * day, end - end % day
    return (first, last) if first < last else None


def _period(wanted: StatsQuery, now_ns: int) -> str:
    if "hour" in wanted.by:
        return "hour"
    if wanted.since_ns is None:
        return "day"
    return "hour" if (wanted.until_ns or now_ns) - wanted.since_ns <= _HOURLY_UP_TO else "day"
