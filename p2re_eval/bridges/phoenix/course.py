"""What all parts of one sync share: both sides, the ledger between them, and what came of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from p2re_eval.bridges.outcome import Outcome, Progress
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.interfaces import Clock
from p2re_eval.records import CapturedSpan, Evaluation
from p2re_eval.store import Mark, Position, Store, SyncLedger

TRACE, THEIR_TRACE = "trace", "their trace"
EVALUATION = "evaluation"
CONFLICT = "conflict"
PROMPT, LABEL = "prompt", "label"


@dataclass
class Course:
    """One sync under way. With ``dry`` nothing is written on either side."""

    store: Store
    ledger: SyncLedger
    phoenix: Phoenix
    clock: Clock
    outcome: Outcome
    progress: Progress
    pull: bool = True
    push: bool = True
    full: bool = False
    dry: bool = False

    async def save(
        self,
        *,
        spans: Sequence[CapturedSpan] = (),
        evaluations: Sequence[Evaluation] = (),
        marks: Sequence[Mark] = (),
        positions: Mapping[str, Position] | None = None,
    ) -> None:
        """Rows, marks and cursors on disk together; nothing in a dry run."""
        if self.dry:
            return
        saved = self.ledger.save(
            spans=spans, evaluations=evaluations, marks=marks, positions=positions
        )
        await asyncio.wrap_future(saved)
