"""Marks and cursors of a sync on their way into the tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from p2re_eval.store.columns import columns, insert_into, replacing
from p2re_eval.store.marks import Mark, Position
from p2re_eval.store.transaction import Transaction

_MARK = columns("target kind local_id remote_id status digest detail updated_ns")
_SAVE_MARK = insert_into(
    "sync_ledger", _MARK, replacing(_MARK, target="target, kind, local_id", keep=())
)
_POSITION = columns("target stream watermark state updated_ns")
_SAVE_POSITION = insert_into(
    "sync_state", _POSITION, replacing(_POSITION, target="target, stream", keep=())
)


def restart(
    transaction: Transaction, target: str, *, forget: Iterable[str], bury: Iterable[str]
) -> None:
    """No cursor of the target holds any more; marks go, or become DELETED."""
    connection = transaction.connection
    connection.execute("DELETE FROM sync_state WHERE target = ?", (target,))
    connection.executemany(
        "DELETE FROM sync_ledger WHERE target = ? AND kind = ?",
        [(target, kind) for kind in forget],
    )
    connection.executemany(
        "UPDATE sync_ledger SET status = 'DELETED', updated_ns = ? WHERE target = ? AND kind = ?",
        [(transaction.now_ns, target, kind) for kind in bury],
    )


def save_marks(transaction: Transaction, target: str, marks: Iterable[Mark]) -> None:
    """The newest mark of a thing stays."""
    now_ns, json = transaction.now_ns, transaction.redaction.json
    transaction.connection.executemany(
        _SAVE_MARK,
        [
            (
                target,
                mark.kind,
                mark.local_id,
                mark.remote_id,
                mark.status,
                mark.digest,
                json(mark.detail),
                now_ns,
            )
            for mark in marks
        ],
    )


def save_positions(
    transaction: Transaction, target: str, positions: Mapping[str, Position]
) -> None:
    """The newest cursor of a stream stays."""
    now_ns, json = transaction.now_ns, transaction.redaction.json
    transaction.connection.executemany(
        _SAVE_POSITION,
        [
            (target, stream, position.watermark, json(position.state), now_ns)
            for stream, position in positions.items()
        ],
    )
