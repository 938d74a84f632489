"""What captured traces need beyond our own runs.

A captured trace has its root in ``spans`` too, for its attributes and events; prompt and answer of
the root stand with the trace, as those of any run do, so that a response is never kept twice. While
``traces.span_id`` is empty, the root has not come yet. Exposures are keyed by ids, not by foreign
keys: what an A/B experiment has counted stays when retention takes the trace.
"""

from __future__ import annotations

import sqlite3

from p2re_eval.store.schema import statements

CAPTURE_TABLES = """
ALTER TABLE traces ADD COLUMN kind TEXT NOT NULL DEFAULT 'LLM';
ALTER TABLE traces ADD COLUMN user TEXT;
ALTER TABLE spans ADD COLUMN events TEXT;
CREATE INDEX traces_by_user ON traces(user) WHERE user IS NOT NULL;

CREATE TABLE exposures (
  experiment TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  variant TEXT NOT NULL,
  unit TEXT NOT NULL,
  seen_ns INTEGER NOT NULL,
  PRIMARY KEY (experiment, trace_id)
) WITHOUT ROWID;
CREATE INDEX exposures_of_trace ON exposures(trace_id);
"""


def add_capture(connection: sqlite3.Connection) -> None:
    """Kinds and users of traces, events of spans, and exposures."""
    for statement in statements(CAPTURE_TABLES):
        connection.execute(statement)
