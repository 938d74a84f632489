"""Several databases as one, in whatever order they are named, and however often.

Everything is taken by its id in the order of ids. What stands in more than one database is decided
by what it says, never by where it stands: an ended trace beats one that was cut off, the later
judgement the earlier, and of two that are equal in that the one whose text is greater. What
retention took counts by trace; the sums of files of old stay apart by origin, and of one origin the
larger is kept.
"""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, repeat
from pathlib import Path

from p2re_eval.records import Evaluation, Experiment, Trace
from p2re_eval.store import experiment_queries, pruned, rollups, trace_queries, transfer
from p2re_eval.store.jobs import (
    FinishExperiment,
    FinishTrace,
    SaveEvaluations,
    SavePromptVersion,
    SaveResult,
    StartSession,
)
from p2re_eval.store.online_transfer import online_lines, says_more
from p2re_eval.store.transaction import Transaction
from p2re_eval.store.transfer import Line, MoveLabel, line_text

_BATCH = 200


@dataclass(frozen=True)
class Source:
    """A database that is read; rows go by column name."""

    connection: sqlite3.Connection
    path: Path


def merge_databases(
    sources: Sequence[Source], transaction: Callable[[], Transaction], target: Source
) -> dict[str, int]:
    """Take everything of the sources into the target; gives how many lines of each kind were
    written. Merging again writes nothing, and the order of the sources does not matter (but for
    the numbers of prompt versions that the target knew before).

    In batches, each a transaction; one that was interrupted is merged again. Raises StoreError.
    """
    everybody = [target, *sources]
    counts: dict[str, int] = {}
    batch: list[Line] = []
    for line in _lines(everybody):
        counts[line.write] = counts.get(line.write, 0) + 1
        batch.append(line)
        if len(batch) >= _BATCH:
            transfer.write_lines(transaction(), batch)
            batch = []
    if batch:
        transfer.write_lines(transaction(), batch)
    _merge_pruned(sources, transaction())
    return counts


def _lines(everybody: Sequence[Source]) -> Iterator[Line]:
    yield from _prompt_lines(everybody)
    yield from _winners(everybody, _sessions, line_text)
    yield from _online_lines(everybody)
    yield from _trace_lines(everybody)
    yield from _winners(everybody, _stray, line_text)
    yield from _experiment_lines(everybody)


def _online_lines(everybody: Sequence[Source]) -> Iterator[Line]:
    target, *others = everybody
    for one in others:
        for line in online_lines(one.connection):
            if says_more(target.connection, line):
                yield line


def _prompt_lines(everybody: Sequence[Source]) -> Iterator[Line]:
    """Versions and labels' moves that the target does not have: versions first, each in the order
    of time, so that numbers are given as one database would have given them."""
    known = {_prompt_key(line) for line in transfer.prompt_lines(everybody[0].connection)}
    found: dict[tuple[str, ...], Line] = {}
    for one in everybody[1:]:
        for line in transfer.prompt_lines(one.connection):
            key = _prompt_key(line)
            if key not in found or _prompt_moment(line) < _prompt_moment(found[key]):
                found[key] = line
    news = [(_prompt_moment(found[key]), key) for key in found.keys() - known]
    for _, key in sorted(news):
        yield found[key]


def _prompt_key(line: Line) -> tuple[str, ...]:
    if isinstance(line, SavePromptVersion):
        return "version", line.template.name, line.template.version
    assert isinstance(line, MoveLabel)
    return "label", line.name, line.label, line.version or "", str(line.moved_ns)


def _prompt_moment(line: Line) -> tuple[int, int]:
    if isinstance(line, SavePromptVersion):
        return 0, line.created_ns or 0
    assert isinstance(line, MoveLabel)
    return 1, line.moved_ns


