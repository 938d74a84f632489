"""Datasets beside a suite: the rows of .csv, .jsonl and .yaml files as case entries.

A cell of a .csv is text and stays text (an empty one is absent); whoever plans the run turns it
into what the prompt's input wants. Rows are read one by one, so a large file is held once.
"""

from __future__ import annotations

import csv
import json
import math
import random
import re
from codecs import BOM_UTF8
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, NamedTuple

from p2re_eval.documents import did_you_mean, read_document, read_text
from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    MissingFile,
    MissingValue,
    SyntaxMistake,
    UnknownName,
    WrongType,
)
from p2re_eval.records import JSON
from p2re_eval.suites.columns import Columns, Target
from p2re_eval.suites.format import DatasetEntry
from p2re_eval.suites.spots import InDocument, Mistakes, OnLine, Spot

DATASET_SUFFIXES = (".csv", ".jsonl", ".yaml", ".yml")
_ODD_CHARACTER = re.compile("[\0\ud800-\udfff]")
_MOST_LEVELS = 100
_TOO_DEEP = f"nested deeper than {_MOST_LEVELS} levels; flatten it"


class Row(NamedTuple):
    """A case entry yet to be checked; ``number`` counts the file's rows from 1."""

    number: int
    entry: JSON
    spot: Spot


@dataclass(frozen=True)
class Dataset:
    """A file of rows; ``shown`` is its path as places and messages name it."""

    path: Path
    shown: str
    entry: DatasetEntry

    def rows(self, mistakes: Mistakes) -> list[Row]:
        """The rows that ``limit`` and ``seed`` select, in file order."""
        limit, seed = self.entry.limit, self.entry.seed
        columns = Columns(self.entry, typed=self.path.suffix != ".csv")
        rows = list(islice(self._read(columns, mistakes), limit if seed is None else None))
        if rows and columns.absent():
            _note_absent(columns, OnLine(self.shown, 0), mistakes)
        if seed is None or limit is None or limit >= len(rows):
            return rows
        # only random() gives the same numbers in every version of Python, sample() does not
        number = random.Random(seed).random  # noqa: S311 - not a secret
        shuffled = sorted(range(len(rows)), key=lambda _: number())
        return [rows[index] for index in sorted(shuffled[:limit])]

    def _read(self, columns: Columns, mistakes: Mistakes) -> Iterator[Row]:
        read = {".csv": _csv_rows, ".jsonl": _jsonl_rows}.get(self.path.suffix, _yaml_rows)
        try:
            yield from read(self, columns, mistakes)
        except DefinitionErrors as error:
            for mistake in error.errors:
                mistakes.add(mistake)
        except OSError as error:
            what = f"cannot read this file ({error.strerror}); check the path"
            mistakes.note(MissingFile, what, OnLine(self.shown, 0))


# --- .yaml ---------------------------------------------------------------------------------------


def _yaml_rows(dataset: Dataset, columns: Columns, mistakes: Mistakes) -> Iterator[Row]:
    document = read_document(dataset.shown, read_text(dataset.path, shown=dataset.shown))
    if not isinstance(document.value, list):
        what = "a dataset is a list of cases; start each with '- inputs:'"
        mistakes.note(WrongType, what, InDocument(document))
        return
    for index, value in enumerate(document.value):
        spot = InDocument(document, (index,))
        if columns.mapped and isinstance(value, dict):
            value = columns.case(value.items())
        yield Row(index + 1, value, spot)


# --- .jsonl --------------------------------------------------------------------------------------


def _jsonl_rows(dataset: Dataset, columns: Columns, mistakes: Mistakes) -> Iterator[Row]:
    decoder = json.JSONDecoder(
        object_pairs_hook=_unique, parse_constant=_no_constant, parse_float=_finite
    )
    number = 0
    with dataset.path.open("rb") as file:
        for line, raw in enumerate(file, start=1):
            if raw.isspace():
                continue
            number += 1
            try:
                row = _object(raw.removeprefix(BOM_UTF8) if line == 1 else raw, decoder)
            except DefinitionError as error:
                kind, what, column = type(error), error.what, error.column
                mistakes.add(kind(what, path=dataset.shown, line=line, column=column))
                continue
            if columns.mapped or type(row.get("inputs")) is not dict:
                row = columns.case(row.items())
            yield Row(number, row, OnLine(dataset.shown, line))


def _object(raw: bytes, decoder: json.JSONDecoder) -> dict[str, JSON]:
    """The object on this line. Raises a DefinitionError that does not know its line yet."""
    try:
        text = raw.decode().rstrip()
        value, end = decoder.raw_decode(text, len(text) - len(text.lstrip()))
    except json.JSONDecodeError as error:
        what = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}; write one object a line"
        raise SyntaxMistake(what, column=error.colno) from None
    except UnicodeDecodeError as error:
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise SyntaxMistake(what) from None
    except RecursionError:
        raise SyntaxMistake(_TOO_DEEP) from None
    except ValueError:
        # Python refuses to read whole numbers of more than some thousand digits
        raise SyntaxMistake("a number is too large for JSON; put it in quotes") from None
    if end != len(text):
        raise SyntaxMistake("something follows the object; write one a line", column=end + 1)
    if not isinstance(value, dict):
        raise WrongType("a line must be one JSON object: {...}")
    _check_kept(text, value)
    return value


