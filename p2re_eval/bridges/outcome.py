"""What a sync did: counts that add up, and every failure with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from p2re_eval.quantities import count_text

Progress: TypeAlias = Callable[[str, int, int | None], None]
"""Told what is going on, how many are done, and of how many where that is known."""

_SHOWN = {
    "traces_pushed": ("trace sent and seen there", "traces sent and seen there"),
    "spans_pushed": ("span sent and seen there", "spans sent and seen there"),
    "traces_sent": ("trace sent and accepted there", "traces sent and accepted there"),
    "spans_sent": ("span sent and accepted there", "spans sent and accepted there"),
    "evaluations_sent": ("later evaluation sent", "later evaluations sent"),
    "spans_pulled": ("span imported", "spans imported"),
    "evaluations_pushed": ("evaluation written there", "evaluations written there"),
    "evaluations_pulled": ("annotation imported", "annotations imported"),
    "evaluations_updated": ("evaluation changed by them", "evaluations changed by them"),
    "conflicts": ("conflict (both sides had changed)", "conflicts (both sides had changed)"),
    "sessions": ("session named", "sessions named"),
    "prompts_pushed": ("prompt version written there", "prompt versions written there"),
    "prompts_pulled": ("prompt version imported", "prompt versions imported"),
    "labels_moved": ("label moved", "labels moved"),
    "experiments_pulled": ("experiment imported", "experiments imported"),
    "datasets_pulled": ("dataset written", "datasets written"),
    "deleted_there": ("deleted there, kept here", "deleted there, kept here"),
    "dropped": ("failure", "failures"),
    "unconfirmed": (
        "span accepted but not seen there yet",
        "spans accepted but not seen there yet",
    ),
}

_NAMED = 5


@dataclass
class Outcome:
    """The counts of one sync with one target; ``planned`` when nothing was written (a dry run)."""

    target: str
    planned: bool = False
    when_idle: str = "nothing to do: both sides hold the same"
    counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    requests: int = 0
    duration_ns: int = 0

    def add(self, what: str, count: int = 1) -> None:
        """Count something that the summary has words for."""
        assert what in _SHOWN, what
        if count:
            self.counts[what] = self.counts.get(what, 0) + count

    def fail(self, what: str, name: str, why: str) -> None:
        """One thing that will not be tried again by itself; the first few are named."""
        self.add("dropped")
        if len(self.failures) < _NAMED:
            self.failures.append(f"{what} {name[:18]}: {why}")

    @property
    def changed(self) -> bool:
        """Whether anything was done at all, or is still to be done."""
        return bool(self.counts or self.failures)

    def lines(self) -> list[str]:
        """The summary for people; a sync without work says so."""
        would = "would be: " if self.planned else ""
        said = [
            would + count_text(self.counts[what], *words)
            for what, words in _SHOWN.items()
            if what in self.counts
        ]
        if not said and not self.failures:
            said = [self.when_idle]
        return [*said, *self.notes, *(f"failed: {why}" for why in self.failures)]
