"""The one SQLite file that holds everything; the only room that speaks SQL."""

from p2re_eval.store.connection import default_path
from p2re_eval.store.health import StoreHealth
from p2re_eval.store.history import History
from p2re_eval.store.ledger import SharedLedger
from p2re_eval.store.marks import KnownSpan, Mark, MarkStatus, Position
from p2re_eval.store.pending import Pending
from p2re_eval.store.redaction import Redact
from p2re_eval.store.store import Store, open_store
from p2re_eval.store.sync_ledger import SyncLedger
from p2re_eval.store.trace_lists import TraceFilter, TraceRow

__all__ = [
    "History",
    "KnownSpan",
    "Mark",
    "MarkStatus",
    "Pending",
    "Position",
    "Redact",
    "SharedLedger",
    "Store",
    "StoreHealth",
    "SyncLedger",
    "TraceFilter",
    "TraceRow",
    "default_path",
    "open_store",
]
