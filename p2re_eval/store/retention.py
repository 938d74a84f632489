"""What may go, and how it goes: raw answers, then texts, then rows, and the pages they stood on.

Texts are compressed from the first write (zlib's fastest; its best would make them 4 to 5 %
smaller, which is all that a tier for old texts could gain), so the tiers are what is dropped: a
service's raw answer, which repeats the rest; prompt and answer, of which previews, tokens and
judgements stay; the row, whose share stays in every chart. Pinned traces stay whole, as do those
that a person has judged and, unless the policy says otherwise, those that anything has judged.

All work is in short transactions, so that others write in between; one that is interrupted leaves
whole traces behind and is taken up again by the next prune.
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable, Iterator, Sequence

from p2re_eval.records import Record
from p2re_eval.store import removal, upkeep
from p2re_eval.store.maintenance import Maintenance
from p2re_eval.store.search import watermark
from p2re_eval.store.sweep import give_back_pages, used_bytes

BATCH = 500
"""Traces in a transaction: some tens of milliseconds, the longest that a write waits."""
_DAY_NS = 86_400_000_000_000


class RetentionPolicy(Record):
    """After how many days what goes, and what the whole may hold; None keeps it."""

    raw_days: float | None = None
    text_days: float | None = None
    row_days: float | None = None
    max_traces: int | None = None
    max_bytes: int | None = None
    keep_evaluated: bool = True

    @property
    def says_nothing(self) -> bool:
        """Whether nothing at all may go."""
        limits = (self.raw_days, self.text_days, self.row_days, self.max_traces, self.max_bytes)
        return all(limit is None for limit in limits)


class PruneReport(Record):
    """What went, or with ``dry_run`` what would; sizes are bytes, ``bytes_after`` of a dry run is
    an estimate. ``protected`` traces would have gone by their age but stay."""

    raw_dropped: int
    texts_dropped: int
    rows_deleted: int
    protected: int
    bytes_before: int
    bytes_after: int
    dry_run: bool


_ENDED = (
    "EXISTS (SELECT 1 FROM responses r WHERE r.trace = t.id AND r.span IS NULL AND r.id <= :ended)"
)
_FREE = (
    "t.status <> 'RUNNING' AND t.pinned_ns IS NULL AND NOT EXISTS (SELECT 1 FROM evaluations e "
    "WHERE e.trace_id = t.trace_id AND (e.kind = 'HUMAN' OR :keep_evaluated OR e.id > :judged))"
)
_HAS_RAW = "EXISTS (SELECT 1 FROM responses r WHERE r.trace = t.id AND r.raw IS NOT NULL)"
_HAS_TEXTS = "t.prompt IS NOT NULL"


def prune(
    work: Maintenance,
    policy: RetentionPolicy,
    *,
    dry_run: bool = False,
    progress: Callable[[str, int], None] = lambda what, count: None,
) -> PruneReport:
    """Let go of what the policy does not keep; ``progress`` hears of each batch."""
    while upkeep.feed(work.connection, BATCH):
        pass
    pruning = _Pruning(work, policy)
    before = used_bytes(work.connection)
    if dry_run:
        return pruning.foreseen(before)
    raw = pruning.sweep(_HAS_RAW, policy.raw_days, removal.drop_raw, progress, "raw answers")
    texts = pruning.sweep(_HAS_TEXTS, policy.text_days, removal.drop_texts, progress, "texts")
    protected = pruning.protected()
    rows = pruning.delete_old(progress) + pruning.delete_surplus(progress)
    if raw or texts or rows:
        give_back_pages(work.connection)
    rows += pruning.delete_until_small(progress)
    return PruneReport(
        raw_dropped=raw,
        texts_dropped=texts,
        rows_deleted=rows,
        protected=protected,
        bytes_before=before,
        bytes_after=used_bytes(work.connection),
        dry_run=False,
    )


class _Pruning:
    def __init__(self, work: Maintenance, policy: RetentionPolicy) -> None:
        self.connection = work.connection
        self.now_ns = work.now_ns
        self.policy = policy

    def cutoff(self, days: float | None) -> int | None:
        return None if days is None else self.now_ns - round(days * _DAY_NS)

    def count(self, where: str, days: float | None) -> int:
        """How many traces older than this are so."""
        cutoff = self.cutoff(days)
        if cutoff is None:
            return 0
        sql = f"SELECT count(*) FROM traces t WHERE t.start_ns < :cutoff AND {where}"  # noqa: S608 - our own SQL
        return int(self.connection.execute(sql, self.values(cutoff=cutoff)).fetchone()[0])

    def protected(self) -> int:
        """Traces that are old enough to go but stay."""
        return self.count(f"NOT ({_FREE})", self.policy.row_days)

    def foreseen(self, before: int) -> PruneReport:
        total = self.total()
        each = before / total if total else 0.0
        rows = max(self.count(_FREE, self.policy.row_days), self.surplus(total))
        if self.policy.max_bytes is not None and before > self.policy.max_bytes:
            rows = max(rows, math.ceil((before - self.policy.max_bytes) / each) if each else 0)
        rows = min(rows, self.count(_FREE, -36_500))  # whatever its age
        texts = self.count(f"{_HAS_TEXTS} AND {_FREE}", self.policy.text_days)
        return PruneReport(
            raw_dropped=self.count(f"{_HAS_RAW} AND {_FREE}", self.policy.raw_days),
            texts_dropped=texts,
            rows_deleted=rows,
            protected=self.protected(),
            bytes_before=before,
            bytes_after=max(0, round(before - each * rows - 0.5 * each * max(0, texts - rows))),
            dry_run=True,
        )

    def sweep(
        self,
        where: str,
        days: float | None,
        drop: Callable[[sqlite3.Connection, Sequence[int]], None],
        progress: Callable[[str, int], None],
        what: str,
    ) -> int:
        """Do this to all traces older than that which are so and free."""
        cutoff = self.cutoff(days)
        if cutoff is None:
            return 0
        done = 0
        for count in self.batches(where, cutoff, drop):
            done += count
            progress(what, done)
        return done

    def delete_old(self, progress: Callable[[str, int], None]) -> int:
        return self.sweep("true", self.policy.row_days, _delete, progress, "traces")

    def delete_surplus(self, progress: Callable[[str, int], None]) -> int:
        """The oldest beyond the number that the policy keeps."""
        return self.delete_oldest(self.surplus(self.total()), progress)

    def delete_until_small(self, progress: Callable[[str, int], None]) -> int:
        """The oldest until the file is as small as the policy wants, or nothing free is left."""
        limit, deleted = self.policy.max_bytes, 0
        while limit is not None:
            used, total = used_bytes(self.connection), self.total()
            if used <= limit or not total:
                break
            wanted = max(math.ceil(total / 50), math.ceil((used - limit) / (used / total)))
            gone = self.delete_oldest(wanted, progress)
            if not gone:
                break
            deleted += gone
            give_back_pages(self.connection)
        return deleted

    def delete_oldest(self, wanted: int, progress: Callable[[str, int], None]) -> int:
        done = 0
        if wanted > 0:
            for count in self.batches("true", 1 << 62, _delete, most=wanted):
                done += count
                progress("traces", done)
        return done

    def batches(
        self,
        where: str,
        cutoff: int,
        do: Callable[[sqlite3.Connection, Sequence[int]], None],
        *,
        most: int | None = None,
    ) -> Iterator[int]:
        """The oldest first, each batch in a transaction that has looked again at what is free."""
        after: tuple[int, int] = (-(1 << 62), 0)
        left = most
        while left is None or left > 0:
            size = BATCH if left is None else min(BATCH, left)
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                rows = self.connection.execute(
                    "SELECT t.id, t.start_ns FROM traces t WHERE t.start_ns < :cutoff "  # noqa: S608 - our own SQL
                    f"AND (t.start_ns, t.id) > (:start, :row) AND {where} AND {_FREE} AND {_ENDED} "
                    "ORDER BY t.start_ns, t.id LIMIT :size",
                    self.values(cutoff=cutoff, start=after[0], row=after[1], size=size),
                ).fetchall()
                do(self.connection, [row[0] for row in rows])
                self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise
            if rows:
                after = (rows[-1][1], rows[-1][0])
                left = None if left is None else left - len(rows)
                yield len(rows)
            if len(rows) < size:
                return

    def surplus(self, total: int) -> int:
        return 0 if self.policy.max_traces is None else max(0, total - self.policy.max_traces)

    def total(self) -> int:
        return int(self.connection.execute("SELECT count(*) FROM traces").fetchone()[0])

    def values(self, **more: int) -> dict[str, int]:
        return {
            "keep_evaluated": self.policy.keep_evaluated,
            "ended": watermark(self.connection),
            "judged": upkeep.judged_watermark(self.connection),
            **more,
        }


def _delete(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    removal.remove_rows(connection, rows, keep=True)
