"""Starting, reading, stopping and promoting A/B experiments."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from p2re_eval.clock import SystemClock
from p2re_eval.errors import UsageError
from p2re_eval.interfaces import Clock
from p2re_eval.online.findings import Findings, findings
from p2re_eval.records import OnlineExperiment, Variant
from p2re_eval.service.contracts import Page, page_size
from p2re_eval.service.prompts import Prompts
from p2re_eval.store import Store, online_queries
from p2re_eval.store.online_queries import UnitRow
from p2re_eval.store.prompt_queries import VersionRow


class Online:
    """The A/B experiments of a store, which stays the caller's to close."""

    def __init__(
        self, store: Store, clock: Clock | None = None, *, prompts: Prompts | None = None
    ) -> None:
        self._store = store
        self._prompts = prompts or Prompts(store)
        self._clock = clock or SystemClock()

    def start(
        self,
        name: str,
        variants: Sequence[Variant],
        *,
        outcome: str,
        effect: float = 0.05,
        confidence: float = 0.95,
        description: str | None = None,
    ) -> OnlineExperiment:
        """A new experiment; its variants, weights and outcome are fixed from here on.

        Raises UsageError when the name is taken, ValueError for variants that cannot be compared.
        """
        experiment = OnlineExperiment(
            name=name,
            variants=tuple(variants),
            outcome=outcome,
            effect=effect,
            confidence=confidence,
            salt=secrets.token_hex(8),
            started_ns=self._clock.now_ns(),
            description=description,
        )
        self._store.change(lambda change: online_queries.start_online(change, experiment))
        return experiment

    def list(self) -> tuple[OnlineExperiment, ...]:
        """The newest first."""
        return tuple(self._store.read(online_queries.list_online))

    def get(self, name: str) -> OnlineExperiment:
        """Raises NoSuchRecord."""
        path = self._store.path
        return self._store.read(
            lambda connection: online_queries.read_online(connection, name, path)
        )

    def units(self, name: str, *, limit: int = 100, cursor: str | None = None) -> Page[UnitRow]:
        """Who got what, by the units' names, the last of which is the cursor. What was assigned
        stays so: nobody's variant changes or goes. Raises NoSuchRecord."""
        experiment, size = self.get(name).name, page_size(limit)
        rows = self._store.read(
            lambda connection: online_queries.list_units(
                connection, experiment, limit=size, after=cursor
            )
        )
        return Page(items=tuple(rows), next_cursor=rows[-1].unit if len(rows) == size else None)

    def findings(self, name: str) -> Findings:
        """What it has shown so far. Raises NoSuchRecord."""
        experiment = self.get(name)
        return findings(
            experiment,
            self._store.read(lambda one: online_queries.unit_outcomes(one, experiment)),
        )

    def stop(self, name: str, *, winner: str | None = None) -> OnlineExperiment:
        """Everybody gets the winner (default: the control) from now on; stopping again may change
        the winner. Raises NoSuchRecord, UsageError (no such variant)."""
        experiment = self.get(name)
        if winner is not None and experiment.variant(winner) is None:
            names = ", ".join(one.name for one in experiment.variants)
            raise UsageError(f"'{name}' has no variant '{winner}'; its variants are {names}")
        ended = {
            "status": "STOPPED",
            "winner": winner or experiment.winner,
            "ended_ns": experiment.ended_ns or self._clock.now_ns(),
        }
        stopped = experiment.model_copy(update=ended)
        self._store.change(lambda change: online_queries.save_online(change, stopped))
        return stopped

    def promote(self, name: str, winner: str, *, label: str = "production") -> VersionRow:
        """Stop with this winner, and move the label to its prompt's version.

        Raises NoSuchRecord, and UsageError when the variant names no prompt.
        """
        experiment = self.get(name)
        variant = experiment.variant(winner)
        if variant is None or variant.prompt is None:
            raise UsageError(
                f"'{winner}' of '{name}' names no prompt, so there is no version to label; "
                f"stop the experiment with --winner {winner} instead"
            )
        prompt, _, version = variant.prompt.partition("@")
        moved = self._prompts.label(prompt, label, version or "latest")
        self.stop(name, winner=winner)
        return moved
