"""The tables, as the first migration makes them.

Every table's ``id`` is the order of insertion and so the cursor of a page. ``traces`` is narrow:
lists and statistics read nothing else. Texts live once each in ``blobs``; the columns that point
there are ``messages.blob``, ``prompts.head`` (name, version, settings, tools and schema: the same
for all cases of a suite) and ``responses.message``, ``.reasoning``, ``.raw``. ``prompts.variables``
is compressed against the prompt's messages, which mostly repeat it. A row in ``responses`` means
that a run (``span`` NULL) or a child span has ended; its ids are the watermark of the full-text
index; model, tokens and cost of a run stand in ``traces`` alone.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

APPLICATION_ID = 0x50325245
"""``P2RE`` in ASCII: how SQLite's file header names our files."""

TABLES = """
CREATE TABLE processes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  host TEXT NOT NULL,
  boot TEXT NOT NULL,
  pid INTEGER NOT NULL,
  started TEXT NOT NULL,
  opened_ns INTEGER NOT NULL
);

CREATE TABLE blobs (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  body NOT NULL
);

CREATE TABLE prompts (
  id INTEGER PRIMARY KEY,
  hash BLOB NOT NULL UNIQUE,
  head INTEGER NOT NULL,
  variables
);

CREATE TABLE messages (
  prompt INTEGER NOT NULL REFERENCES prompts(id) ON DELETE CASCADE,
  position INTEGER NOT NULL,
  blob INTEGER NOT NULL,
  PRIMARY KEY (prompt, position)
) WITHOUT ROWID;

CREATE TABLE traces (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  trace_id TEXT NOT NULL UNIQUE,
  span_id TEXT NOT NULL,
  name TEXT NOT NULL,
  status TEXT NOT NULL CHECK (status IN ('RUNNING', 'OK', 'ERROR', 'ABANDONED')),
  source TEXT NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  model TEXT NOT NULL,
  model_answered TEXT,
  prompt_name TEXT NOT NULL,
  prompt INTEGER REFERENCES prompts(id),
  suite TEXT,
  case_id TEXT,
  repeat INTEGER NOT NULL,
  experiment_id TEXT,
  session_id TEXT,
  run_key,
  attempts INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  fault_kind TEXT,
  input_preview TEXT,
  output_preview TEXT,
  tags TEXT,
  metadata TEXT,
  process INTEGER
);
CREATE INDEX traces_by_model ON traces(model);
CREATE INDEX traces_by_prompt_name ON traces(prompt_name);
CREATE INDEX traces_by_start ON traces(start_ns);
CREATE INDEX traces_by_prompt ON traces(prompt);
CREATE INDEX traces_by_suite ON traces(suite) WHERE suite IS NOT NULL;
CREATE INDEX traces_by_experiment ON traces(experiment_id) WHERE experiment_id IS NOT NULL;
CREATE INDEX traces_by_session ON traces(session_id) WHERE session_id IS NOT NULL;
CREATE INDEX traces_not_ok ON traces(status) WHERE status <> 'OK';
CREATE INDEX traces_running ON traces(process) WHERE status = 'RUNNING';
CREATE INDEX traces_reusable ON traces(run_key)
  WHERE status = 'OK' AND source = 'live' AND run_key IS NOT NULL;

CREATE TABLE spans (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  trace INTEGER NOT NULL REFERENCES traces(id) ON DELETE CASCADE,
  span_id TEXT NOT NULL,
  parent_id TEXT,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  status TEXT NOT NULL,
  status_message TEXT,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  attributes TEXT,
  prompt INTEGER REFERENCES prompts(id),
  run_key,
  UNIQUE (trace, span_id)
);
CREATE INDEX spans_reusable ON spans(run_key) WHERE status = 'OK' AND run_key IS NOT NULL;
CREATE INDEX spans_by_prompt ON spans(prompt) WHERE prompt IS NOT NULL;

CREATE TABLE responses (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  trace INTEGER NOT NULL REFERENCES traces(id) ON DELETE CASCADE,
  span INTEGER REFERENCES spans(id) ON DELETE CASCADE,
  message INTEGER,
  reasoning INTEGER,
  raw INTEGER,
  refusal TEXT,
  model_answered TEXT,
  finish_reason TEXT,
  raw_finish_reason TEXT,
  response_id TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  duration_ns INTEGER,
  rate_limit TEXT,
  fault TEXT
);
CREATE INDEX responses_of_trace ON responses(trace);
CREATE INDEX responses_of_span ON responses(span) WHERE span IS NOT NULL;

CREATE TABLE metrics (
  response INTEGER NOT NULL REFERENCES responses(id) ON DELETE CASCADE,
  name TEXT NOT NULL,
  value REAL NOT NULL,
  PRIMARY KEY (response, name)
) WITHOUT ROWID;

CREATE TABLE evaluations (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  evaluation_id TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  identifier TEXT NOT NULL,
  experiment_id TEXT,
  scorer TEXT NOT NULL,
  scorer_version TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('CODE', 'LLM', 'HUMAN')),
  value REAL,
  label TEXT,
  passed INTEGER,
  explanation TEXT,
  metadata TEXT,
  fault TEXT,
  weight REAL NOT NULL,
  duration_ns INTEGER,
  created_ns INTEGER NOT NULL
);
CREATE UNIQUE INDEX evaluations_of_target
  ON evaluations(trace_id, name, identifier, coalesce(experiment_id, ''));

CREATE TABLE prompt_templates (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL UNIQUE,
  created_ns INTEGER NOT NULL
);

CREATE TABLE versions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template INTEGER NOT NULL REFERENCES prompt_templates(id),
  number INTEGER NOT NULL,
  version TEXT NOT NULL,
  body NOT NULL,
  path TEXT,
  "commit" TEXT,
  created_ns INTEGER NOT NULL,
  UNIQUE (template, version),
  UNIQUE (template, number)
);
CREATE TRIGGER versions_do_not_change BEFORE UPDATE ON versions
  BEGIN SELECT RAISE(ABORT, 'a prompt version never changes; save a new one'); END;
CREATE TRIGGER versions_do_not_leave BEFORE DELETE ON versions
  BEGIN SELECT RAISE(ABORT, 'a prompt version is never deleted'); END;

CREATE TABLE labels (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  template INTEGER NOT NULL REFERENCES prompt_templates(id),
  label TEXT NOT NULL,
  version INTEGER REFERENCES versions(id),
  moved_ns INTEGER NOT NULL
);
CREATE INDEX labels_of_template ON labels(template, label);

CREATE TABLE experiments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL,
  status TEXT NOT NULL,
  started_ns INTEGER NOT NULL,
  ended_ns INTEGER,
  planned INTEGER NOT NULL,
  suites TEXT,
  revision TEXT,
  packages TEXT,
  settings TEXT,
  verdicts TEXT,
  process INTEGER
);
CREATE INDEX experiments_running ON experiments(process) WHERE status = 'RUNNING';

CREATE TABLE assignments (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id TEXT NOT NULL,
  suite TEXT NOT NULL,
  prompt TEXT NOT NULL,
  prompt_version TEXT NOT NULL,
  model TEXT NOT NULL,
  UNIQUE (experiment_id, suite, prompt, prompt_version, model)
);

CREATE TABLE results (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  experiment_id TEXT NOT NULL,
  item TEXT NOT NULL,
  suite TEXT NOT NULL,
  prompt TEXT NOT NULL,
  prompt_version TEXT,
  model TEXT NOT NULL,
  case_id TEXT NOT NULL,
  repeat INTEGER NOT NULL,
  position INTEGER NOT NULL,
  tags TEXT,
  cluster TEXT,
  outcome TEXT NOT NULL,
  value REAL,
  trace_id TEXT,
  source TEXT NOT NULL,
  recorded INTEGER NOT NULL,
  fault TEXT,
  inputs_preview TEXT,
  output_preview TEXT,
  expected_preview TEXT,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  duration_ns INTEGER,
  place TEXT,
  UNIQUE (experiment_id, suite, prompt, model, case_id, repeat)
);
CREATE INDEX results_in_order ON results(experiment_id, suite, position);

CREATE TABLE sessions (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session_id TEXT NOT NULL UNIQUE,
  name TEXT,
  user TEXT,
  started_ns INTEGER NOT NULL,
  metadata TEXT
);

CREATE TABLE trace_sessions (
  session INTEGER NOT NULL REFERENCES sessions(id) ON DELETE CASCADE,
  trace INTEGER NOT NULL REFERENCES traces(id) ON DELETE CASCADE,
  PRIMARY KEY (session, trace)
) WITHOUT ROWID;
CREATE INDEX trace_sessions_by_trace ON trace_sessions(trace);

CREATE TABLE rollups (
  period TEXT NOT NULL CHECK (period IN ('hour', 'day')),
  start_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  status TEXT NOT NULL,
  traces INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  latency TEXT,
  PRIMARY KEY (period, start_ns, model, prompt_name, status)
) WITHOUT ROWID;

CREATE TABLE sync_state (
  target TEXT NOT NULL,
  stream TEXT NOT NULL,
  watermark INTEGER NOT NULL,
  state TEXT,
  updated_ns INTEGER,
  PRIMARY KEY (target, stream)
) WITHOUT ROWID;

CREATE VIEW search_texts AS
  SELECT r.trace AS id,
    (SELECT group_concat(message_text(b.body), char(10))
       FROM messages m JOIN blobs b ON b.id = m.blob WHERE m.prompt = t.prompt) AS prompt,
    (SELECT message_text(b.body) FROM blobs b WHERE b.id = r.message) AS response
  FROM responses r JOIN traces t ON t.id = r.trace WHERE r.span IS NULL;

CREATE VIRTUAL TABLE search USING fts5(
  prompt, response, content='search_texts', content_rowid='id', tokenize='unicode61'
);
"""


def statements(script: str) -> Iterator[str]:
    """The single statements of an SQL script (``executescript`` would commit before it runs)."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending.strip()
            pending = ""
