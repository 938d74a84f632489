"""A planted secret in the user's own file: really recorded, looked for in every byte, and deleted.

What is recorded is one call of the prompt ``p2re-doctor`` with the secret in every text of it. A
process that is killed meanwhile leaves that call, and the next one to look takes it away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from p2re_eval.clock import SystemClock, new_trace_id
from p2re_eval.service.canary import Document, canary_jobs, canary_shapes, new_canary, planted
from p2re_eval.service.service import Service
from p2re_eval.store import Redact, Store, TraceFilter, open_store, removal
from p2re_eval.store.apply import apply_one
from p2re_eval.store.jobs import SavePromptVersion

NAME = "p2re-doctor"
_BLOCK = 4 << 20
Progress = Callable[[Path, int, int], None]
"""Told the file, the bytes read and the bytes there are."""


def planted_in_bytes(
    path: Path, document: Document, redact: Redact | None = None, progress: Progress | None = None
) -> list[str]:
    """Where a secret stands after it was recorded in this database with these settings: in the
    bytes of the file, its log and what lies beside it, and in exports; none when all is well.

    Other programs may write meanwhile. Memory stays at a block of 4 MB. Raises StoreError.
    """
    canary, found = new_canary(), ["not looked for"]
    with planted(canary):
        try:
            with open_store(path, redact=redact) as store:
                trace_id = _record(store, canary)
                found = list(_exports(Service(store), trace_id, canary, document))
                found += _bytes(_beside(path), canary, progress)  # the log goes when all close
            # Only now: closing a file that SQLite has open would take its locks away.
            found += _bytes([path], canary, progress)
        finally:
            with open_store(path, redact=redact) as store:
                take_away(store, words=bool(found))
        return [*found, *_bytes([path, *_beside(path)], canary, progress)]


def take_away(store: Store, *, words: bool = False) -> None:
    """Delete every call of ours, its judgements and its session, and overwrite where they stood;
    ``words`` takes them out of the full-text index as well, where they can tell something."""
    store.index_everything()
    rows = store.list_traces(limit=1000, **TraceFilter(prompt=NAME).model_dump())
    ids = [row.trace_id for row in rows]
    store.change(lambda change: removal.delete_securely(change.connection, ids, NAME, words=words))


def _record(store: Store, canary: str) -> str:
    """What was recorded is on disk when this returns; gives the trace's id."""
    now_ns = SystemClock().now_ns()
    trace_id = new_trace_id(now_ns)
    text = "\n".join(canary_shapes(canary))
    jobs = canary_jobs(text, trace_id, name=NAME, session_id=f"{NAME}-{trace_id}", now_ns=now_ns)
    for job in jobs:
        if not isinstance(job, SavePromptVersion):  # versions never leave; they are tried elsewhere
            store.change(partial(apply_one, job=job))
    store.index_everything()
    return trace_id


def _exports(service: Service, trace_id: str, canary: str, document: Document) -> Iterator[str]:
    detail = service.traces.get(trace_id)
    for form in ("md", "html", "json"):
        if canary in document(detail.trace, detail.evaluations, form):
            yield f"its export as .{form}"
    if any(canary in line for line in service.transfer.export_lines(f'id == "{trace_id}"')):
        yield "its export as JSON lines"


def _beside(path: Path) -> list[Path]:
    """The log and what processes write before it is in the file."""
    spools = path.parent.glob(f"{path.name}.spool-*.jsonl")
    return [path.with_name(f"{path.name}-wal"), *sorted(spools)]


def _bytes(paths: Sequence[Path], canary: str, progress: Progress | None) -> Iterator[str]:
    for path in paths:
        if _holds(path, canary.encode(), progress):
            yield f"the bytes of {path.name}"


def _holds(path: Path, wanted: bytes, progress: Progress | None) -> bool:
    """Whether the bytes stand somewhere in a file; one that is gone meanwhile holds nothing."""
    end, read = b"", 0
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            while block := file.read(_BLOCK):
                if wanted in end + block:
                    return True
                end, read = block[-len(wanted) :], read + len(block)
                if progress is not None:
                    progress(path, read, max(size, read))
    except FileNotFoundError:
        pass
    return False