def _unique(pairs: list[tuple[str, JSON]]) -> dict[str, JSON]:
    values = dict(pairs)
    if len(values) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DuplicateKey(f"duplicate key '{twice}'; remove one of the two")
    return values


def _no_constant(name: str) -> JSON:
    raise SyntaxMistake(f"{name} is not JSON; use null, or text in quotes")


def _finite(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise SyntaxMistake(f"the number {text} is too large for JSON; put it in quotes")
    return value


def _check_kept(text: str, value: JSON) -> None:
    """Raises SyntaxMistake for JSON that Python reads but that cannot be stored or sent."""
    if "\\u" in text and _has_odd_characters(value):
        raise SyntaxMistake("a NUL character or half a surrogate pair cannot be kept; remove it")
    if text.count("[") + text.count("{") > _MOST_LEVELS and _levels(value) > _MOST_LEVELS:
        raise SyntaxMistake(_TOO_DEEP)


def _has_odd_characters(value: JSON) -> bool:
    left = [value]
    while left:
        node = left.pop()
        if isinstance(node, str):
            if _ODD_CHARACTER.search(node):
                return True
        elif isinstance(node, dict):
            left += [*node, *node.values()]
        elif isinstance(node, list):
            left += node
    return False


def _levels(value: JSON) -> int:
    levels, here = 0, [value]
    while here := [node for node in here if isinstance(node, dict | list)]:
        levels += 1
        here = [
            child for node in here for child in (node.values() if isinstance(node, dict) else node)
        ]
    return levels


# --- .csv ----------------------------------------------------------------------------------------


def _csv_rows(dataset: Dataset, columns: Columns, mistakes: Mistakes) -> Iterator[Row]:
    with dataset.path.open("rb") as file:
        reader = csv.reader(_text_lines(file, dataset.shown), strict=True)
        header, number, start = None, 0, 0
        while True:
            start = reader.line_num + 1
            spot = OnLine(dataset.shown, start)
            try:
                cells = next(reader, None)
            except csv.Error as error:
                mistakes.note(SyntaxMistake, _csv_fault(error), spot)
                return
            if cells is None:
                break
            if not cells:
                continue
            if header is None:
                header = _header(cells, columns, spot, mistakes)
                if header is None:
                    return
                continue
            number += 1
            if len(cells) != len(header):
                what = f"this row has {len(cells)} cells, the header has {len(header)}"
                mistakes.note(WrongType, f"{what}; check commas and quotes", spot)
                continue
            yield Row(number, _text_case(columns, header, cells), spot)
    if header is None:
        what = "this file has no header; name the columns in its first line"
        mistakes.note(MissingValue, what, OnLine(dataset.shown, 1))


def _text_lines(file: IO[bytes], shown: str) -> Iterator[str]:
    """Lines as text, ends kept: quoted cells may span them. Raises DefinitionErrors."""
    for number, raw in enumerate(file, start=1):
        try:
            line = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            what = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
            raise DefinitionErrors([SyntaxMistake(what, path=shown, line=number)]) from None
        if "\0" in line:
            what = "a NUL character; save the file as UTF-8 text"
            raise DefinitionErrors([SyntaxMistake(what, path=shown, line=number)])
        yield line


def _csv_fault(error: csv.Error) -> str:
    text = str(error)
    if "field limit" in text:
        return "a cell is longer than 131072 characters; put such data in a .jsonl dataset"
    if "unexpected end" in text:
        return "the quote that opens in this row is never closed; close it"
    return f"not CSV: {text}; double a quote inside a quoted cell"


def _header(cells: list[str], columns: Columns, spot: Spot, mistakes: Mistakes) -> list[str] | None:
    """The column names, or ``None`` when nothing below them could be understood."""
    names = [cell.strip() for cell in cells]
    if len(names) == 1 and (";" in names[0] or "\t" in names[0]):
        mistakes.note(SyntaxMistake, "columns must be separated by commas", spot)
        return None
    if "" in names:
        what = f"column {names.index('') + 1} has no name; add one to the header"
        mistakes.note(MissingValue, what, spot)
        return None
    owners: dict[Target, str] = {}
    for name in names:
        for target in columns.targets(name) or ((name, None),):
            if target in owners:
                what = f"the columns '{owners[target]}' and '{name}' mean the same; remove one"
                mistakes.note(DuplicateKey, what, spot)
                return None
            owners[target] = name
    if columns.absent():
        _note_absent(columns, spot, mistakes)
        return None
    return names


def _text_case(columns: Columns, header: list[str], cells: list[str]) -> dict[str, JSON]:
    raw = columns.case((name, cell) for name, cell in zip(header, cells, strict=True) if cell)
    if "tags" in raw:
        raw["tags"] = [tag.strip() for tag in raw["tags"].split(";") if tag.strip()]
    return raw


def _note_absent(columns: Columns, spot: Spot, mistakes: Mistakes) -> None:
    for column in columns.absent():
        what = f"the suite asks for the column '{column}', which is not here"
        mistakes.note(UnknownName, what + did_you_mean(column, columns.seen), spot)
