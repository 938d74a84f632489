"""The view of calls names each call's own model, has embeddings too, and says what counts.

A model stands in a column of its own, as DuckDB runs the views itself and reads no packed texts.
"""

from __future__ import annotations

import json
import sqlite3
from functools import lru_cache

from p2re_eval.store.payloads import unpacked
from p2re_eval.store.schema import statements

CALL_VIEWS = """
ALTER TABLE spans ADD COLUMN model TEXT;
DROP VIEW v_calls;
CREATE VIEW v_calls AS
  SELECT t.trace_id, t.span_id, NULL AS parent_id, t.name, t.kind, t.status, t.start_ns,
    t.end_ns, (t.end_ns - t.start_ns) / 1e6 AS duration_ms, t.model, t.model_answered,
    r.finish_reason, r.response_id, t.input_tokens, t.output_tokens, t.cached_tokens,
    t.reasoning_tokens, t.cost_usd, 1 AS counted
  FROM responses r JOIN traces t ON t.id = r.trace
  WHERE r.span IS NULL AND t.kind IN ('LLM', 'EMBEDDING', 'RERANKER')
  UNION ALL
  SELECT t.trace_id, s.span_id, s.parent_id, s.name, s.kind, s.status, s.start_ns, s.end_ns,
    (s.end_ns - s.start_ns) / 1e6, coalesce(s.model, r.model_answered, t.model),
    r.model_answered, r.finish_reason, r.response_id, r.input_tokens, r.output_tokens,
    r.cached_tokens, r.reasoning_tokens, r.cost_usd,
    t.kind NOT IN ('LLM', 'EMBEDDING', 'RERANKER') AND r.fault IS NULL AND NOT EXISTS (
      SELECT 1 FROM spans p JOIN responses q ON q.span = p.id
      WHERE p.trace = s.trace AND p.span_id = s.parent_id AND p.kind = 'LLM'
        AND q.input_tokens IS NOT NULL)
  FROM responses r JOIN spans s ON s.id = r.span JOIN traces t ON t.id = r.trace
  WHERE s.kind IN ('LLM', 'EMBEDDING', 'RERANKER');
"""


_NAME = """
UPDATE spans SET model = (SELECT model_of_head(b.body) FROM prompts p JOIN blobs b ON b.id = p.head
  WHERE p.id = spans.prompt)
WHERE prompt IS NOT NULL AND kind IN ('LLM', 'EMBEDDING', 'RERANKER')
"""


def add_call_views(connection: sqlite3.Connection) -> None:
    """``counted`` is 1 where tokens and cost are part of the trace's own: a framework's call with
    the SDK's call inside it is two rows and one call."""
    for statement in statements(CALL_VIEWS):
        connection.execute(statement)
    connection.create_function("model_of_head", 1, _model, deterministic=True)
    connection.execute(_NAME)


@lru_cache(maxsize=1024)
def _model(head: str | bytes) -> str | None:
    """``provider/name``, as lists show it."""
    model = json.loads(unpacked(head)).get("model", {})
    parts = [str(model[key]) for key in ("provider", "name") if model.get(key)]
    return "/".join(parts) or None
