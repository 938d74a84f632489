"""What a session's traces add up to, kept by triggers: a conversation of thousands of turns is
listed as fast as one of two.

``with_input``, ``with_output`` and ``priced`` are the traces whose tokens and cost are known: a sum
of none is NULL. The first and the last turn are found by the second index.
"""

from __future__ import annotations

import sqlite3

from p2re_eval.store.schema import statements

_SUMS = "traces, errors, with_input, input_tokens, with_output, output_tokens, priced, cost_usd"
_WRONG = "status IN ('ERROR', 'ABANDONED')"


def _share(row: str, sign: str) -> str:
    """What a trace adds (or takes away), in the order of ``_SUMS``."""
    known = (
        f"{sign}({row}.{name} IS NOT NULL), {sign}coalesce({row}.{name}, 0)"
        for name in ("input_tokens", "output_tokens", "cost_usd")
    )
    return f"{sign}1, {sign}({row}.{_WRONG}), {', '.join(known)}"


def _counted(row: str, sign: str) -> str:
    """The statement of a trigger that counts a trace, or no longer does."""
    sums = ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS.split(", "))
    return (
        f"INSERT INTO session_totals(session_id, {_SUMS}) "
        f"SELECT {row}.session_id, {_share(row, sign)} WHERE {row}.session_id IS NOT NULL "
        f"ON CONFLICT(session_id) DO UPDATE SET {sums};"
    )


_FORGET = (
    "DELETE FROM session_totals WHERE session_id = old.session_id AND traces = 0 "
    "AND old.session_id IS NOT new.session_id;"
)
_TABLES = f"""
CREATE INDEX traces_of_session_in_time ON traces(session_id, start_ns)
  WHERE session_id IS NOT NULL;
CREATE TABLE session_totals (
  session_id TEXT NOT NULL PRIMARY KEY,
  traces INTEGER NOT NULL,
  errors INTEGER NOT NULL,
  with_input INTEGER NOT NULL,
  input_tokens INTEGER NOT NULL,
  with_output INTEGER NOT NULL,
  output_tokens INTEGER NOT NULL,
  priced INTEGER NOT NULL,
  cost_usd REAL NOT NULL
) WITHOUT ROWID;
INSERT INTO session_totals
  SELECT session_id, count(*), sum({_WRONG}), count(input_tokens), coalesce(sum(input_tokens), 0),
    count(output_tokens), coalesce(sum(output_tokens), 0), count(cost_usd), total(cost_usd)
  FROM traces WHERE session_id IS NOT NULL GROUP BY session_id;
CREATE TRIGGER sessions_grow AFTER INSERT ON traces WHEN new.session_id IS NOT NULL
  BEGIN {_counted("new", "")} END;
CREATE TRIGGER sessions_shrink AFTER DELETE ON traces WHEN old.session_id IS NOT NULL
  BEGIN
    {_counted("old", "-")}
    DELETE FROM session_totals WHERE session_id = old.session_id AND traces = 0;
  END;
CREATE TRIGGER sessions_recounted
  AFTER UPDATE OF session_id, status, input_tokens, output_tokens, cost_usd ON traces
  WHEN (old.session_id IS NOT NULL OR new.session_id IS NOT NULL) AND (
    old.session_id IS NOT new.session_id OR old.status <> new.status
    OR old.input_tokens IS NOT new.input_tokens OR old.output_tokens IS NOT new.output_tokens
    OR old.cost_usd IS NOT new.cost_usd)
  BEGIN
    {_counted("old", "-")}
    {_counted("new", "")}
    {_FORGET}
  END;
"""  # noqa: S608 - our own names


def keep_session_totals(connection: sqlite3.Connection) -> None:
    """Counted once from what is there, and in step from then on."""
    for statement in statements(_TABLES):
        connection.execute(statement)
