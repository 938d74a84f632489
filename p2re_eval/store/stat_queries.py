"""Statistics of what was recorded, read from the rollups and from what they do not hold yet."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from pydantic import Field

from p2re_eval.records import Record, Source
from p2re_eval.store import rollups, search, upkeep
from p2re_eval.store.histogram import counts_of, percentile_of

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
    window = _Window(wanted, period, since, until)
    groups, total = _Groups(), _Groups()
    for row in window.traces(connection):
        groups.add(_key(row, wanted.by), row)
        total.add((), row)
    scores = _scores(window.scores(connection), wanted.by)
    return StatsReport(
        rows=tuple(groups.rows(wanted.by)),
        scores=tuple(scores),
        total=next(iter(total.rows(())), StatsRow(key={}, traces=0, errors=0, priced=0)),
        since_ns=since,
        until_ns=until,
        period=period,
    )


class _Window:
    """The rollup rows of one question, those of what is not rolled up yet included."""

    def __init__(
        self, wanted: StatsQuery, period: str, since_ns: int | None, until_ns: int | None
    ) -> None:
        self.period = period
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

    def traces(self, connection: sqlite3.Connection) -> Iterable[sqlite3.Row]:
        """Groups of runs."""
        names = ", ".join(
            (*rollups.TRACE_KEYS, "traces", "priced", "input_tokens", "output_tokens")
        )
        names += ", cached_tokens, reasoning_tokens, cost_usd, latency"
        late = rollups.traces_share(self.period, rollups.ENDED)
        first = search.watermark(connection)
        changed = rollups.changed_traces(self.period)
        return self._rows(connection, "rollups", names, (late, changed), first)

    def scores(self, connection: sqlite3.Connection) -> Iterable[sqlite3.Row]:
        """Groups of evaluations; they have no source."""
        names = ", ".join(
            (*rollups.SCORE_KEYS, "evaluations", "valued", "value", "passed", "failed", "faults")
        )
        late = rollups.scores_share(self.period, rollups.JUDGED)
        first = upkeep.judged_watermark(connection)
        changed = rollups.changed_scores(self.period)
        return self._rows(connection, "score_rollups", names, (late, changed), first)

    def _rows(
        self,
        connection: sqlite3.Connection,
        table: str,
        names: str,
        more: tuple[str, ...],
        first: int,
    ) -> Iterable[sqlite3.Row]:
        terms = [term for term in self._terms if "source" not in term or table == "rollups"]
        where = f" AND {' AND '.join(terms)}" if terms else ""
        late = "".join(
            f" UNION ALL SELECT {names} FROM ({share}) WHERE true{where}"  # noqa: S608 - our own SQL
            for share in more
        )
        return connection.execute(
            f"SELECT {names} FROM {table} WHERE period = :period{where}{late}",  # noqa: S608 - our own SQL
            {**self._values, "first": first, "last": (1 << 63) - 1},
        )


class _Groups:
    """Rollup rows added up by key."""

    def __init__(self) -> None:
        self._sums: dict[tuple[object, ...], Counter[str]] = {}
        self._known: dict[tuple[object, ...], set[str]] = {}
        self._latency: dict[tuple[object, ...], Counter[int]] = {}

    def add(self, key: tuple[object, ...], row: sqlite3.Row) -> None:
        """One row of ``rollups``."""
        if key not in self._sums:
            self._sums[key], self._known[key], self._latency[key] = Counter(), set(), Counter()
        sums, known = self._sums[key], self._known[key]
        sums["traces"] += row["traces"]
        sums["priced"] += row["priced"]
        sums["errors"] += row["traces"] if row["status"] in _GONE_WRONG else 0
        for name in _MEASURES:
            if row[name] is not None:
                known.add(name)
                sums[name] += row[name]
        self._latency[key].update(counts_of(row["latency"]))

    def rows(self, by: Sequence[Dimension]) -> Iterable[StatsRow]:
        """By key; unknown sums stay unknown."""
        for key in sorted(self._sums, key=str):
            sums, latency = self._sums[key], self._latency[key]
            if not sums["traces"]:
                continue  # what changed its group on the way
            measures = {name: sums[name] for name in _MEASURES if name in self._known[key]}
            yield StatsRow(
                key=_named(key, by),
                traces=sums["traces"],
                errors=sums["errors"],
                priced=sums["priced"],
                **measures,
                p50_ns=percentile_of(latency, 0.5),
                p90_ns=percentile_of(latency, 0.9),
                p95_ns=percentile_of(latency, 0.95),
                p99_ns=percentile_of(latency, 0.99),
            )


_MEASURES = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")


def _period(wanted: StatsQuery, now_ns: int) -> str:
    if "hour" in wanted.by:
        return "hour"
    if wanted.since_ns is None:
        return "day"
    return "hour" if (wanted.until_ns or now_ns) - wanted.since_ns <= _HOURLY_UP_TO else "day"


def _key(row: sqlite3.Row, by: Sequence[Dimension]) -> tuple[object, ...]:
    day = rollups.PERIODS["day"]
    return tuple(
        row["start_ns"] - row["start_ns"] % day if name == "day" else row[_COLUMN[name]]
        for name in by
    )


def _named(key: tuple[object, ...], by: Sequence[Dimension]) -> dict[str, str | int]:
    return {
        name: value if isinstance(value, int) else str(value)
        for name, value in zip(by, key, strict=True)
    }


def _scores(rows: Iterable[sqlite3.Row], by: Sequence[Dimension]) -> Iterable[ScoreRow]:
    by = [name for name in by if name not in {"status", "source"}]
    sums: dict[tuple[tuple[object, ...], str, str], Counter[str]] = {}
    for row in rows:
        group = sums.setdefault((_key(row, by), row["name"], row["kind"]), Counter())
        for count in ("evaluations", "valued", "value", "passed", "failed", "faults"):
            group[count] += row[count] or 0
    kept = {key: group for key, group in sums.items() if group["evaluations"]}
    for (key, name, kind), group in sorted(kept.items(), key=str):
        yield ScoreRow(
            key=_named(key, by),
            name=name,
            kind=kind,
            evaluations=group["evaluations"],
            valued=group["valued"],
            mean=group["value"] / group["valued"] if group["valued"] else None,
            passed=group["passed"],
            failed=group["failed"],
            faults=group["faults"],
        )
