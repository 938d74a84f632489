"""What calls of a prompt used before: the base of what the next ones will."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

LOOKED_AT = 200
"""The newest calls that an expectation is made of."""


class History(NamedTuple):
    """Means over the newest live calls of a prompt on a model; ``None``: not known of any.

    ``judged_usd`` is what the scorers' own calls cost a run, as far as it is known.
    """

    calls: int = 0
    input_tokens: float | None = None
    output_tokens: float | None = None
    cost_usd: float | None = None
    judged_usd: float | None = None


def history(connection: sqlite3.Connection, prompt: str, model: str) -> History:
    """The newest answered live calls of this prompt on this model."""
    row = connection.execute(
        "WITH newest AS (SELECT id, input_tokens, output_tokens, cost_usd FROM traces "
        "WHERE prompt_name = ? AND model = ? AND status = 'OK' AND source = 'live' "
        "ORDER BY id DESC LIMIT ?) "
        "SELECT count(*), avg(input_tokens), avg(output_tokens), avg(cost_usd), "
        "(SELECT sum(r.cost_usd) FROM responses r JOIN newest n ON r.trace = n.id "
        " WHERE r.span IS NOT NULL) FROM newest",
        (prompt, model, LOOKED_AT),
    ).fetchone()
    calls = int(row[0])
    judged = None if row[4] is None or not calls else row[4] / calls
    return History(calls, row[1], row[2], row[3], judged)


def has_run(connection: sqlite3.Connection, run_key: bytes | str | None) -> bool:
    """Whether the cache has an answer for this key."""
    found = connection.execute(
        "SELECT 1 FROM traces WHERE run_key = ? AND status = 'OK' AND source = 'live' LIMIT 1",
        (run_key,),
    ).fetchone()
    return found is not None
