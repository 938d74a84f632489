"""Numbered steps from an empty file to today's tables, each in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from p2re_eval.errors import NewerSchema
from p2re_eval.store.before_migrating import back_up, refuse_without_room, tell
from p2re_eval.store.schema import APPLICATION_ID, TABLES, statements
from p2re_eval.store.steps.budget_and_quarantine import add_spending_and_quarantine
from p2re_eval.store.steps.call_views import add_call_views
from p2re_eval.store.steps.capture_tables import add_capture
from p2re_eval.store.steps.comparable_results import make_results_comparable
from p2re_eval.store.steps.failed_traces import find_failures
from p2re_eval.store.steps.online_tables import add_online_experiments
from p2re_eval.store.steps.pruned_shares import keep_pruned_shares
from p2re_eval.store.steps.pruned_traces import remember_pruned_traces
from p2re_eval.store.steps.record_tables import add_record_tables
from p2re_eval.store.steps.session_totals import keep_session_totals
from p2re_eval.store.steps.sync_ledger import add_sync_ledger
from p2re_eval.store.steps.texts_nearby import find_texts_nearby

Step: TypeAlias = Callable[[sqlite3.Connection], None]
"""Changes the tables inside a transaction that is already open."""


def create_tables(connection: sqlite3.Connection) -> None:
    """Step 1."""
    for statement in statements(TABLES):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


STEPS: tuple[Step, ...] = (
    create_tables,
    make_results_comparable,
    add_capture,
    add_record_tables,
    add_spending_and_quarantine,
    add_online_experiments,
    add_sync_ledger,
    find_texts_nearby,
    add_call_views,
    remember_pruned_traces,
    find_failures,
    keep_pruned_shares,
    keep_session_totals,
)
"""Step N takes a file from version N-1 to N. Steps that were released never change."""


def migrate(
    connection: sqlite3.Connection, path: Path, steps: Sequence[Step] = STEPS
) -> Path | None:
    """Bring the file to version ``len(steps)``; gives the backup made of an older file.

    Raises NewerSchema for a file that this version does not know, StoreFull without room on the
    disk. A large file's steps are told on standard error.
    """
    version = schema_version(connection)
    refuse_newer(version, path, known=len(steps))
    if version == len(steps):
        return None
    backup = _copied(connection, path, version) if version else None
    for number, step in enumerate(steps[version:], start=version + 1):
        if version:
            tell(path, f"to newer tables, step {number} of {len(steps)}")
        _take(connection, step, number)
    if not version:  # in an old file what is written next takes the pages of replaced tables
        connection.execute("PRAGMA incremental_vacuum").fetchall()
    return backup


def _copied(connection: sqlite3.Connection, path: Path, version: int) -> Path:
    refuse_without_room(path, version)
    tell(path, "backing it up before its tables change")
    return back_up(connection, path, version)


def schema_version(connection: sqlite3.Connection) -> int:
    """How many steps the file has taken; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def refuse_newer(version: int, path: Path, *, known: int = len(STEPS)) -> None:
    """Raises NewerSchema when the file has taken steps that this code does not know."""
    if version > known:
        raise NewerSchema(
            f"{path}: a newer p2re_eval wrote this database (schema {version}, this one knows "
            f"{known}); upgrade p2re-eval, or use another path",
            path=path,
        )


def _take(connection: sqlite3.Connection, step: Step, number: int) -> None:
    keys = int(connection.execute("PRAGMA foreign_keys").fetchone()[0])
    connection.execute("PRAGMA foreign_keys = OFF")  # a table that is replaced is not emptied
    try:
        _take_alone(connection, step, number)
    finally:
        connection.execute(f"PRAGMA foreign_keys = {keys}")


def _take_alone(connection: sqlite3.Connection, step: Step, number: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if schema_version(connection) < number:  # else another process was faster
            step(connection)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
