"""``--p2re-shard K/N``: equal shares of the items, the same whatever else is selected.

A case with all its repeats belongs to one share. The cases of a suite are put in an order of their
hashes and dealt out, all of them, before anybody looks at what was selected: so the shares differ
by one case at most, and ``-k`` moves none of them to another machine. Tests in Python go by file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from p2re_eval.planning import PlannedRun, SuitePlan
from p2re_eval.pytest_plugin.items import CaseItem, GateItem
from p2re_eval.records import JSON


@dataclass
class Shard:
    """Share ``number`` of ``of``, and what of the whole selection the merge needs to know."""

    number: int
    of: int
    suites: dict[str, dict[str, int]] = field(default_factory=dict)
    gates: dict[str, dict[str, JSON]] = field(default_factory=dict)
    _shares: dict[str, dict[str, int]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def keep(self, items: list[pytest.Item]) -> list[pytest.Item]:
        """Leave only this share's items, in place; gives those left out. Gates are left to the
        merge: no share knows enough to decide one."""
        mine: list[pytest.Item] = []
        others: list[pytest.Item] = []
        for item in items:
            self._note(item)
            (mine if self._is_mine(item) else others).append(item)
        items[:] = mine
        return others

    def told(self) -> dict[str, JSON]:
        """What the experiment's settings keep of it."""
        suites = [{"suite": suite, **counts} for suite, counts in self.suites.items()]
        gates = list(self.gates.values())
        return {"number": self.number, "of": self.of, "suites": suites, "gates": gates}

    def _note(self, item: pytest.Item) -> None:
        if isinstance(item, CaseItem):
            planned = {"selected": 0, "planned": len(item.plan.runs)}
            self.suites.setdefault(item.plan.suite.path, planned)["selected"] += 1
        elif isinstance(item, GateItem):
            spec = item.gate.spec.model_dump(mode="json", exclude_defaults=True)
            self.gates[item.nodeid] = {"suite": item.plan.suite.path, "spec": spec}

    def _is_mine(self, item: pytest.Item) -> bool:
        if isinstance(item, GateItem):
            return False
        if isinstance(item, CaseItem):
            return self._share_of(item.run, item.plan) == self.number - 1
        return _hashed(item.nodeid.partition("::")[0]) % self.of == self.number - 1

    def _share_of(self, run: PlannedRun, plan: SuitePlan) -> int:
        suite = plan.suite.path
        if suite not in self._shares:
            self._shares[suite] = dealt(suite, [_unit(one) for one in plan.runs], self.of)
        return self._shares[suite][_unit(run)]


def dealt(suite: str, units: Sequence[str], of: int) -> dict[str, int]:
    """The share of each unit, counted from 0. Suites begin at different shares, so that those of
    one case each do not all come to the first."""
    in_order = sorted(set(units), key=lambda unit: (_hashed(f"{suite}\0{unit}"), unit))
    start = _hashed(suite)
    return {unit: (start + place) % of for place, unit in enumerate(in_order)}


def _unit(run: PlannedRun) -> str:
    return f"{run.prompt}\0{run.model}\0{run.case.id}"


def _hashed(text: str) -> int:
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big")
