"""Which column of a dataset means what: by its name, or as the suite says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from p2re_eval.records import JSON
from p2re_eval.suites.format import DatasetEntry

Target = tuple[str, str | None]
"""A field of a case, and the key inside it for ``inputs`` and ``metadata``."""

_SINGLE = ("id", "expected", "tags", "cluster")
_KEYED = ("inputs", "metadata")
_WHOLE = ("metadata", "scorers", "threshold")


class Columns:
    """Turns flat rows into case entries.

    By name: ``id``, ``expected``, ``tags``, ``cluster``, ``inputs.NAME`` and ``metadata.NAME``; in
    a typed format also ``metadata``, ``scorers`` and ``threshold``; anything else is an input. A
    field that the suite maps is taken from the mapped column only.
    """

    def __init__(self, entry: DatasetEntry, *, typed: bool) -> None:
        self._entry = entry
        self._typed = typed
        self._mapped = _mapped(entry)
        self._known: dict[str, tuple[Target, ...]] = {}

    @property
    def mapped(self) -> dict[str, list[Target]]:
        """The columns that the suite names, with what it takes them for."""
        return self._mapped

    def targets(self, column: str) -> tuple[Target, ...]:
        """What this column gives; nothing when the suite leaves it out."""
        found = self._known.get(column)
        if found is None:
            found = self._known[column] = tuple(self._targets(column))
        return found

    def case(self, cells: Iterable[tuple[str, JSON]]) -> dict[str, JSON]:
        """A row's cells as a case entry."""
        raw: dict[str, JSON] = {}
        for column, value in cells:
            for field, key in self.targets(column):
                if key is None:
                    raw[field] = value
                else:
                    raw.setdefault(field, {})[key] = value
        return raw

    def absent(self) -> list[str]:
        """The columns that the suite names and no row had."""
        return [column for column in self._mapped if column not in self._known]

    @property
    def seen(self) -> list[str]:
        """The columns there were."""
        return list(self._known)

    def _targets(self, column: str) -> Iterator[Target]:
        if column in self._mapped:
            yield from self._mapped[column]
            return
        field, dot, key = column.partition(".")
        if column in _SINGLE and getattr(self._entry, column) is None:
            yield (column, None)
        elif dot and key and field in _KEYED:
            if getattr(self._entry, field) is None:
                yield (field, key)
        elif self._typed and column in _WHOLE:
            yield (column, None)
        elif self._entry.inputs is None:
            yield ("inputs", column)


def _mapped(entry: DatasetEntry) -> dict[str, list[Target]]:
    mapped: dict[str, list[Target]] = {}
    for field in _SINGLE:
        column = getattr(entry, field)
        if column is not None:
            mapped.setdefault(column, []).append((field, None))
    for field in _KEYED:
        named = getattr(entry, field) or {}
        pairs = named.items() if isinstance(named, dict) else ((name, name) for name in named)
        for key, column in pairs:
            mapped.setdefault(column, []).append((field, key))
    return mapped
