"""What the registered scorers are and take, as rows for documentation and ``--help``."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import NamedTuple

from p2re_eval.scorers.binding import Scorer


class OptionRow(NamedTuple):
    """One option; ``default`` is ``None`` when it must be given, and "" when it may be left out."""

    name: str
    type: str
    default: str | None

    def __str__(self) -> str:
        shown = f"{self.name}: {self.type}"
        return f"{shown} = {self.default}" if self.default else shown


class ScorerRow(NamedTuple):
    """One scorer; ``summary`` is the first line of its docstring."""

    name: str
    summary: str
    options: tuple[OptionRow, ...]


def scorer_table(scorers: Mapping[str, Scorer]) -> list[ScorerRow]:
    """A row for each scorer, in the order of registration."""
    return [_row(name, scorer) for name, scorer in scorers.items()]


def _row(name: str, scorer: Scorer) -> ScorerRow:
    lines = (scorer.__doc__ or "").strip().splitlines()
    options = tuple(_option(option) for option in scorer.signature.options.values())
    return ScorerRow(name, lines[0] if lines else "", options)


def _option(option: inspect.Parameter) -> OptionRow:
    annotation = "" if option.annotation is option.empty else option.annotation
    shown = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    if option.default is option.empty:
        default = None
    else:
        default = "" if option.default in (None, ...) else repr(option.default)
    return OptionRow(option.name, shown.removesuffix(" | None"), default)