def _trace_lines(everybody: Sequence[Source]) -> Iterator[Line]:
    for trace_id, holders in _by_id(everybody, _trace_ids):
        if holders == [everybody[0]]:
            continue
        traces = {
            index: trace_queries.read_trace(one.connection, trace_id, one.path)
            for index, one in enumerate(holders)
        }
        best = max(traces, key=lambda index: _trace_rank(traces[index]))
        winner, target = holders[best], everybody[0]
        here = traces[holders.index(target)] if target in holders else None
        for line in transfer.trace_lines(winner.connection, trace_id, winner.path):
            if isinstance(line, SaveEvaluations) or (
                isinstance(line, FinishTrace) and line.trace == here
            ):
                continue
            if here is None or here != traces[best]:
                yield line
        yield from _evaluation_lines(holders, target, trace_id)


def _evaluation_lines(holders: Sequence[Source], target: Source, trace_id: str) -> Iterator[Line]:
    best: dict[tuple[str, ...], Evaluation] = {}
    for one in holders:
        for evaluation in trace_queries.evaluations(one.connection, trace_id):
            key = (evaluation.name, evaluation.identifier, evaluation.experiment_id or "")
            if key not in best or _evaluation_rank(evaluation) > _evaluation_rank(best[key]):
                best[key] = evaluation
    here = trace_queries.evaluations(target.connection, trace_id) if target in holders else []
    news = [best[key] for key in sorted(best) if best[key] not in here]
    if news:
        yield SaveEvaluations(tuple(news))
    known = list(transfer.past_lines(target.connection, trace_id))
    for one in holders:
        yield from (
            line for line in transfer.past_lines(one.connection, trace_id) if line not in known
        )


def _experiment_lines(everybody: Sequence[Source]) -> Iterator[Line]:
    for experiment_id, holders in _by_id(everybody, _experiment_ids):
        if holders == [everybody[0]]:
            continue
        found = [
            experiment_queries.read_experiment(one.connection, experiment_id, one.path)
            for one in holders
        ]
        best = max(found, key=_experiment_rank)
        if everybody[0] not in holders or best != found[holders.index(everybody[0])]:
            yield FinishExperiment(best)
        yield from _result_lines(holders, everybody[0], experiment_id)


def _result_lines(holders: Sequence[Source], target: Source, experiment_id: str) -> Iterator[Line]:
    best: dict[tuple[str, ...], SaveResult] = {}
    here: dict[tuple[str, ...], SaveResult] = {}
    for one in holders:
        for result in experiment_queries.results(one.connection, experiment_id):
            line = SaveResult(result.model_copy(update={"evaluations": ()}))
            key = (result.suite, result.prompt, result.model, result.case_id, str(result.repeat))
            if key not in best or line_text(line) > line_text(best[key]):
                best[key] = line
            if one is target:
                here[key] = line
    for place in sorted(best):
        if best[place] != here.get(place):
            yield best[place]


def _winners(
    everybody: Sequence[Source],
    lines: Callable[[Source], Iterator[tuple[str, Line]]],
    rank: Callable[[Line], object],
) -> Iterator[Line]:
    """Of each key the greatest line, where the target does not have it already."""
    here = dict(lines(everybody[0]))
    found = dict(here)
    for one in everybody[1:]:
        for key, line in lines(one):
            if key not in found or str(rank(line)) > str(rank(found[key])):
                found[key] = line
    for key in sorted(found):
        if here.get(key) != found[key]:
            yield found[key]


def _sessions(source: Source) -> Iterator[tuple[str, Line]]:
    for line in transfer.session_lines(source.connection):
        assert isinstance(line, StartSession)
        yield line.session.session_id, line


def _stray(source: Source) -> Iterator[tuple[str, Line]]:
    for line in transfer.stray_evaluations(source.connection):
        assert isinstance(line, SaveEvaluations)
        one = line.evaluations[0]
        key = (one.trace_id, one.name, one.identifier, one.experiment_id or "")
        yield json.dumps(key), line


