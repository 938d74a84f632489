"""Repeats that nobody needs: a case stops as soon as its k-of-n verdict cannot change."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TypeAlias

from p2re_eval.errors import DecidedEarly
from p2re_eval.gates import Gate
from p2re_eval.planning.planned import PlannedRun
from p2re_eval.records import Outcome

_Key: TypeAlias = tuple[str, str, str, str]


class EarlyStops:
    """The cases whose repeats are watched. Its turns are used from the engine's loop only."""

    def __init__(self) -> None:
        self._cases: dict[_Key, _Case] = {}

    def watch(self, runs: Iterable[PlannedRun], gates: Sequence[Gate]) -> None:
        """These selected runs of a suite, of which only these gates depend on single repeats."""
        repeats = Counter(_key(run) for run in runs)
        for key, n in repeats.items():
            if n > 1:
                self._cases[key] = _Case(tuple(gates), n)

    def turn(self, run: PlannedRun) -> Turn:
        """``async with`` it around the run: entering waits while the repeats in flight may still
        decide, and raises DecidedEarly when nothing is left to decide."""
        return Turn(self._cases.get(_key(run)))


class Turn:
    """One repeat's place among the others of its case."""

    def __init__(self, case: _Case | None) -> None:
        self._case = case

    def ended(self, outcome: Outcome) -> None:
        """How the repeat ended."""
        if self._case is not None:
            self._case.count(outcome)

    async def __aenter__(self) -> Turn:
        if self._case is not None:
            await self._case.enter()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._case is not None:
            self._case.leave()


@dataclass
class _Case:
    """The repeats of one case: how they ended, and how many are in flight."""

    gates: tuple[Gate, ...]
    n: int
    passed: int = 0
    failed: int = 0
    running: int = 0

    def __post_init__(self) -> None:
        self._changed = asyncio.Event()

    async def enter(self) -> None:
        while True:
            if self._decided(self.passed, self.failed):
                raise DecidedEarly(self._told())
            if self.running < self._least():
                self.running += 1
                return
            self._changed.clear()
            await self._changed.wait()

    def count(self, outcome: Outcome) -> None:
        self.passed += outcome == "passed"
        self.failed += outcome == "failed"

    def leave(self) -> None:
        self.running -= 1
        self._changed.set()

    def _decided(self, passed: int, failed: int) -> bool:
        """Whether every gate says the same, however the others would end."""
        return all(
            gate.holds(passed / self.n) or not gate.holds((self.n - failed) / self.n)
            for gate in self.gates
        )

    def _least(self) -> int:
        """How many more repeats could decide, if they all ended alike: so many may fly at once."""
        for more in range(1, self.n + 1):
            if self._decided(self.passed + more, self.failed):
                return more
            if self._decided(self.passed, self.failed + more):
                return more
        return self.n

    def _told(self) -> str:
        gates = " and ".join(gate.text for gate in self.gates)
        return f"{gates} is decided: {self.passed} passed and {self.failed} failed of {self.n}"


def _key(run: PlannedRun) -> _Key:
    return run.suite.path, run.prompt, run.model, run.case.id
