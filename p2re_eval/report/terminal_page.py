"""Lines of a terminal page: colors, tables that fit, texts that cannot fool the reader."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from p2re_eval.report.wording import visible

_PAINT = re.compile(r"\x1b\[[0-9;]*m")
_ASCII = MappingProxyType(
    {"✓": "+", "✗": "x", "─": "-", "·": "|", "…": "...", "≥": ">=", "≤": "<="}
)
_COLORS = MappingProxyType(
    {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2", "plain": "0"}
)


def one_line(text: str, limit: int | None = None) -> str:
    """The text on one line without control characters, cut to ``limit`` columns."""
    plain = visible(" ".join(text.split()))
    if limit is None or columns_of(plain) <= limit:
        return plain
    kept, used = [], 0
    for character in plain:
        used += columns_of(character)
        if used > max(limit - 1, 0):
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def columns_of(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - combining


def wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _plain(text: str) -> str:
    return _PAINT.sub("", text)


def encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for symbol, plain in _ASCII.items():
            text = text.replace(symbol, plain)
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return encodable(text, "ascii")
    return text


@dataclass(frozen=True)
class Column:
    """A column of the table: the higher ``rank``, the sooner it gives way to a narrow window."""

    title: str
    cells: tuple[str, ...]
    rank: int = 0
    align: str = "right"


class Page:
    """Lines in the making, at most ``width`` columns each."""

    def __init__(self, *, color: bool, width: int) -> None:
        self.lines: list[str] = []
        self.width = width
        self._color = color

    def row(self, mark: str, case: str, where: str) -> str:
        """A case in one line: its name is cut last."""
        used = columns_of(_plain(mark)) + 6
        where = one_line(where, max(self.width - used - min(columns_of(case), 30), 0))
        name = one_line(case, max(self.width - used - columns_of(where), 10))
        return f"{mark} {self.paint(name, 'bold')}  {self.paint(where, 'dim')}".rstrip()

    def block(self, text: str) -> list[str]:
        """A paragraph, indented and wrapped."""
        first, *rest = wrapped(visible(text), self.width - 4)
        return [f"  {first}", *(f"    {line}" for line in rest)]

    def title(self, text: str) -> None:
        self.lines += ["", self.paint(text, "bold")]

    def paint(self, text: str, *colors: str) -> str:
        if not self._color or not text:
            return text
        codes = ";".join(_COLORS[color] for color in colors)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def fits(self, columns: Sequence[Column]) -> bool:
        """Whether a table shows all of these columns, uncut."""
        return max(columns_of(line) for line in _laid_out(columns)) <= self.width - 2

    def table(self, columns: Sequence[Column]) -> None:
        lines = _fitting_table(columns, self.width - 2)
        self.lines.append("  " + self.paint(lines[0], "dim"))
        self.lines += [f"  {line}".rstrip() for line in lines[1:]]


def _fitting_table(columns: Sequence[Column], width: int) -> list[str]:
    """The table with every column that fits; names are cut when it is still too wide."""
    left = list(columns)
    lines = _laid_out(left)
    while max(columns_of(line) for line in lines) > width:
        worst = max(left, key=lambda column: column.rank)
        if worst.rank == 0:
            return _laid_out(_narrowed(left, max(columns_of(line) for line in lines) - width))
        left.remove(worst)
        lines = _laid_out(left)
    return lines


def _narrowed(columns: Sequence[Column], excess: int) -> list[Column]:
    names = [c for c in columns if c.align == "left"]
    widest = sorted(names, key=lambda column: -max(columns_of(cell) for cell in column.cells))
    narrowed = {}
    for column in widest:
        has = max(columns_of(cell) for cell in column.cells)
        limit = max(has - excess, 10)
        excess -= max(has - limit, 0)
        cells = tuple(_middle_cut(cell, limit) for cell in column.cells)
        narrowed[column.title] = Column(column.title, cells, column.rank, column.align)
    return [narrowed.get(column.title, column) for column in columns]


def _middle_cut(text: str, limit: int) -> str:
    """The two ends of a name: what tells models apart is often at the end."""
    if columns_of(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def _laid_out(columns: Sequence[Column]) -> list[str]:
    """The table's lines: the header, a rule below it, and a line for each row of cells."""
    widths = [max(columns_of(cell) for cell in (c.title, *c.cells)) for c in columns]
    padded = [
        [_padded(cell, width, column.align) for cell in (column.title, *column.cells)]
        for column, width in zip(columns, widths, strict=True)
    ]
    header, *lines = ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
    return [header, "  ".join("─" * width for width in widths), *lines]


def _padded(cell: str, width: int, align: str) -> str:
    room = " " * (width - columns_of(cell))
    return cell + room if align == "left" else room + cell
