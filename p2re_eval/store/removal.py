"""Traces on their way out: the index, the texts that only they used, and the row itself."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from p2re_eval.store import pruned, rollups
from p2re_eval.store.search import forget, watermark
from p2re_eval.store.upkeep import judged_watermark

_HERE = "(SELECT value FROM json_each(?))"


def delete_traces(connection: sqlite3.Connection, trace_ids: Sequence[str]) -> int:
    """Delete what a person asked to be deleted, with its spans, texts and judgements; gives how
    many traces are gone. What an experiment found stays in its report.

    Inside an open transaction. One walk over the tables that point to texts: some tenths of a
    second in a file of a million traces.
    """
    named = json.dumps(list(trace_ids))
    rows = connection.execute(
        f"SELECT id FROM traces WHERE trace_id IN {_HERE}",  # noqa: S608 - our own SQL
        (named,),
    ).fetchall()
    ids = [row[0] for row in rows]
    prompts, blobs = _used_by(connection, ids)
    remove_rows(connection, ids)
    pruned.forget(connection, trace_ids)
    for table in ("evaluation_history", "evaluations"):
        more = " AND experiment_id IS NULL" if table == "evaluations" else ""
        connection.execute(
            f"DELETE FROM {table} WHERE trace_id IN {_HERE}{more}",  # noqa: S608 - our own names
            (named,),
        )
    _delete_unused(connection, prompts, blobs)
    return len(ids)


def delete_securely(
    connection: sqlite3.Connection, trace_ids: Sequence[str], sessions: str, *, words: bool = False
) -> None:
    """The same for these traces and the sessions whose id begins so, with zeros where they stood;
    with ``words`` the index lets go of theirs at once, for which it is written anew.

    Inside an open transaction.
    """
    before = connection.execute("PRAGMA secure_delete").fetchone()[0]
    connection.execute("PRAGMA secure_delete = ON")
    try:
        delete_traces(connection, trace_ids)
        connection.execute(
            "DELETE FROM sessions WHERE session_id >= ? AND session_id < ?",
            (f"{sessions}-", f"{sessions}."),
        )
        if words:
            connection.execute("INSERT INTO search(search) VALUES ('optimize')")
    finally:
        connection.execute(f"PRAGMA secure_delete = {int(before)}")


def delete_session(connection: sqlite3.Connection, session_id: str) -> int:
    """Delete a session; its traces stay, each for itself. Inside an open transaction."""
    connection.execute("UPDATE traces SET session_id = NULL WHERE session_id = ?", (session_id,))
    sql = "DELETE FROM sessions WHERE session_id = ?"
    return connection.execute(sql, (session_id,)).rowcount


def delete_experiment(connection: sqlite3.Connection, experiment_id: str) -> int:
    """Delete an experiment with its results and what was judged in it; its traces stay. Inside an
    open transaction."""
    named = (experiment_id,)
    judged = connection.execute("SELECT id FROM evaluations WHERE experiment_id = ?", named)
    rows, counted = [row[0] for row in judged], judged_watermark(connection)
    rollups.take_out_evaluations(connection, [row for row in rows if row <= counted])
    for table in ("evaluations", "results", "assignments"):
        connection.execute(f"DELETE FROM {table} WHERE experiment_id = ?", named)  # noqa: S608 - our own names
    connection.execute("UPDATE traces SET experiment_id = NULL WHERE experiment_id = ?", named)
    sql = "DELETE FROM experiments WHERE experiment_id = ?"
    return connection.execute(sql, named).rowcount


def remove_rows(connection: sqlite3.Connection, ids: Sequence[int], *, keep: bool = False) -> None:
    """Take these rows of ``traces`` out, with what hangs on them; shared texts stay, and with
    ``keep`` so does what statistics count."""
    ended, judged = watermark(connection), judged_watermark(connection)
    rollups.take_out_traces(connection, ids, ended=ended, judged=judged, keep=keep)
    for row in ids:
        forget(connection, row)
        connection.execute("DELETE FROM traces WHERE id = ?", (row,))


def drop_texts(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Let go of the prompts, answers and attributes of these rows of ``traces``; previews, tokens
    and evaluations stay. Without its texts a run can be reused no more."""
    for row in ids:
        forget(connection, row)
        connection.execute("UPDATE traces SET prompt = NULL, run_key = NULL WHERE id = ?", (row,))
        connection.execute(
            "UPDATE spans SET prompt = NULL, run_key = NULL, attributes = NULL WHERE trace = ?",
            (row,),
        )
        connection.execute(
            "UPDATE responses SET message = NULL, reasoning = NULL, raw = NULL WHERE trace = ?",
            (row,),
        )


