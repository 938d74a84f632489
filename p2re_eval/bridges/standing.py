"""How each target stands: the lag of every stream, and what failed."""

from __future__ import annotations

from pydantic import Field

from p2re_eval.records import Record
from p2re_eval.store import MarkStatus, Store, SyncLedger

_STREAMS = ("traces", "evaluations", "spans", "spans seen", "sweep")
_FAILURES_SHOWN = 5


class Standing(Record):
    """One target; ``runs_behind`` and ``evaluations_behind`` are recorded here and not yet sent."""

    target: str
    last_sync_ns: int | None = None
    runs_behind: int = 0
    evaluations_behind: int = 0
    on_the_way: int = 0
    synced: int = 0
    deleted_there: int = 0
    conflicts: int = 0
    failed: int = 0
    failures: tuple[str, ...] = Field(default=())


def standings(store: Store) -> list[Standing]:
    """Every target that was ever synced with."""
    return [standing(ledger) for ledger in store.sync_ledgers()]


def standing(ledger: SyncLedger) -> Standing:
    """One target as it stands now, without asking it."""
    moments = [ledger.position(stream).updated_ns or 0 for stream in _STREAMS]
    traces, evaluations = (ledger.position(stream).watermark for stream in _STREAMS[:2])
    runs_behind, evaluations_behind = ledger.behind(traces, evaluations)
    counts = ledger.counts()

    def total(wanted: MarkStatus) -> int:
        return sum(n for (_, status), n in counts.items() if status == wanted)

    return Standing(
        target=ledger.target,
        last_sync_ns=max(moments) or None,
        runs_behind=runs_behind,
        evaluations_behind=evaluations_behind,
        on_the_way=total("SENT"),
        synced=total("SYNCED"),
        deleted_there=total("DELETED"),
        conflicts=total("CONFLICT"),
        failed=total("FAILED"),
        failures=tuple(_failures(ledger, {k for k, status in counts if status == "FAILED"})),
    )


def _failures(ledger: SyncLedger, kinds: set[str]) -> list[str]:
    return [
        f"{kind} {mark.local_id[:18]}: {mark.detail.get('why', '')}"
        for kind in sorted(kinds)
        for mark in ledger.marked(kind, "FAILED", limit=_FAILURES_SHOWN)
    ]
