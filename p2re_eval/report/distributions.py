"""How each scorer's values are spread, as small histograms."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from p2re_eval.quantities import number_text
from p2re_eval.records import Result

BINS = 10
_WIDTH, _HEIGHT = 100.0, 24.0

Key: TypeAlias = tuple[str, str, str, str]
"""Suite, prompt, model and the scorer's name."""


class Bar(NamedTuple):
    """A bar of the drawing, from the top left corner."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Histogram:
    """The values of one scorer between ``low`` and ``high``; ``told`` says it in words."""

    counts: tuple[int, ...]
    low: str
    high: str
    told: str
    bars: tuple[Bar, ...]


class Distributions:
    """Collects values as results go by: eight bytes each."""

    def __init__(self) -> None:
        self._values: dict[Key, array[float]] = defaultdict(lambda: array("d"))

    def watching(self, results: Iterable[Result]) -> Iterator[Result]:
        """Pass the results through."""
        for result in results:
            if result.quarantine is None:
                self._add(result)
            yield result

    def histograms(self) -> dict[Key, Histogram]:
        """One for each scorer that says more than yes and no."""
        return {
            key: _histogram(values) for key, values in self._values.items() if len(set(values)) > 2
        }

    def _add(self, result: Result) -> None:
        for one in result.evaluations:
            value = None if one.score is None else one.score.value
            if value is not None and abs(value) != float("inf") and value == value:
                self._values[(result.suite, result.prompt, result.model, one.name)].append(value)


def _histogram(values: array[float]) -> Histogram:
    low, high = min(values), max(values)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    counts = [0] * BINS
    for value in values:
        counts[min(int((value - low) / (high - low) * BINS), BINS - 1)] += 1
    told = f"{len(values):,} values from {number_text(min(values))} to {number_text(max(values))}"
    return Histogram(
        counts=tuple(counts),
        low=number_text(low),
        high=number_text(high),
        told=told,
        bars=tuple(_bars(counts)),
    )


def _bars(counts: list[int]) -> Iterator[Bar]:
    """A bin that holds anything is seen, however little."""
    wide, most = _WIDTH / len(counts), max(counts)
    for place, count in enumerate(counts):
        if count:
            tall = max(_HEIGHT * count / most, 1.5)
            yield Bar(place * wide + 0.5, _HEIGHT - tall, wide - 1, tall)