def drop_raw(connection: sqlite3.Connection, ids: Iterable[int]) -> None:
    """Let go of the services' raw answers of these rows of ``traces``, which repeat the rest."""
    for row in ids:
        connection.execute("UPDATE responses SET raw = NULL WHERE trace = ?", (row,))


def _used_by(connection: sqlite3.Connection, ids: Sequence[int]) -> tuple[set[int], set[int]]:
    """The prompts of these traces, and the texts of the prompts and answers."""
    here = json.dumps(list(ids))
    prompts = _numbers(
        connection,
        f"SELECT prompt FROM traces WHERE id IN {_HERE} "  # noqa: S608 - our own SQL
        f"UNION SELECT prompt FROM spans WHERE trace IN {_HERE}",
        (here, here),
    )
    asked = json.dumps(sorted(prompts))
    blobs = _numbers(
        connection,
        f"SELECT head FROM prompts WHERE id IN {_HERE} "  # noqa: S608 - our own SQL
        f"UNION SELECT blob FROM messages WHERE prompt IN {_HERE} "
        f"UNION SELECT message FROM responses WHERE trace IN {_HERE} "
        f"UNION SELECT reasoning FROM responses WHERE trace IN {_HERE} "
        f"UNION SELECT raw FROM responses WHERE trace IN {_HERE}",
        (asked, asked, here, here, here),
    )
    return prompts, blobs


def delete_unused_prompts(connection: sqlite3.Connection, among: Iterable[int]) -> int:
    """Delete those of these prompts that no run and no span has.

    The newest row stays as an empty shell: SQLite would give its number out again, and a sweep that
    has counted what is in use relies on numbers that only grow.
    """
    unused = (
        f"id IN {_HERE} AND NOT EXISTS (SELECT 1 FROM traces WHERE prompt = prompts.id) "  # noqa: S608 - our own SQL
        "AND NOT EXISTS (SELECT 1 FROM spans WHERE prompt = prompts.id)"
    )
    newest = "(SELECT max(id) FROM prompts)"
    named = (json.dumps(sorted(among)),)
    emptied = connection.execute(
        f"UPDATE prompts SET hash = randomblob(20), head = 0, variables = NULL "  # noqa: S608 - our own SQL
        f"WHERE id = {newest} AND {unused}",
        named,
    ).rowcount
    if emptied:
        connection.execute(f"DELETE FROM messages WHERE prompt = {newest}")  # noqa: S608 - our own SQL
    return connection.execute(
        f"DELETE FROM prompts WHERE id < {newest} AND {unused}",  # noqa: S608 - our own SQL
        named,
    ).rowcount


def _delete_unused(connection: sqlite3.Connection, prompts: set[int], blobs: set[int]) -> None:
    delete_unused_prompts(connection, prompts)
    wanted = json.dumps(sorted(blobs))
    used = _numbers(
        connection,
        f"SELECT head FROM prompts WHERE head IN {_HERE} "  # noqa: S608 - our own SQL
        f"UNION SELECT blob FROM messages WHERE blob IN {_HERE} "
        f"UNION SELECT message FROM responses WHERE message IN {_HERE} "
        f"UNION SELECT reasoning FROM responses WHERE reasoning IN {_HERE} "
        f"UNION SELECT raw FROM responses WHERE raw IN {_HERE}",
        (wanted,) * 5,
    )
    unused = json.dumps(sorted(blobs - used))
    connection.execute(f"DELETE FROM blobs WHERE id IN {_HERE}", (unused,))  # noqa: S608 - our own SQL


def _numbers(connection: sqlite3.Connection, sql: str, values: tuple[str, ...]) -> set[int]:
    return {row[0] for row in connection.execute(sql, values) if row[0] is not None}
