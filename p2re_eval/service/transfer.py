"""In and out: exports, imports, backups, and several databases as one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from p2re_eval.errors import StoreError
from p2re_eval.service.traces import Traces
from p2re_eval.store import Store, merge, open_store, parquet, transfer
from p2re_eval.store import backup as backups


class Transfer:
    """A store's content on its way somewhere else, and back."""

    def __init__(self, store: Store, traces: Traces) -> None:
        self._store = store
        self._traces = traces

    def export_lines(self, expression: str | None = None) -> Iterator[str]:
        """JSON lines that make the same database again; with an expression only the traces that it
        finds, and what was said of them. Raises ExpressionError."""
        path = self._store.path
        yield json.dumps(self._store.read(transfer.header))
        if expression is None:
            with self._store.reading() as connection:
                for line in transfer.everything(connection, path):
                    yield transfer.line_text(line)
            return
        for trace_id in self._found(expression):
            with self._store.reading() as connection:
                for line in transfer.trace_lines(connection, trace_id, path):
                    yield transfer.line_text(line)

    def import_lines(self, lines: Iterable[bytes], *, source: str) -> dict[str, int]:
        """Write an export; how many lines of each kind. What is here already stays once.

        Raises StoreError, which names the line that cannot be read.
        """
        with self._store.maintenance() as work:
            return transfer.import_lines(lines, work.transaction, source)

    def write_parquet(self, folder: Path) -> dict[Path, int]:
        """The documented views as files, with the number of rows. Raises MissingExtra."""
        return self._store.read(lambda connection: parquet.write_parquet(connection, folder))

    def back_up(self, target: Path) -> int:
        """A whole copy while others write; gives its bytes. Raises StoreError."""
        return self._store.read(
            lambda connection: backups.back_up(connection, self._store.path, target)
        )

    def restore(self, backup: Path) -> Path | None:
        """Put a backup in this database's place; gives the copy of what was there."""
        with self._store.maintenance() as work:
            return backups.restore(work.connection, work.path, backup)

    def merge(self, databases: Sequence[Path]) -> dict[str, int]:
        """Take in everything that these databases hold; merging again changes nothing.

        Raises StoreError: not there, not ours, or this one itself.
        """
        with ExitStack() as opened:
            work = opened.enter_context(self._store.maintenance())
            sources = []
            for path in databases:
                if path.expanduser().absolute() == self._store.path:
                    raise StoreError(f"{path}: cannot be merged into itself", path=path)
                other = opened.enter_context(open_store(path, read_only=True))
                sources.append(merge.Source(opened.enter_context(other.reading()), other.path))
            target = merge.Source(opened.enter_context(self._store.reading()), self._store.path)
            return merge.merge_databases(sources, work.transaction, target)

    def _found(self, expression: str) -> Iterator[str]:
        cursor = None
        while True:
            page = self._traces.search(expression, limit=1000, cursor=cursor)
            yield from (hit.row.trace_id for hit in page.items)
            cursor = page.next_cursor
            if cursor is None:
                return
