"""A/B experiments on live traffic: definitions, assignments and outcomes in the tables."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.records import Assignment, OnlineExperiment, Record, UnitOutcomes
from p2re_eval.store.payloads import record_of
from p2re_eval.store.transaction import Transaction

_OUTCOMES = """
WITH judged AS (
  SELECT u.variant, u.unit, coalesce(v.value, v.passed) AS value
    FROM unit_assignments u
    JOIN exposures e ON e.experiment = u.experiment AND e.unit = u.unit
    JOIN evaluations v ON v.trace_id = e.trace_id
    WHERE u.experiment = :experiment AND v.name = :outcome
  UNION ALL
  SELECT u.variant, u.unit, coalesce(v.value, v.passed)
    FROM unit_assignments u
    JOIN evaluations v ON v.trace_id = 'unit:' || u.experiment || ':' || u.unit
    WHERE u.experiment = :experiment AND v.name = :outcome
)
SELECT variant, avg(value) AS value FROM judged WHERE value IS NOT NULL GROUP BY variant, unit
"""


def unit_target(experiment: str, unit: str) -> str:
    """What an evaluation of a unit, rather than of a trace, is filed under."""
    return f"unit:{experiment}:{unit}"


def start_online(transaction: Transaction, experiment: OnlineExperiment) -> None:
    """A new experiment. Raises UsageError when there is one of this name: units would move."""
    known = transaction.connection.execute(
        "SELECT 1 FROM online_experiments WHERE name = ?", (experiment.name,)
    ).fetchone()
    if known:
        raise UsageError(
            f"there is an experiment '{experiment.name}' already; its variants cannot change while "
            "people have them: stop it and start another"
        )
    transaction.connection.execute(
        "INSERT INTO online_experiments(name, status, started_ns, body) VALUES (?, ?, ?, ?)",
        (
            experiment.name,
            experiment.status,
            experiment.started_ns,
            transaction.redaction.record(experiment),
        ),
    )


def save_online(transaction: Transaction, experiment: OnlineExperiment) -> None:
    """An experiment that is known, as it is now."""
    transaction.connection.execute(
        "UPDATE online_experiments SET status = ?, body = ? WHERE name = ?",
        (experiment.status, transaction.redaction.record(experiment), experiment.name),
    )


def read_online(connection: sqlite3.Connection, name: str, path: Path) -> OnlineExperiment:
    """The experiment of this name. Raises NoSuchRecord."""
    row = connection.execute(
        "SELECT body FROM online_experiments WHERE name = ?", (name,)
    ).fetchone()
    if row is None:
        names = [one.name for one in list_online(connection)]
        what = f"{path}: no A/B experiment '{name}'{did_you_mean(name, names)}"
        raise NoSuchRecord(f"{what}; `p2re experiments list` shows those there are", path=path)
    return record_of(OnlineExperiment, row["body"])


def list_online(connection: sqlite3.Connection) -> list[OnlineExperiment]:
    """All of them, the newest first."""
    rows = connection.execute("SELECT body FROM online_experiments ORDER BY id DESC")
    return [record_of(OnlineExperiment, row[0]) for row in rows]


class UnitRow(Record):
    """Who got what, and since when."""

    unit: str
    variant: str
    assigned_ns: int


def list_units(
    connection: sqlite3.Connection, name: str, *, limit: int, after: str | None = None
) -> list[UnitRow]:
    """The units of an experiment by name, from after this one."""
    rows = connection.execute(
        "SELECT unit, variant, assigned_ns FROM unit_assignments "
        "WHERE experiment = ? AND unit > ? ORDER BY unit LIMIT ?",
        (name, after or "", limit),
    )
    return [UnitRow(**dict(row)) for row in rows]


def keep_assignment(transaction: Transaction, assignment: Assignment) -> None:
    """Who got what, the first time; said again it changes nothing."""
    transaction.connection.execute(
        "INSERT INTO unit_assignments(experiment, unit, variant, assigned_ns) VALUES (?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING",
        (
            assignment.experiment,
            assignment.unit,
            assignment.variant.name,
            transaction.now_ns,
        ),
    )


def unit_outcomes(
    connection: sqlite3.Connection, experiment: OnlineExperiment
) -> list[UnitOutcomes]:
    """Each variant's units, in the experiment's order. A unit's outcome is the mean over its
    traces: the unit was assigned, not the trace."""
    assigned: dict[str, int] = dict(
        connection.execute(
            "SELECT variant, count(*) FROM unit_assignments WHERE experiment = ? GROUP BY variant",
            (experiment.name,),
        ).fetchall()
    )
    outcomes: dict[str, list[float]] = {}
    wanted = {"experiment": experiment.name, "outcome": experiment.outcome}
    for variant, value in connection.execute(_OUTCOMES, wanted):
        outcomes.setdefault(variant, []).append(float(value))
    return [
        UnitOutcomes(
            variant=one.name,
            assigned=assigned.get(one.name, 0),
            outcomes=tuple(outcomes.get(one.name, ())),
        )
        for one in experiment.variants
    ]
