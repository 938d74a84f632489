"""What is brought up to date behind the writes, in small batches: full-text index and rollups.

Two watermarks in ``sync_state`` say how far: the last response that is indexed and counted, and
the last evaluation that is counted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from p2re_eval.store import rollups, search

if TYPE_CHECKING:
    from p2re_eval.store.transaction import Memory

_COUNT_WAITING = """
INSERT INTO score_changes(sign, start_ns, model, prompt_name, prompt_version, name, kind, value,
  passed, fault)
SELECT 1, t.start_ns, t.model, t.prompt_name, t.prompt_version, e.name, e.kind, e.value, e.passed,
  e.fault
FROM json_each(?) n CROSS JOIN evaluations e ON e.trace_id = n.value
CROSS JOIN traces t ON t.trace_id = e.trace_id WHERE e.id <= ?
"""
_JUDGED = "SELECT watermark FROM sync_state WHERE target = 'rollups' AND stream = 'evaluations'"
_MOVE_JUDGED = (
    "INSERT INTO sync_state(target, stream, watermark) VALUES ('rollups', 'evaluations', ?) "
    "ON CONFLICT DO UPDATE SET watermark = excluded.watermark"
)


def judged_watermark(connection: sqlite3.Connection) -> int:
    """The last evaluation that is counted."""
    found = connection.execute(_JUDGED).fetchone()
    return 0 if found is None else int(found[0])


def count_new(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> None:
    """Of traces that are new in the file, count what was said before they came, as the watermark
    has passed such judgements by; and those that retention took once count from their rows again.
    Inside an open transaction."""
    rollups.take_back(connection, trace_ids)
    connection.execute(_COUNT_WAITING, (json.dumps(trace_ids), judged_watermark(connection)))


def feed(connection: sqlite3.Connection, limit: int, memory: Memory | None = None) -> bool:
    """Index and count the next ``limit`` responses, and count as many evaluations, in a transaction
    of its own; False when none is left. ``memory`` is the connection's, where it has one."""
    if not is_behind(connection):
        return False
    connection.execute("BEGIN IMMEDIATE")
    try:
        if memory is not None:
            memory.look(connection)
        feed_batch(connection, limit)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return is_behind(connection)


def feed_batch(connection: sqlite3.Connection, limit: int) -> None:
    """The same inside an open transaction."""
    first = search.watermark(connection)
    last = _last_of(connection, "responses", first, limit)
    if last is not None:  # else another process was faster
        search.index(connection, first, last)
        rollups.count_ended(connection, first, last)
    first = judged_watermark(connection)
    last = _last_of(connection, "evaluations", first, limit)
    if last is not None:
        rollups.count_judged(connection, first, last)
        connection.execute(_MOVE_JUDGED, (last,))
    if _has_changes(connection):
        rollups.add_changes(connection)


def is_behind(connection: sqlite3.Connection) -> bool:
    """Whether something has ended or was judged that is not yet indexed and counted."""
    responses, evaluations = connection.execute(
        "SELECT (SELECT max(id) FROM responses), (SELECT max(id) FROM evaluations)"
    ).fetchone()
    return (
        (responses or 0) > search.watermark(connection)
        or (evaluations or 0) > judged_watermark(connection)
        or _has_changes(connection)
    )


def runs_behind(connection: sqlite3.Connection) -> int:
    """How many endings, at most, are not yet indexed and counted."""
    newest = connection.execute("SELECT coalesce(max(id), 0) FROM responses").fetchone()[0]
    return int(newest) - search.watermark(connection)


def forget_ending(connection: sqlite3.Connection, trace: int) -> None:
    """Before a trace's answer leaves its place: out of the index, and no longer counted."""
    search.forget(connection, trace)
    ended = search.watermark(connection)
    rollups.take_out_traces(connection, [trace], ended=ended, judged=0, keep=False)


def _has_changes(connection: sqlite3.Connection) -> bool:
    sql = "SELECT EXISTS (SELECT 1 FROM rollup_changes) OR EXISTS (SELECT 1 FROM score_changes)"
    return bool(connection.execute(sql).fetchone()[0])


def _last_of(connection: sqlite3.Connection, table: str, first: int, limit: int) -> int | None:
    found = connection.execute(
        f"SELECT max(id) FROM (SELECT id FROM {table} WHERE id > ? ORDER BY id LIMIT ?)",  # noqa: S608 - our own names
        (first, limit),
    ).fetchone()[0]
    return None if found is None else int(found)
