"""A/B experiments on live traffic.

``assignments`` of the first step says what an experiment over suites ran; ``unit_assignments`` says
which variant a unit of live traffic got, once. ``exposures`` (of the capture step) ties traces to
units; outcomes are evaluations of those traces, or of a unit itself (``unit:EXPERIMENT:UNIT``).
"""

from __future__ import annotations

import sqlite3

from p2re_eval.store.schema import statements

ONLINE_TABLES = """
CREATE TABLE online_experiments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  status TEXT NOT NULL CHECK (status IN ('RUNNING', 'STOPPED')),
  started_ns INTEGER NOT NULL,
  body TEXT NOT NULL
);

CREATE TABLE unit_assignments (
  experiment TEXT NOT NULL,
  unit TEXT NOT NULL,
  variant TEXT NOT NULL,
  assigned_ns INTEGER NOT NULL,
  PRIMARY KEY (experiment, unit)
) WITHOUT ROWID;
CREATE INDEX exposures_of_unit ON exposures(experiment, unit);
"""


def add_online_experiments(connection: sqlite3.Connection) -> None:
    """Experiments, and who got which variant."""
    for statement in statements(ONLINE_TABLES):
        connection.execute(statement)
