"""Statistics of what was recorded, in groups."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from pydantic import Field

from p2re_eval.records import Record, Source
from p2re_eval.store import rollups
from p2re_eval.store.histogram import percentiles_of
from p2re_eval.store.stat_windows import Counts, Dimension, Key, Window, snapshot

_HOURLY_UP_TO = 8 * rollups.PERIODS["day"]
"""A window no longer than this is read by the hour, a longer one by the day."""


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
    window = _window(wanted, period, (since, until), now_ns)
    by = tuple(name for name in wanted.by if name not in {"status", "source"})
    with snapshot(connection):
        traces = window.traces(connection, wanted.by)
        scores = window.scores(connection, by)
    return StatsReport(
        rows=tuple(_row(_named(wanted.by, key), counts) for key, counts in traces.items()),
        scores=tuple(
            _score_row(_named((*by, "name", "kind"), key), counts) for key, counts in scores.items()
        ),
        total=_row({}, _total(list(traces.values()))),
        since_ns=since,
        until_ns=until,
        period=period,
    )


def _window(
    wanted: StatsQuery, period: str, window: tuple[int | None, int | None], now_ns: int
) -> Window:
    since_ns, until_ns = window
    given = {
        "model = :model": wanted.model,
        "prompt_name = :prompt": wanted.prompt,
        "prompt_version GLOB :version || '*'": wanted.version,
        "source = :source": wanted.source,
        "start_ns >= :since": since_ns,
        "start_ns < :until": until_ns,
    }
    return Window(
        period,
        tuple(term for term, value in given.items() if value is not None),
        {
            "model": wanted.model,
            "prompt": wanted.prompt,
            "version": wanted.version,
            "source": wanted.source,
            "since": since_ns,
            "until": until_ns,
        },
        _whole_days(wanted, period, since_ns, until_ns, now_ns),
    )


def _named(by: Sequence[str], key: Key) -> dict[str, str | int]:
    return dict(zip(by, key, strict=True))


def _total(groups: Sequence[Counts]) -> Counts:
    total: Counts = {"traces": 0, "errors": 0, "priced": 0, "latency": 0}
    for name in groups[0] if groups else ():
        known = [count for counts in groups if (count := counts[name]) is not None]
        total[name] = sum(known) if known else None
    return total


def _row(key: dict[str, str | int], counts: Counts) -> StatsRow:
    counts = dict(counts)
    p50, p90, p95, p99 = percentiles_of(int(counts.pop("latency") or 0), 0.5, 0.9, 0.95, 0.99)
    return StatsRow.model_validate(
        {"key": key, **counts, "p50_ns": p50, "p90_ns": p90, "p95_ns": p95, "p99_ns": p99}
    )


def _score_row(key: dict[str, str | int], counts: Counts) -> ScoreRow:
    value, valued = counts.pop("value"), counts["valued"]
    name, kind = key.pop("name"), key.pop("kind")
    mean = None if value is None or not valued else value / valued
    return ScoreRow.model_validate({"key": key, "name": name, "kind": kind, "mean": mean, **counts})


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
