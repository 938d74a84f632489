"""What is wrong with a gate, said at its place."""

from __future__ import annotations

from collections.abc import Collection

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import DefinitionError, UnknownName
from p2re_eval.records import GateSpec


def mistake(kind: type[DefinitionError], spec: GateSpec, what: str) -> DefinitionError:
    """The error, ready to raise."""
    place = spec.place
    if place is None:
        return kind(what)
    return kind(what, path=place.path, line=place.line, column=place.column)


def check_scorer(spec: GateSpec, scorer: str, scorers: Collection[str] | None) -> None:
    """Refuse a scorer that the suite does not have; ``None`` takes any. Raises UnknownName."""
    if scorers is not None and scorer not in scorers:
        what = f"the gate names an unknown scorer '{scorer}'" + did_you_mean(scorer, scorers)
        raise mistake(UnknownName, spec, what)
