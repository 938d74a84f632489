"""What may be changed about a recorded trace: its pin and its tags; never what was said."""

from __future__ import annotations

from collections.abc import Iterable

from p2re_eval.store.payloads import json_of
from p2re_eval.store.transaction import Transaction


def set_pin(transaction: Transaction, trace_id: str, *, pinned: bool) -> None:
    """Keep a trace from retention, or no longer."""
    moment = transaction.now_ns if pinned else None
    transaction.connection.execute(
        "UPDATE traces SET pinned_ns = CASE WHEN ? THEN coalesce(pinned_ns, ?) END "
        "WHERE trace_id = ?",
        (pinned, moment, trace_id),
    )


def edit_tags(
    transaction: Transaction, trace_id: str, *, add: Iterable[str], remove: Iterable[str]
) -> tuple[str, ...]:
    """The trace's tags after the change, in the order in which they came."""
    row = transaction.connection.execute(
        "SELECT tags FROM traces WHERE trace_id = ?", (trace_id,)
    ).fetchone()
    before: list[str] = [] if row is None else json_of(row[0], [])
    gone = set(remove)
    tags = tuple(tag for tag in dict.fromkeys([*before, *add]) if tag not in gone)
    transaction.connection.execute(
        "UPDATE traces SET tags = ? WHERE trace_id = ?",
        (transaction.redaction.json(tags), trace_id),
    )
    return tags
