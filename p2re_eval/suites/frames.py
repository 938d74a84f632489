"""A data frame of pandas or polars as a suite: a row a case, a column an input or what it is."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from typing import Any, NamedTuple

from pydantic import ValidationError

from p2re_eval.documents import did_you_mean
from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    MissingValue,
    UnknownName,
    UsageError,
    WrongType,
)
from p2re_eval.explain import Step
from p2re_eval.records import JSON, Place, Suite
from p2re_eval.suites.cases import CaseBuilder
from p2re_eval.suites.columns import Columns
from p2re_eval.suites.format import DatasetEntry, Defaults
from p2re_eval.suites.spots import MOST_A_DATASET, Mistakes

SHOWN = "the data frame"
_ABSENT = frozenset({"NAType", "NaTType"})


class InFrame(NamedTuple):
    """A row of a frame: by its label in pandas' index, by its number from 0 in polars."""

    row: object
    roles: Mapping[str, str]
    steps: tuple[Step, ...] = ()

    def place(self, *steps: Step, key: bool = False) -> Place:
        column = self._column((*self.steps, *steps))
        where = "" if column is None else f", column '{column}'"
        return Place(path=f"row {self.row}{where}")

    def within(self, *steps: Step) -> InFrame:
        return self._replace(steps=(*self.steps, *steps))

    def _column(self, steps: tuple[Step, ...]) -> str | None:
        """The column behind a case's field, or behind one key of its inputs."""
        for length in (2, 1):
            found = self.roles.get(".".join(map(str, steps[:length])))
            if found is not None and len(steps) >= length:
                return found
        return None


def suite_from_frame(
    frame: object,
    *,
    prompts: Sequence[str] = (),
    name: str = "dataframe",
    columns: Mapping[str, str | Sequence[str] | Mapping[str, str] | None],
) -> Suite:
    """A case for each row. ``columns`` say which column is which, as ``dataset:`` of a suite does.

    Raises DefinitionErrors naming row and column, of the first twenty mistakes; UsageError for
    something that is no data frame.
    """
    named, rows = _read(frame)
    mistakes = Mistakes(SHOWN)
    reader = Columns(_entry(columns), typed=True)
    roles = _roles(reader, named)
    builder = CaseBuilder(Defaults(), InFrame("", roles), set(), mistakes)
    for number, (label, cells) in enumerate(rows, start=1):
        spot = InFrame(label, roles)
        case = reader.case(_cells(cells, label, mistakes))
        builder.add(_split_tags(case), spot, f"row-{number:04}")
    cases = builder.cases()
    _raise_the_first(mistakes)
    if not cases:
        raise DefinitionErrors([MissingValue(f"{SHOWN} has no rows; a suite needs a case")])
    return Suite(name=name, path=name, prompts=tuple(prompts), cases=cases)


def _read(frame: object) -> tuple[list[str], Iterator[tuple[object, dict[str, object]]]]:
    """The columns' names, and the rows with what each is called."""
    found: Any = frame
    if hasattr(frame, "collect") and not hasattr(frame, "to_dicts"):
        raise UsageError("this frame is lazy; pass frame.collect()")
    if hasattr(frame, "to_dicts") and hasattr(frame, "columns"):
        return _named(list(found.columns)), enumerate(found.iter_rows(named=True))
    if hasattr(frame, "to_dict") and hasattr(frame, "columns"):
        names = _named(list(found.columns))
        return names, zip(found.index, found.to_dict(orient="records"), strict=True)
    kind = type(frame).__name__
    raise UsageError(f"from_dataframe takes a data frame of pandas or polars, not a {kind}")


def _named(columns: list[object]) -> list[str]:
    for column in columns:
        if not isinstance(column, str):
            what = f"the column {column!r} is not called by a text; rename it"
            raise DefinitionErrors([WrongType(what)])
        if columns.count(column) > 1:
            what = f"{SHOWN} has two columns '{column}'; rename one"
            raise DefinitionErrors([DuplicateKey(what)])
    return [str(column) for column in columns]


def _entry(columns: Mapping[str, str | Sequence[str] | Mapping[str, str] | None]) -> DatasetEntry:
    given = {key: value for key, value in columns.items() if value is not None}
    for key in ("inputs", "metadata"):
        value = given.get(key)
        if isinstance(value, str):
            given[key] = [value]
        elif value is not None:
            given[key] = dict(value) if isinstance(value, Mapping) else list(value)
    try:
        return DatasetEntry.model_validate({"path": SHOWN, **given})
    except ValidationError as error:
        wrong = [str(one["loc"][0]) for one in error.errors()]
        what = "; ".join(f"'{key}' takes the name of a column" for key in dict.fromkeys(wrong))
        raise DefinitionErrors([WrongType(what)]) from None


def _roles(reader: Columns, named: list[str]) -> dict[str, str]:
    """Which column gives a field of a case: ``expected``, ``inputs.ticket``.

    Raises DefinitionErrors for a column that was asked for and is not there.
    """
    roles = {
        field if key is None else f"{field}.{key}": column
        for column in named
        for field, key in reader.targets(column)
    }
    missing = [
        UnknownName(f"{SHOWN} has no column '{column}'" + did_you_mean(column, named))
        for column in reader.absent()
    ]
    if missing:
        raise DefinitionErrors(missing)
    return roles


def _cells(
    cells: Mapping[str, object], label: object, mistakes: Mistakes
) -> Iterator[tuple[str, JSON]]:
    """What is there, as JSON; an empty cell is absent."""
    for column, value in cells.items():
        if _is_absent(value):
            continue
        try:
            yield column, _as_json(value)
        except TypeError as error:
            mistakes.add(WrongType(str(error), path=f"row {label}, column '{column}'"))


def _is_absent(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in _ABSENT


def _as_json(value: Any) -> JSON:
    """Raises TypeError for what JSON does not know, saying what to do."""
    if isinstance(value, (str, bool, int)) and type(value).__module__ == "builtins":
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return {str(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if hasattr(value, "to_list") or hasattr(value, "tolist"):
        plain = value.to_list() if hasattr(value, "to_list") else value.tolist()
        return _as_json(plain) if isinstance(plain, list) else _finite(plain)
    return None if _is_absent(value) else _finite(value)


def _finite(value: object) -> JSON:
    if isinstance(value, (str, bool, int)) or value is None:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, float):
        raise TypeError("an endless number cannot be kept; leave the cell empty")
    kind = type(value).__name__
    raise TypeError(f"a value of type '{kind}' cannot be kept in a suite; make it text")


def _split_tags(case: dict[str, JSON]) -> dict[str, JSON]:
    """``a; b`` are two tags, as in a .csv."""
    if isinstance(case.get("tags"), str):
        case["tags"] = [tag.strip() for tag in case["tags"].split(";") if tag.strip()]
    return case


def _raise_the_first(mistakes: Mistakes) -> None:
    try:
        mistakes.raise_if_any()
    except DefinitionErrors as error:
        if len(error.errors) <= MOST_A_DATASET:
            raise
        more = f"and {len(error.errors) - MOST_A_DATASET} more mistakes"
        kept = [*error.errors[:MOST_A_DATASET], DefinitionError(more)]
        raise DefinitionErrors(kept) from None
