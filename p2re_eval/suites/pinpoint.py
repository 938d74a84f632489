"""Where inside an entry a mistake stands, looked up in its file once there is one to show."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import yaml

from p2re_eval.documents import Document, read_document, read_text
from p2re_eval.errors import DefinitionErrors
from p2re_eval.explain import Step
from p2re_eval.records import Place


class Pinpoint:
    """Finds lines and columns below the root folder; a file is read once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._texts: dict[str, str] = {}
        self._documents: dict[str, Document | None] = {}

    def inside(self, place: Place, *steps: Step, key: bool = False) -> Place:
        """The place of what these steps lead to in the entry at ``place`` or, with ``key``, of its
        key; the entry's own place where that is not to be found."""
        if place.path.endswith((".yaml", ".yml")):
            return self._in_document(self._document(place.path), place, steps, key) or place
        if place.path.endswith(".jsonl"):
            return self._on_line(place, steps, key) or place
        if place.path.endswith(".csv") and key:
            return self._in_header(place, str(steps[-1])) or place
        return place

    def _in_document(
        self, document: Document | None, place: Place, steps: tuple[Step, ...], key: bool
    ) -> Place | None:
        if document is None:
            return None
        for base in _paths_to(document.node(), place, ()):
            for found in (base, ("defaults",)):
                if document.node(*found, *steps) is not None:
                    return document.place(*found, *steps, key=key)
        return None

    def _on_line(self, place: Place, steps: tuple[Step, ...], key: bool) -> Place | None:
        lines = self._text(place.path).split("\n")
        text = lines[place.line - 1] if place.line <= len(lines) else ""
        document = _parsed(place.path, text)
        if document is None or document.node(*steps) is None:
            return None
        column = document.place(*steps, key=key).column
        return Place(path=place.path, line=place.line, column=column)

    def _in_header(self, place: Place, name: str) -> Place | None:
        for number, line in enumerate(self._text(place.path).splitlines(), start=1):
            if not line.strip():
                continue
            cells = next(csv.reader([line]), [])
            found = line.find(name) if name in (cell.strip() for cell in cells) else -1
            return None if found < 0 else Place(path=place.path, line=number, column=found + 1)
        return None

    def _document(self, path: str) -> Document | None:
        if path not in self._documents:
            self._documents[path] = _parsed(path, self._text(path))
        return self._documents[path]

    def _text(self, path: str) -> str:
        if path not in self._texts:
            try:
                self._texts[path] = read_text(self._root / path)
            except DefinitionErrors:
                self._texts[path] = ""
        return self._texts[path]


def _parsed(path: str, text: str) -> Document | None:
    try:
        return read_document(path, text)
    except DefinitionErrors:
        return None


def _paths_to(
    node: yaml.Node | None, place: Place, steps: tuple[Step, ...]
) -> Iterator[tuple[Step, ...]]:
    """The steps to what starts at this place, the outermost first."""
    if node is None:
        return
    mark = node.start_mark
    if steps and (mark.line + 1, mark.column + 1) == (place.line, place.column):
        yield steps
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            yield from _paths_to(child, place, (*steps, index))
    elif isinstance(node, yaml.MappingNode):
        for key, child in node.value:
            yield from _paths_to(child, place, (*steps, str(key.value)))
