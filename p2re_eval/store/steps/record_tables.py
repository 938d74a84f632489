"""What a record needs to be searched, counted, kept and tidied.

``traces.prompt_version`` (bytes of the version's hex digits, or the text of a foreign version) and
``pinned_ns`` join the narrow table. ``trace_tags`` is kept by triggers. ``evaluation_history``
keeps what people said before they changed their mind. ``rollups`` and ``score_rollups`` hold what
statistics read: rows of ``origin`` '' are counted from traces that are here, rows of another
origin (a file's ``identity``) from traces that retention has taken there. Where a trace
changes after it was counted (a late span, a root that comes last) a trigger notes the difference in
``rollup_changes`` and ``score_changes``, which the next upkeep adds. The three views are for
other programs: plain SQL, no function of ours.
"""

from __future__ import annotations

import json
import secrets
import sqlite3

from p2re_eval.store import rollups
from p2re_eval.store.payloads import text_of
from p2re_eval.store.schema import statements
from p2re_eval.store.search import watermark

RECORD_TABLES = """
ALTER TABLE traces ADD COLUMN prompt_version;
ALTER TABLE traces ADD COLUMN pinned_ns INTEGER;
CREATE INDEX traces_by_version ON traces(prompt_version) WHERE prompt_version IS NOT NULL;
CREATE INDEX traces_pinned ON traces(pinned_ns) WHERE pinned_ns IS NOT NULL;

CREATE TABLE trace_tags (
  tag TEXT NOT NULL,
  trace INTEGER NOT NULL REFERENCES traces(id) ON DELETE CASCADE,
  PRIMARY KEY (tag, trace)
) WITHOUT ROWID;
CREATE INDEX trace_tags_by_trace ON trace_tags(trace);
CREATE TRIGGER traces_tagged AFTER INSERT ON traces WHEN new.tags IS NOT NULL
  BEGIN
    INSERT OR IGNORE INTO trace_tags(tag, trace) SELECT value, new.id FROM json_each(new.tags);
  END;
CREATE TRIGGER traces_retagged AFTER UPDATE OF tags ON traces WHEN old.tags IS NOT new.tags
  BEGIN
    DELETE FROM trace_tags WHERE trace = new.id;
    INSERT OR IGNORE INTO trace_tags(tag, trace) SELECT value, new.id FROM json_each(new.tags);
  END;
INSERT OR IGNORE INTO trace_tags(tag, trace)
  SELECT j.value, t.id FROM traces t, json_each(t.tags) j WHERE t.tags IS NOT NULL;

CREATE INDEX evaluations_by_name ON evaluations(name, value);
CREATE INDEX evaluations_by_own_id ON evaluations(evaluation_id);
CREATE INDEX evaluations_human ON evaluations(name) WHERE kind = 'HUMAN';
CREATE TABLE evaluation_history (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  evaluation_id TEXT NOT NULL,
  trace_id TEXT NOT NULL,
  name TEXT NOT NULL,
  identifier TEXT NOT NULL,
  value REAL,
  label TEXT,
  passed INTEGER,
  explanation TEXT,
  created_ns INTEGER NOT NULL,
  replaced_ns INTEGER NOT NULL
);
CREATE INDEX evaluation_history_of_trace ON evaluation_history(trace_id);

CREATE INDEX sessions_by_start ON sessions(started_ns);
CREATE INDEX experiments_by_start ON experiments(started_ns);

DROP TABLE rollups;
CREATE TABLE rollups (
  origin TEXT NOT NULL,
  period TEXT NOT NULL CHECK (period IN ('hour', 'day')),
  start_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  prompt_version TEXT NOT NULL,
  source TEXT NOT NULL,
  status TEXT NOT NULL,
  traces INTEGER NOT NULL,
  priced INTEGER NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL,
  latency BLOB,
  PRIMARY KEY (period, start_ns, model, prompt_name, prompt_version, source, status, origin)
) WITHOUT ROWID;
CREATE TABLE score_rollups (
  origin TEXT NOT NULL,
  period TEXT NOT NULL CHECK (period IN ('hour', 'day')),
  start_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  prompt_version TEXT NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  evaluations INTEGER NOT NULL,
  valued INTEGER NOT NULL,
  value REAL,
  passed INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  faults INTEGER NOT NULL,
  PRIMARY KEY (period, start_ns, model, prompt_name, prompt_version, name, kind, origin)
) WITHOUT ROWID;

CREATE TABLE rollup_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sign INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  end_ns INTEGER,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  prompt_version,
  source TEXT NOT NULL,
  status TEXT NOT NULL,
  input_tokens INTEGER,
  output_tokens INTEGER,
  cached_tokens INTEGER,
  reasoning_tokens INTEGER,
  cost_usd REAL
);
CREATE TABLE score_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  sign INTEGER NOT NULL,
  start_ns INTEGER NOT NULL,
  model TEXT NOT NULL,
  prompt_name TEXT NOT NULL,
  prompt_version,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  value REAL,
  passed INTEGER,
  fault TEXT
);
CREATE TRIGGER traces_recounted AFTER UPDATE OF start_ns, end_ns, model, prompt_name,
    prompt_version, source, status, input_tokens, output_tokens, cached_tokens, reasoning_tokens,
    cost_usd ON traces
  WHEN old.status <> 'RUNNING' AND EXISTS (
    SELECT 1 FROM responses WHERE trace = old.id AND span IS NULL AND id <= (
      SELECT watermark FROM sync_state WHERE target = 'search' AND stream = 'responses'))
  BEGIN
    INSERT INTO rollup_changes(sign, start_ns, end_ns, model, prompt_name, prompt_version, source,
      status, input_tokens, output_tokens, cached_tokens, reasoning_tokens, cost_usd)
    VALUES
      (-1, old.start_ns, old.end_ns, old.model, old.prompt_name, old.prompt_version, old.source,
       old.status, old.input_tokens, old.output_tokens, old.cached_tokens, old.reasoning_tokens,
       old.cost_usd),
      (1, new.start_ns, new.end_ns, new.model, new.prompt_name, new.prompt_version, new.source,
       new.status, new.input_tokens, new.output_tokens, new.cached_tokens, new.reasoning_tokens,
       new.cost_usd);
  END;
CREATE TRIGGER traces_rescored AFTER UPDATE OF start_ns, model, prompt_name, prompt_version
    ON traces
  WHEN old.status <> 'RUNNING' AND EXISTS (SELECT 1 FROM evaluations WHERE trace_id = old.trace_id)
  BEGIN
    INSERT INTO score_changes(sign, start_ns, model, prompt_name, prompt_version, name, kind,
      value, passed, fault)
    SELECT -1, old.start_ns, old.model, old.prompt_name, old.prompt_version, e.name, e.kind,
      e.value, e.passed, e.fault FROM evaluations e WHERE e.trace_id = old.trace_id AND e.id <= (
      SELECT watermark FROM sync_state WHERE target = 'rollups' AND stream = 'evaluations')
    UNION ALL
    SELECT 1, new.start_ns, new.model, new.prompt_name, new.prompt_version, e.name, e.kind,
      e.value, e.passed, e.fault FROM evaluations e WHERE e.trace_id = old.trace_id AND e.id <= (
      SELECT watermark FROM sync_state WHERE target = 'rollups' AND stream = 'evaluations');
  END;

CREATE TABLE identity (
  database_id TEXT NOT NULL PRIMARY KEY,
  created_ns INTEGER
) WITHOUT ROWID;

CREATE VIEW v_traces AS
  SELECT t.trace_id, t.name, t.kind, t.status, t.source, t.start_ns, t.end_ns,
    (t.end_ns - t.start_ns) / 1e6 AS duration_ms, t.model, t.model_answered,
    t.prompt_name AS prompt, lower(hex(t.prompt_version)) AS prompt_version_hex, t.suite,
    t.case_id, t.repeat, t.experiment_id, t.session_id, t.user, t.attempts, t.input_tokens,
    t.output_tokens, t.cached_tokens, t.reasoning_tokens, t.cost_usd, t.fault_kind, t.tags,
    t.metadata, t.pinned_ns, t.input_preview, t.output_preview
  FROM traces t;
CREATE VIEW v_calls AS
  SELECT t.trace_id, t.span_id, NULL AS parent_id, t.name, t.kind, t.status, t.start_ns,
    t.end_ns, (t.end_ns - t.start_ns) / 1e6 AS duration_ms, t.model, t.model_answered,
    r.finish_reason, r.response_id, t.input_tokens, t.output_tokens, t.cached_tokens,
    t.reasoning_tokens, t.cost_usd
  FROM responses r JOIN traces t ON t.id = r.trace WHERE r.span IS NULL AND t.kind = 'LLM'
  UNION ALL
  SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.kind, s.status, s.start_ns, s.end_ns,
    (s.end_ns - s.start_ns) / 1e6, t.model, r.model_answered, r.finish_reason, r.response_id,
    r.input_tokens, r.output_tokens, r.cached_tokens, r.reasoning_tokens, r.cost_usd
  FROM responses r JOIN spans s ON s.id = r.span JOIN traces t ON t.id = r.trace;
CREATE VIEW v_evaluations AS
  SELECT e.evaluation_id, e.trace_id, e.name, e.kind, e.scorer, e.scorer_version, e.identifier,
    e.experiment_id, e.value, e.label, e.passed, e.explanation, e.fault, e.weight, e.duration_ns,
    e.created_ns, t.model, t.prompt_name AS prompt, t.start_ns AS trace_start_ns
  FROM evaluations e LEFT JOIN traces t ON t.trace_id = e.trace_id;
"""


