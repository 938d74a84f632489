"""From a line of a template's text to the line of the YAML file that holds it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import yaml

from p2re_eval.documents import Document
from p2re_eval.explain import Step
from p2re_eval.records import Place


def text_place(
    document: Document, raw: str, steps: Sequence[Step], *, line: int = 1, word: str = ""
) -> Place:
    """Where a line (from 1) of the text at these steps stands in the file, at ``word`` when known.

    Exact for ``|`` blocks and for texts on one line. Folded and quoted texts lose their line
    breaks in YAML: there it is the first place of ``word``, else where the text starts.
    """
    node = document.node(*steps)
    start = document.place(*steps)
    if not isinstance(node, yaml.ScalarNode):
        return start
    rows = raw.removeprefix("\ufeff").split("\n")
    if node.style == "|":
        row = node.start_mark.line + line
        return _place(start.path, rows, row, word) or start
    for row in range(node.start_mark.line, min(node.end_mark.line + 1, len(rows))):
        begin = node.start_mark.column if row == node.start_mark.line else 0
        column = next(_found(word, rows[row], begin), None)
        if column is not None:
            return Place(path=start.path, line=row + 1, column=column + 1)
    return start


def block_place(document: Document, steps: Sequence[Step]) -> Place:
    """The start of a text. For ``|`` blocks it is the first line with column 0, which tells
    the renderer that the text's lines and the file's lines go together one by one."""
    node = document.node(*steps)
    start = document.place(*steps)
    if isinstance(node, yaml.ScalarNode) and node.style == "|":
        return Place(path=start.path, line=start.line + 1)
    return start


def line_place(path: str, text: str, *, line: int, word: str = "") -> Place:
    """Where ``word`` stands on this line of a file that is one template."""
    return _place(path, text.split("\n"), line - 1, word) or Place(path=path, line=line)


def _place(path: str, rows: Sequence[str], row: int, word: str) -> Place | None:
    if row >= len(rows):
        return None
    text = rows[row]
    column = next(_found(word, text, 0), len(text) - len(text.lstrip()))
    return Place(path=path, line=row + 1, column=column + 1)


def _found(word: str, text: str, begin: int) -> Iterator[int]:
    if word:
        for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text[begin:]):
            yield begin + match.start()
