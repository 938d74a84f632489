"""A/B experiments on live traffic: what is compared, with whom, and what came of it."""

from typing import Literal, Self

from pydantic import Field, model_validator

from p2re_eval.records.base import JSON, Record

OnlineStatus = Literal["RUNNING", "STOPPED"]


class Variant(Record):
    """One of the ways that are compared: ``prompt`` is ``NAME@VERSION``, ``model`` is
    ``provider/name``, ``settings`` what your code makes of it; ``weight`` is its share of units,
    relative to the others'."""

    name: str
    weight: float = 1.0
    prompt: str | None = None
    model: str | None = None
    settings: dict[str, JSON] = Field(default_factory=dict)


class OnlineExperiment(Record):
    """An A/B experiment; the first variant is the control.

    ``outcome`` names the evaluations that are compared; ``effect`` is the smallest difference worth
    knowing. ``salt`` makes its assignment independent of every other experiment's. Once it is
    stopped, everybody gets the ``winner``, or the control.
    """

    name: str
    variants: tuple[Variant, ...]
    outcome: str
    effect: float = 0.05
    confidence: float = 0.95
    salt: str
    status: OnlineStatus = "RUNNING"
    started_ns: int
    ended_ns: int | None = None
    winner: str | None = None
    description: str | None = None

    @model_validator(mode="after")
    def _sound(self) -> Self:
        names = [variant.name for variant in self.variants]
        if len(names) < 2 or len(set(names)) < len(names):
            raise ValueError("an experiment compares two or more variants with names of their own")
        if min(variant.weight for variant in self.variants) <= 0:
            raise ValueError("every variant needs a weight above 0")
        if self.effect <= 0 or not 0 < self.confidence < 1:
            raise ValueError("effect must be above 0, and confidence between 0 and 1")
        if self.winner is not None and self.winner not in names:
            raise ValueError(f"the winner must be one of {', '.join(names)}")
        return self

    def variant(self, name: str) -> Variant | None:
        """The variant of this name."""
        return next((one for one in self.variants if one.name == name), None)


class Assignment(Record):
    """Which variant a unit (a user, a conversation) has; ``counts`` while the experiment runs."""

    experiment: str
    unit: str
    variant: Variant
    counts: bool = True


class UnitOutcomes(Record):
    """A variant's units: how many were assigned, and the mean outcome of each that has one."""

    variant: str
    assigned: int
    outcomes: tuple[float, ...] = ()