def add_record_tables(connection: sqlite3.Connection) -> None:
    """Step 2."""
    for statement in statements(RECORD_TABLES):
        connection.execute(statement)
    connection.execute("INSERT INTO identity(database_id) VALUES (?)", (secrets.token_hex(16),))
    _fill_versions(connection)
    connection.execute("DELETE FROM rollup_changes")  # nothing was counted yet
    rollups.count_ended(connection, 0, watermark(connection))


def version_column(version: str | None) -> bytes | str | None:
    """A version at half its size: the bytes that its hex digits mean; a foreign one as it is."""
    if not version:
        return None
    try:
        return bytes.fromhex(version) if len(version) == 64 else version
    except ValueError:
        return version


def version_text(column: bytes | str | None) -> str | None:
    """What :func:`version_column` was given."""
    return column.hex() if isinstance(column, bytes) else column


def _fill_versions(connection: sqlite3.Connection) -> None:
    """The versions of traces that older code wrote: they stand in the prompts' heads."""
    for (head,) in connection.execute("SELECT DISTINCT head FROM prompts").fetchall():
        text = text_of(connection, head)
        version = version_column(None if text is None else json.loads(text).get("version"))
        if version is not None:
            connection.execute(
                "UPDATE traces SET prompt_version = ? WHERE prompt IN "
                "(SELECT id FROM prompts WHERE head = ?)",
                (version, head),
            )
