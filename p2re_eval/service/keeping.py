"""Keeping a store within bounds and free of secrets."""

from __future__ import annotations

from collections.abc import Callable

from p2re_eval.errors import UsageError
from p2re_eval.store import Store, history_redaction, retention
from p2re_eval.store.history_redaction import RedactionReport
from p2re_eval.store.retention import PruneReport, RetentionPolicy


class Keeping:
    """What is let go of, and what must not stay."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def prune(
        self,
        policy: RetentionPolicy,
        *,
        dry_run: bool = False,
        progress: Callable[[str, int], None] = lambda what, count: None,
    ) -> PruneReport:
        """Let go of what the policy does not keep, while others write; charts stay as they are.

        Raises UsageError (the policy keeps everything), StoreError.
        """
        if policy.says_nothing:
            what = "this policy keeps everything; say after how many days what may go, or how much "
            raise UsageError(what + "the database may hold")
        with self._store.maintenance() as work:
            return retention.prune(work, policy, dry_run=dry_run, progress=progress)

    def redact(self, *, dry_run: bool = False) -> RedactionReport:
        """Rewrite what is on disk as it would be written today: texts, index, freed pages.

        Raises StoreLocked when another program still uses the old pages.
        """
        with self._store.maintenance() as work:
            return history_redaction.redact_history(
                work.connection, work.path, work.redaction, dry_run=dry_run
            )
