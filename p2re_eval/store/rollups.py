"""What statistics read: counts by hour and day, kept in step with traces and evaluations.

Rows of ``origin`` '' are the sum of what is in the file now. Before retention deletes a trace it
moves the trace's share to the origin ``GONE`` (:mod:`p2re_eval.store.pruned`), so that the sum over
all origins never changes. Files of old counted what they let go of as one sum under their own name;
of such a trace that is still here rows of ``TWICE`` take one count off. Rows that fell to nothing
are removed.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

from p2re_eval.store import pruned
from p2re_eval.store.pruned import GONE

HERE = ""
"""The origin of what is counted from rows that are still in the file."""
TWICE = "twice"
"""The origin of what is taken off, as it is counted here and under another file's name."""
PERIODS = {"hour": 3_600_000_000_000, "day": 86_400_000_000_000}
"""Nanoseconds."""
TRACE_KEYS = ("start_ns", "model", "prompt_name", "prompt_version", "source", "status")
SCORE_KEYS = ("start_ns", "model", "prompt_name", "prompt_version", "name", "kind")
_VERSION = (
    "CASE typeof(t.prompt_version) WHEN 'blob' THEN lower(hex(t.prompt_version)) "
    "ELSE coalesce(t.prompt_version, '') END"
)
_SUMS = ("input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_usd")
_JUDGED_TRACES = "evaluations e JOIN traces t ON t.trace_id = e.trace_id"
_SCORE_COUNTS = ("evaluations", "valued", "passed", "failed", "faults")


_Share: TypeAlias = Callable[[str], str]
"""The SELECT of what is added, for a period."""


def traces_share(period: str, where: str, *, source: str = "traces t", sign: str = ":sign") -> str:
    """The SELECT that counts traces; it takes ``:sign`` and what ``where`` takes."""
    sums = ", ".join(f"sum({sign} * t.{name}) AS {name}" for name in _SUMS)
    return (
        f"SELECT t.start_ns - t.start_ns % {PERIODS[period]} AS start_ns, t.model AS model, "  # noqa: S608 - our own SQL
        f"t.prompt_name AS prompt_name, {_VERSION} AS prompt_version, t.source AS source, "
        f"t.status AS status, sum({sign}) AS traces, "
        f"sum({sign} * (t.cost_usd IS NOT NULL)) AS priced, {sums}, "
        f"latency_histogram(t.end_ns - t.start_ns, {sign}) AS latency "
        f"FROM {source} WHERE {where} GROUP BY 1, 2, 3, t.prompt_version, 5, 6"
    )


def scores_share(
    period: str, where: str, *, source: str = _JUDGED_TRACES, sign: str = ":sign"
) -> str:
    """The SELECT that counts evaluations of traces that are there."""
    return (
        f"SELECT t.start_ns - t.start_ns % {PERIODS[period]} AS start_ns, t.model AS model, "  # noqa: S608 - our own SQL
        f"t.prompt_name AS prompt_name, {_VERSION} AS prompt_version, e.name AS name, "
        f"e.kind AS kind, sum({sign}) AS evaluations, "
        f"sum({sign} * (e.value IS NOT NULL)) AS valued, sum({sign} * e.value) AS value, "
        f"coalesce(sum({sign} * e.passed), 0) AS passed, "
        f"coalesce(sum({sign} * (NOT e.passed)), 0) AS failed, "
        f"sum({sign} * (e.fault IS NOT NULL)) AS faults "
        f"FROM {source} WHERE {where} GROUP BY 1, 2, 3, t.prompt_version, 5, 6"
    )


def ended_traces(period: str) -> str:
    """The SELECT of the runs of the responses after ``:first`` up to ``:last``."""
    ended = "r.id > :first AND r.id <= :last AND r.span IS NULL"
    return traces_share(period, ended, source=_ENDED)


def changed_traces(period: str) -> str:
    """The SELECT of the differences that triggers have noted."""
    return traces_share(period, "true", source="rollup_changes t", sign="t.sign")


def changed_scores(period: str) -> str:
    """The same for evaluations."""
    both = "score_changes t JOIN score_changes e ON e.id = t.id"
    return scores_share(period, "true", source=both, sign="t.sign")


_NAMED = "EXISTS (SELECT 1 FROM pruned p WHERE p.trace_id = t.trace_id)"
_PRESENT = "EXISTS (SELECT 1 FROM traces h WHERE h.trace_id = t.trace_id)"
_ENDED = "responses r JOIN traces t ON t.id = r.trace"
JUDGED = "e.id > :first AND e.id <= :last"