def _by_id(
    everybody: Sequence[Source], ids: Callable[[sqlite3.Connection], Iterator[str]]
) -> Iterator[tuple[str, list[Source]]]:
    """Each id with the databases that hold it, in the order of ids."""
    streams = [zip(ids(source.connection), repeat(index)) for index, source in enumerate(everybody)]
    for key, group in groupby(heapq.merge(*streams), key=lambda pair: pair[0]):
        yield key, [everybody[index] for _, index in group]


def _trace_ids(connection: sqlite3.Connection) -> Iterator[str]:
    yield from _ordered(connection, "traces", "trace_id")


def _experiment_ids(connection: sqlite3.Connection) -> Iterator[str]:
    yield from _ordered(connection, "experiments", "experiment_id")


def _ordered(connection: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    last = ""
    while True:
        sql = f"SELECT {column} FROM {table} WHERE {column} > ? ORDER BY {column} LIMIT {_BATCH}"  # noqa: S608 - our own names
        page = [row[0] for row in connection.execute(sql, (last,))]
        yield from page
        if len(page) < _BATCH:
            return
        last = page[-1]


def _trace_rank(trace: Trace) -> tuple[object, ...]:
    ended = ("RUNNING", "ABANDONED", "ERROR", "OK").index(trace.status)
    whole = bool(trace.prompt.messages)
    return ended > 1, whole, trace.end_ns or 0, ended, line_text(FinishTrace(trace))


def _evaluation_rank(evaluation: Evaluation) -> tuple[object, ...]:
    return evaluation.created_ns, line_text(SaveEvaluations((evaluation,)))


def _experiment_rank(experiment: Experiment) -> tuple[object, ...]:
    over = ("RUNNING", "ABANDONED", "INTERRUPTED", "COMPLETE").index(experiment.status)
    return over, experiment.ended_ns or 0, line_text(FinishExperiment(experiment))


def _merge_pruned(sources: Iterable[Source], transaction: Transaction) -> None:
    """What retention took elsewhere: each trace by its share, and the sums of files of old under
    the names of those files."""
    connection = transaction.connection
    connection.execute("BEGIN IMMEDIATE")
    try:
        for source in sources:
            for table, count in (("rollups", "traces"), ("score_rollups", "evaluations")):
                _merge_table(source.connection, connection, table, count)
            _merge_names(source.connection, connection)
            pruned.take_over(source.connection, connection)
        rollups.take_off_twice(connection)
        rollups.count_gone(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _merge_table(
    source: sqlite3.Connection, target: sqlite3.Connection, table: str, count: str
) -> None:
    mine = (rollups.HERE, rollups.TWICE, pruned.GONE)
    rows = source.execute(f"SELECT * FROM {table} WHERE origin NOT IN (?, ?, ?)", mine)  # noqa: S608 - our own names
    names = [column[0] for column in rows.description]
    keys = rollups.TRACE_KEYS if table == "rollups" else rollups.SCORE_KEYS
    news = ", ".join(f"{name} = excluded.{name}" for name in names if name not in keys)
    target.executemany(
        f"INSERT INTO {table}({', '.join(names)}) VALUES ({', '.join('?' * len(names))}) "  # noqa: S608 - our own names
        f"ON CONFLICT(period, {', '.join(keys)}, origin) DO UPDATE SET {news} "
        f"WHERE excluded.{count} > {table}.{count}",
        [tuple(row) for row in rows],
    )


def _merge_names(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Which traces were let go of, under the name of the file that counts them."""
    theirs, ours = rollups.own_origin(source), rollups.own_origin(target)
    rows = source.execute("SELECT trace_id, origin FROM pruned")
    named = ((trace_id, origin or theirs) for trace_id, origin in rows)
    target.executemany(
        "INSERT OR IGNORE INTO pruned(trace_id, origin) VALUES (?, ?)",
        ((trace_id, rollups.HERE if origin == ours else origin) for trace_id, origin in named),
    )
