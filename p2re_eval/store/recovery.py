"""What an opening finds: runs that dead processes left behind."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from p2re_eval.store.processes import Process, is_dead, this_process
from p2re_eval.store.transaction import roll_back


def enter(connection: sqlite3.Connection, now_ns: int) -> int:
    """The id of this opening, which its running traces carry."""
    here = this_process()
    row = connection.execute(
        "INSERT INTO processes(host, boot, pid, started, opened_ns) VALUES (?, ?, ?, ?, ?)",
        (here.host, here.boot, here.pid, here.started, now_ns),
    ).lastrowid
    assert row is not None
    return row


def abandon_the_dead(connection: sqlite3.Connection, now_ns: int) -> None:
    """Mark what dead processes were at as ABANDONED; the living are left alone."""
    openings = connection.execute(
        "SELECT id, host, boot, pid, started, opened_ns FROM processes"
    ).fetchall()
    dead = [
        row
        for row, host, boot, pid, started, opened_ns in openings
        if is_dead(Process(host, boot, pid, started), opened_ns=opened_ns, now_ns=now_ns)
    ]
    if dead:
        _abandon(connection, dead, experiments=True)


def leave(connection: sqlite3.Connection, process: int) -> None:
    """A clean end: nobody will finish this opening's traces; an experiment may go on elsewhere."""
    _abandon(connection, [process], experiments=False)


def _abandon(connection: sqlite3.Connection, processes: Iterable[int], experiments: bool) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for process in processes:
            _abandon_traces(connection, process)
            if experiments:
                connection.execute(
                    "UPDATE experiments SET status = 'ABANDONED', process = NULL "
                    "WHERE status = 'RUNNING' AND process = ?",
                    (process,),
                )
            connection.execute(
                "DELETE FROM processes WHERE id = ? AND NOT EXISTS ("
                "SELECT 1 FROM experiments WHERE status = 'RUNNING' AND process = ?)",
                (process, process),
            )
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def _abandon_traces(connection: sqlite3.Connection, process: int) -> None:
    """Each gets an empty response, so that its prompt too enters the full-text index."""
    connection.execute(
        "INSERT INTO responses(trace) "
        "SELECT id FROM traces WHERE status = 'RUNNING' AND process = ?",
        (process,),
    )
    connection.execute(
        "UPDATE traces SET status = 'ABANDONED', process = NULL "
        "WHERE status = 'RUNNING' AND process = ?",
        (process,),
    )