def count_ended(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Count the runs of the responses after ``first`` up to ``last``."""
    values = {"first": first, "last": last, "sign": 1}
    _add_traces(connection, ended_traces, HERE, values)


def count_judged(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Count the evaluations after ``first`` up to ``last``."""
    values = {"first": first, "last": last, "sign": 1}
    _add_scores(connection, lambda period: scores_share(period, JUDGED), HERE, values)


def add_changes(connection: sqlite3.Connection) -> None:
    """Add the differences that triggers have noted."""
    _add_traces(connection, changed_traces, HERE, {})
    _add_scores(connection, changed_scores, HERE, {})
    connection.execute("DELETE FROM rollup_changes")
    connection.execute("DELETE FROM score_changes")
    _remove_empty(connection)


def take_out_traces(
    connection: sqlite3.Connection, traces: Sequence[int], *, ended: int, judged: int, keep: bool
) -> None:
    """Before these rows of ``traces`` go: no longer count them as here; with ``keep``, count them
    as gone from here instead, so that charts stay as they are.

    ``ended`` and ``judged`` are the last response and evaluation that were counted.
    """
    here = {"rows": json.dumps(list(traces)), "ended": ended, "judged": judged}
    known = "t.id IN (SELECT value FROM json_each(:rows))"
    ended_and_counted = (
        "SELECT 1 FROM responses r WHERE r.trace = t.id AND r.span IS NULL AND r.id <= :ended"
    )
    counted = f"{known} AND EXISTS ({ended_and_counted})"
    scored = f"{known} AND e.id <= :judged"
    moves = [(-1, HERE, "true")]
    if keep:
        moves += [(1, GONE, f"NOT {_NAMED}"), (1, TWICE, _NAMED)]
    for sign, origin, which in moves:
        values = {**here, "sign": sign}
        share = partial(traces_share, where=f"{counted} AND {which}")
        _add_traces(connection, share, origin, values)
        share = partial(scores_share, where=f"{scored} AND {which}")
        _add_scores(connection, share, origin, values)
    if keep:
        pruned.remember(connection, _VERSION, f"{counted} AND NOT {_NAMED}", here)
    _remove_empty(connection)


def take_off_twice(connection: sqlite3.Connection) -> None:
    """After a merge: take off what is here and also counted under another name; anew each time,
    inside an open transaction."""
    for table in ("rollups", "score_rollups"):
        connection.execute(f"DELETE FROM {table} WHERE origin = ?", (TWICE,))  # noqa: S608 - our own names
    values = {"sign": -1}
    gone = "JOIN pruned p ON p.trace_id = t.trace_id"
    ended = "EXISTS (SELECT 1 FROM responses r WHERE r.trace = t.id AND r.span IS NULL)"
    traces, scores = f"traces t {gone}", f"{_JUDGED_TRACES} {gone}"
    _add_traces(connection, lambda p: traces_share(p, ended, source=traces), TWICE, values)
    _add_scores(connection, lambda p: scores_share(p, "true", source=scores), TWICE, values)


def count_gone(connection: sqlite3.Connection) -> None:
    """After shares came from elsewhere: count them anew, those of traces that are not here. Inside
    an open transaction."""
    for table in ("rollups", "score_rollups"):
        connection.execute(f"DELETE FROM {table} WHERE origin = ?", (GONE,))  # noqa: S608 - our own names
    _count_shares(connection, f"NOT {_PRESENT} AND NOT {_NAMED}", {"sign": 1})


def take_back(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> None:
    """Of traces that have come: no longer count the shares of those that retention had taken."""
    known = "SELECT value FROM json_each(?) WHERE value IN (SELECT trace_id FROM pruned_shares)"
    back = [row[0] for row in connection.execute(known, (json.dumps(list(trace_ids)),))]
    if back:
        where = f"t.trace_id IN (SELECT value FROM json_each(:back)) AND NOT {_NAMED}"  # noqa: S608
        _count_shares(connection, where, {"sign": -1, "back": json.dumps(back)})
        _remove_empty(connection)


def _count_shares(connection: sqlite3.Connection, where: str, values: Mapping[str, object]) -> None:
    scores = "pruned_evaluations e JOIN pruned_traces t ON t.trace_id = e.trace_id"
    traces = partial(traces_share, where=where, source="pruned_traces t")
    _add_traces(connection, traces, GONE, values)
    _add_scores(connection, partial(scores_share, where=where, source=scores), GONE, values)


def take_out_evaluations(connection: sqlite3.Connection, evaluations: Iterable[int]) -> None:
    """Before these evaluations, which were counted, are replaced or deleted."""
    wanted = {"rows": json.dumps(list(evaluations)), "sign": -1}
    within = "e.id IN (SELECT value FROM json_each(:rows))"
    _add_scores(connection, lambda period: scores_share(period, within), HERE, wanted)
    _remove_empty(connection)


def own_origin(connection: sqlite3.Connection) -> str:
    """The name under which this file counts what it has let go."""
    return str(connection.execute("SELECT database_id FROM identity").fetchone()[0])


def _add_traces(
    connection: sqlite3.Connection, share: _Share, origin: str, values: Mapping[str, object]
) -> None:
    sums = ", ".join(
        f"{name} = coalesce({name} + excluded.{name}, {name}, excluded.{name})" for name in _SUMS
    )
    ending = (
        "DO UPDATE SET traces = traces + excluded.traces, priced = priced + excluded.priced, "
        f"{sums}, latency = histogram_add(latency, excluded.latency)"
    )
    names = ", ".join((*TRACE_KEYS, "traces", "priced", *_SUMS, "latency"))
    for period in PERIODS:
        connection.execute(
            f"INSERT INTO rollups(origin, period, {names}) "  # noqa: S608 - our own SQL
            f"SELECT :origin, '{period}', {names} FROM ({share(period)}) WHERE true "
            f"ON CONFLICT(period, {', '.join(TRACE_KEYS)}, origin) {ending}",
            {**values, "origin": origin},
        )


def _add_scores(
    connection: sqlite3.Connection, share: _Share, origin: str, values: Mapping[str, object]
) -> None:
    counts = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SCORE_COUNTS)
    value = "coalesce(value + excluded.value, value, excluded.value)"
    ending = f"DO UPDATE SET {counts}, value = {value}"
    names = ", ".join((*SCORE_KEYS, *_SCORE_COUNTS, "value"))
    for period in PERIODS:
        connection.execute(
            f"INSERT INTO score_rollups(origin, period, {names}) "  # noqa: S608 - our own SQL
            f"SELECT :origin, '{period}', {names} FROM ({share(period)}) WHERE true "
            f"ON CONFLICT(period, {', '.join(SCORE_KEYS)}, origin) {ending}",
            {**values, "origin": origin},
        )


def _remove_empty(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM rollups WHERE traces = 0 AND latency IS NULL")
    connection.execute("DELETE FROM score_rollups WHERE evaluations = 0 AND valued = 0")
