"""A/B experiments on their way from one database into another: definitions, and who got what.

What both databases have is decided by what it says, so that the order does not matter: an
experiment that was stopped beats one that runs; of two that only share their name the one that was
started first stays; and a unit keeps the variant that it got first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from p2re_eval.records import OnlineExperiment
from p2re_eval.store.payloads import record_of
from p2re_eval.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class KeepOnline:
    """An A/B experiment as it stands."""

    experiment: OnlineExperiment
    write: Literal["keep_online"] = "keep_online"


@dataclass(frozen=True, slots=True)
class KeepUnit:
    """The variant that a unit got, and when."""

    experiment: str
    unit: str
    variant: str
    assigned_ns: int
    write: Literal["keep_unit"] = "keep_unit"


def online_lines(connection: sqlite3.Connection) -> Iterator[KeepOnline | KeepUnit]:
    """Experiments by name, then their units."""
    for row in connection.execute("SELECT body FROM online_experiments ORDER BY name"):
        yield KeepOnline(record_of(OnlineExperiment, row[0]))
    for row in connection.execute(
        "SELECT experiment, unit, variant, assigned_ns FROM unit_assignments "
        "ORDER BY experiment, unit"
    ):
        yield KeepUnit(*row)


def says_more(connection: sqlite3.Connection, line: KeepOnline | KeepUnit) -> bool:
    """Whether the line would change what this database has."""
    if isinstance(line, KeepOnline):
        known = _known(connection, line.experiment.name)
        return known is None or _rank(line.experiment) > _rank(known)
    row = connection.execute(
        "SELECT assigned_ns, variant FROM unit_assignments WHERE experiment = ? AND unit = ?",
        (line.experiment, line.unit),
    ).fetchone()
    return row is None or (line.assigned_ns, line.variant) < tuple(row)


def write_line(transaction: Transaction, line: KeepOnline | KeepUnit) -> None:
    """Write what says more than what is there."""
    if not says_more(transaction.connection, line):
        return
    if isinstance(line, KeepOnline):
        one = line.experiment
        transaction.connection.execute(
            "INSERT INTO online_experiments(name, status, started_ns, body) VALUES (?, ?, ?, ?) "
            "ON CONFLICT(name) DO UPDATE SET status = excluded.status, "
            "started_ns = excluded.started_ns, body = excluded.body",
            (one.name, one.status, one.started_ns, transaction.redaction.record(one)),
        )
        return
    transaction.connection.execute(
        "INSERT INTO unit_assignments(experiment, unit, variant, assigned_ns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT(experiment, unit) DO UPDATE SET variant = excluded.variant, "
        "assigned_ns = excluded.assigned_ns",
        (line.experiment, line.unit, line.variant, line.assigned_ns),
    )


def _known(connection: sqlite3.Connection, name: str) -> OnlineExperiment | None:
    row = connection.execute(
        "SELECT body FROM online_experiments WHERE name = ?", (name,)
    ).fetchone()
    return None if row is None else record_of(OnlineExperiment, row[0])


def _rank(one: OnlineExperiment) -> tuple[int, str, bool, str]:
    """The greater one stays."""
    return -one.started_ns, one.salt, one.status == "STOPPED", one.model_dump_json()
