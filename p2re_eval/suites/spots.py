"""Where the entries of suites and datasets stand, and the mistakes found there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pydantic import BaseModel, ValidationError

from p2re_eval.documents import Document
from p2re_eval.errors import DefinitionError, DefinitionErrors
from p2re_eval.explain import Step, explanations
from p2re_eval.records import Place

MOST_A_DATASET = 20


class Spot(Protocol):
    """Where an entry starts; steps lead to what is inside it, as far as the format tells."""

    def place(self, *steps: Step, key: bool = False) -> Place:
        """The place of the value at these steps or, with ``key``, of its key."""

    def within(self, *steps: Step) -> Spot:
        """The spot of what stands at these steps."""


@dataclass(frozen=True, slots=True)
class InDocument:
    """An entry of a YAML file: every key and value in it has a line and a column."""

    document: Document
    base: tuple[Step, ...] = ()

    def place(self, *steps: Step, key: bool = False) -> Place:
        return self.document.place(*self.base, *steps, key=key)

    def within(self, *steps: Step) -> InDocument:
        return InDocument(self.document, (*self.base, *steps))


class OnLine(NamedTuple):
    """A row of a .csv or .jsonl file: all of it stands on one line."""

    path: str
    line: int

    def place(self, *steps: Step, key: bool = False) -> Place:
        return Place(path=self.path, line=self.line)

    def within(self, *steps: Step) -> OnLine:
        return self


class Mistakes:
    """Mistakes of a suite file and its datasets; of one dataset at most twenty are spelled out."""

    def __init__(self, suite: str) -> None:
        self._suite = suite
        self._kept: dict[str, list[DefinitionError]] = {suite: []}
        self._left_out: dict[str, int] = {}
        self._said: set[str] = set()

    def add(self, mistake: DefinitionError) -> None:
        """Keep it, or count it when its dataset has too many already."""
        path = str(mistake.path)
        kept = self._kept.setdefault(path, [])
        if str(mistake) in self._said:
            return
        self._said.add(str(mistake))
        if path == self._suite or len(kept) < MOST_A_DATASET:
            kept.append(mistake)
        else:
            self._left_out[path] = self._left_out.get(path, 0) + 1

    def note(
        self,
        kind: type[DefinitionError],
        what: str,
        spot: Spot,
        *steps: Step,
        key: bool = False,
    ) -> None:
        """Keep a mistake of this kind, at these steps from the spot."""
        place = spot.place(*steps, key=key)
        self.add(kind(what, path=place.path, line=place.line, column=place.column))

    def explain(self, error: ValidationError, model: type[BaseModel], spot: Spot) -> None:
        """Keep each of pydantic's findings about an entry of this model."""
        for kind, what, steps, at_key in dict.fromkeys(explanations(error, model)):
            self.note(kind, what, spot, *steps, key=at_key)

    @property
    def any(self) -> bool:
        """Whether there is a mistake."""
        return any(self._kept.values())

    def raise_if_any(self) -> None:
        """Raises DefinitionErrors: the suite's first, each file's in line order."""
        errors: list[DefinitionError] = []
        for path, kept in self._kept.items():
            errors += sorted(kept, key=lambda mistake: (mistake.line, mistake.column))
            if path in self._left_out:
                what = f"and {self._left_out[path]} more mistakes in this file"
                errors.append(DefinitionError(what, path=path))
        if errors:
            raise DefinitionErrors(errors)
