"""Marks and cursors of a sync on their way into the tables."""

from __future__ import annotations

from p2re_eval.store.columns import columns, insert_into, replacing
from p2re_eval.store.jobs import Together
from p2re_eval.store.trace_writes import Transaction

_MARK = columns("target kind local_id remote_id status digest detail updated_ns")
_SAVE_MARK = insert_into(
    "sync_ledger", _MARK, replacing(_MARK, target="target, kind, local_id", keep=())
)
_POSITION = columns("target stream watermark state updated_ns")
_SAVE_POSITION = insert_into(
    "sync_state", _POSITION, replacing(_POSITION, target="target, stream", keep=())
)


def restart(transaction: Transaction, together: Together) -> None:
    """No cursor of the target holds any more; marks go, or become DELETED."""
    connection, target = transaction.connection, together.target
    connection.execute("DELETE FROM sync_state WHERE target = ?", (target,))
    connection.executemany(
        "DELETE FROM sync_ledger WHERE target = ? AND kind = ?",
        [(target, kind) for kind in together.forget],
    )
    connection.executemany(
        "UPDATE sync_ledger SET status = 'DELETED', updated_ns = ? WHERE target = ? AND kind = ?",
        [(transaction.now_ns, target, kind) for kind in together.bury],
    )


def save_ledger(transaction: Transaction, together: Together) -> None:
    """The newest mark of a thing, and the newest cursor of a stream, stay."""
    now_ns, json = transaction.now_ns, transaction.redaction.json
    transaction.connection.executemany(
        _SAVE_MARK,
        [
            (
                together.target,
                mark["kind"],
                mark["local_id"],
                mark["remote_id"],
                mark["status"],
                mark["digest"],
                json(mark["detail"]),
                now_ns,
            )
            for mark in together.marks
        ],
    )
    transaction.connection.executemany(
        _SAVE_POSITION,
        [
            (together.target, stream, position["watermark"], json(position["state"]), now_ns)
            for stream, position in together.positions.items()
        ],
    )
