"""Runs to be, and the plan of a suite that they make up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from p2re_eval.gates import Gate
from p2re_eval.records import JSON, Case, ModelSettings, PromptTemplate, Source, Suite, content_hash
from p2re_eval.scorers.binding import BoundScorer

if TYPE_CHECKING:
    from p2re_eval.engine.runs import Tape


@dataclass(frozen=True)
class Overrides:
    """What the command line says about every suite; ``None`` leaves it to the suite."""

    models: tuple[str, ...] = ()
    repeat: int | None = None
    source: Source | None = None
    early_stop: bool | None = None


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run to be: everything about it but the answer. Rendered only when its turn comes."""

    suite: Suite
    template: PromptTemplate
    settings: ModelSettings
    case: Case
    inputs: Mapping[str, JSON]
    repeat: int
    scorers: tuple[BoundScorer, ...]
    source: Source
    position: int
    prompt: str
    model: str
    """``provider/name``, and the settings that tell it from others of the suite."""
    tape: Tape | None = None
    quarantine: str | None = None
    asked: ModelSettings = ModelSettings()  # noqa: RUF009 - frozen
    """What the suite and the command line say of the model, without what the prompt says."""

    @property
    def name(self) -> str:
        """``double-charge[local/smollm2-135m#0]``: the item's name in pytest."""
        return f"{self.case.id}[{self.model}#{self.repeat}]"

    @property
    def item(self) -> str:
        """The whole item id, ``suites/support.yaml::route_ticket::double-charge[...]``."""
        return f"{self.suite.path}::{self.prompt}::{self.name}"

    @property
    def row_hash(self) -> str:
        """Stands for the dataset row: another one means that results are not comparable."""
        case = self.case
        return content_hash(_plain([case.inputs, case.expected, case.metadata]))

    @property
    def rules_hash(self) -> str:
        """Stands for all that decides between passed and failed."""
        rules = tuple((s.label, s.version, s.weight) for s in self.scorers if s.weight > 0)
        return _hash_of_rules(rules, self.threshold)

    @property
    def threshold(self) -> float | None:
        """The weighted mean that passes; ``None``: every scorer must pass."""
        own = self.case.threshold
        return own if own is not None else self.suite.threshold


@dataclass(frozen=True)
class SuitePlan:
    """A suite's runs in item order (a case's repeats side by side) and its gates.

    ``stop_early`` are the gates that may leave out repeats of a case once they are decided.
    """

    suite: Suite
    runs: tuple[PlannedRun, ...]
    gates: tuple[Gate, ...]
    stop_early: tuple[Gate, ...] = ()


@lru_cache(maxsize=1024)
def _hash_of_rules(rules: tuple[tuple[str, str, float], ...], threshold: float | None) -> str:
    """Most cases of a suite share theirs."""
    return content_hash([rules, threshold])


def _plain(value: JSON) -> JSON:
    """The value as JSON; a test in Python may hand in what JSON lacks, which counts by its text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)
