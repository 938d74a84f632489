"""What each trace that retention took came to, so that two files that both let go of it count it
once: a sum over many traces could not be taken apart again.

What tells a row of ``rollups`` is kept once for all its traces. Some 50 bytes a trace, of the two
thousand that it had, and as many for each judgement.
"""

from __future__ import annotations

import sqlite3

from p2re_eval.store.schema import statements

_TABLES = """
CREATE TABLE pruned_cells (
  id INTEGER PRIMARY KEY,
  start_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  prompt_version TEXT NOT NULL,
  source TEXT NOT NULL,
  status TEXT NOT NULL,
  UNIQUE (start_ns, model, prompt_name, prompt_version, source, status)
);
CREATE TABLE pruned_shares (
  trace_id TEXT NOT NULL PRIMARY KEY,
  cell INTEGER NOT NULL REFERENCES pruned_cells(id),
  duration_ns INTEGER,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL
) WITHOUT ROWID;
CREATE TABLE pruned_evaluations (
  trace_id TEXT NOT NULL,
  number INTEGER NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  value REAL,
  passed INTEGER,
  fault INTEGER,
  PRIMARY KEY (trace_id, number)
) WITHOUT ROWID;
CREATE VIEW pruned_traces AS
  SELECT s.trace_id, c.start_ns, c.start_ns + s.duration_ns AS end_ns, c.model, c.prompt_name,
    c.prompt_version, c.source, c.status, s.input_tokens, s.output_tokens, s.cached_tokens,
    s.reasoning_tokens, s.cost_usd
  FROM pruned_shares s JOIN pruned_cells c ON c.id = s.cell;
"""


def keep_pruned_shares(connection: sqlite3.Connection) -> None:
    """Empty: what was pruned before stays known as a sum and by its ids."""
    for statement in statements(_TABLES):
        connection.execute(statement)
