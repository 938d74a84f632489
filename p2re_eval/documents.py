"""YAML files as plain values that remember where they stand.

The dialect is YAML with JSON's types and no surprises: only ``true`` and ``false`` are booleans
(``no``, ``on`` and ``y`` stay text); dates, ``12:30``, ``1_000``, ``.inf``, ``.nan`` and numbers
with a leading zero stay text; keys are text (``1: x`` has the key ``"1"``). Aliases and ``<<`` work
but may not recurse or explode. An error: a duplicate key, a second document, a tag other than
``!!str``, ``!!seq`` and ``!!map``, a number too large for JSON, a NUL character, more than 100
levels of nesting.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    MissingFile,
    SyntaxMistake,
    WrongType,
)
from p2re_eval.explain import Step, did_you_mean, explanations, syntax_sentence, type_mistake
from p2re_eval.garbage import collector_paused
from p2re_eval.records import JSON, Place

__all__ = [
    "Document",
    "did_you_mean",
    "read_document",
    "read_text",
    "type_mistake",
]

_Model = TypeVar("_Model", bound=BaseModel)
_Error = TypeVar("_Error", bound=DefinitionError)

_INTEGER = re.compile(r"([-+]?(0|[1-9][0-9]*)|0x[0-9a-fA-F]+|0o[0-7]+)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_CONSTANTS: dict[str, JSON] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_STANDARD = "tag:yaml.org,2002:"
_TEXT = f"{_STANDARD}str"
_TAGS = {_TEXT, f"{_STANDARD}seq", f"{_STANDARD}map", "!"}
_MOST_NODES = 1_000_000
_MOST_LEVELS = 100
_MOST_DIGITS = 300
_FLATTEN = f"nested deeper than {_MOST_LEVELS} levels; flatten it"


class Document:
    """One YAML file: ``value`` as plain data, and the place of every key and value in it."""

    def __init__(self, path: Path | str, root: yaml.Node | None, value: JSON) -> None:
        self.path = Path(path)
        self.value = value
        self._root = root

    def place(self, *steps: Step, key: bool = False) -> Place:
        """Where the value (or, with ``key``, its key) at these steps stands; the nearest known
        parent when the steps lead nowhere."""
        mark = _mark(self._root, steps, key)
        return Place(path=str(self.path), line=mark[0], column=mark[1])

    def node(self, *steps: Step) -> yaml.Node | None:
        """The YAML node at these steps, for its style and end; ``None`` when absent."""
        node = self._root
        for step in steps:
            child = _child(node, step)
            if child is None:
                return None
            node = child[1]
        return node

    def mistake(self, kind: type[_Error], what: str, *steps: Step, key: bool = False) -> _Error:
        """A definition error of this kind that points at these steps; the caller raises it."""
        place = self.place(*steps, key=key)
        return kind(what, path=place.path, line=place.line, column=place.column)

    def parse(
        self, model: type[_Model], value: JSON = ..., *steps: Step, strict: bool = False
    ) -> _Model:
        """The value as this pydantic model; ``strict``: "5" is no number and 1 no boolean.

        Raises DefinitionErrors with one sentence and place a mistake.
        """
        value = self.value if value is ... else value
        try:
            if strict:  # as JSON, so that a list may become a tuple nevertheless
                return model.model_validate_json(json.dumps(value), strict=True)
            return model.model_validate(value)
        except ValidationError as error:
            found = self._explain(error, model, steps)
            raise DefinitionErrors(sorted(found, key=lambda m: (m.line, m.column))) from None

    def _explain(
        self, error: ValidationError, model: type[BaseModel], base: Sequence[Step]
    ) -> Iterator[DefinitionError]:
        seen: set[str] = set()
        for kind, what, steps, at_key in explanations(error, model):
            mistake = self.mistake(kind, what, *base, *steps, key=at_key)
            if str(mistake) not in seen:
                seen.add(str(mistake))
                yield mistake


def read_document(path: Path | str, text: str | None = None) -> Document:
    """Read one YAML file, or ``text`` as if it stood at ``path``.

    Raises DefinitionErrors: not there, not UTF-8, or not YAML as this module understands it.
    """
    if text is None:
        text = read_text(Path(path))
    mistakes: list[DefinitionError] = []
    with collector_paused():
        root = _compose(path, text.removeprefix("\ufeff"))
        builder = _Builder(path, mistakes)
        value = None if root is None else builder.build(root, ())
    if mistakes:
        raise DefinitionErrors(mistakes)
    return Document(path, root, value)


def read_text(path: Path, *, shown: Path | str | None = None) -> str:
    """The file as UTF-8 text; ``shown`` is how a message names it.

    Raises DefinitionErrors when it is absent, a folder or not UTF-8.
    """
    shown = path if shown is None else shown
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise DefinitionErrors([SyntaxMistake(what, path=shown, line=line)]) from None
    except OSError as error:
        what = f"cannot read this file ({error.strerror}); check the path"
        raise DefinitionErrors([MissingFile(what, path=shown)]) from None


class _TooDeep(yaml.MarkedYAMLError):
    """Stops the composer."""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Composes nodes whose tag is ``None`` where plain text has yet to find its type.

    Stops long before the depth at which libyaml's recursion would end the whole process.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._levels = 0

    def resolve(self, kind: type[yaml.Node], value: object, implicit: Any) -> str | None:
        if kind is yaml.ScalarNode:
            return None if implicit[0] else _TEXT
        return f"{_STANDARD}seq" if kind is yaml.SequenceNode else f"{_STANDARD}map"

    def descend_resolver(self, node: yaml.Node | None, index: object) -> None:
        self._levels += 1
        if self._levels > _MOST_LEVELS and node is not None:
            raise _TooDeep(problem=_FLATTEN, problem_mark=node.start_mark)

    def ascend_resolver(self) -> None:
        self._levels -= 1


def _compose(path: Path | str, text: str) -> yaml.Node | None:
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.reader.ReaderError as error:
        what, position = f"the control character U+{_code(error):04X}", text.find(chr(_code(error)))
    except UnicodeEncodeError as error:
        what, position = f"half a surrogate pair, U+{ord(text[error.start]):04X}", error.start
    except yaml.MarkedYAMLError as error:
        raise DefinitionErrors([_syntax_mistake(path, error, text)]) from None
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    what = f"{what} cannot stand in YAML; remove it"
    raise DefinitionErrors([SyntaxMistake(what, path=path, line=line, column=column)])


def _code(error: yaml.reader.ReaderError) -> int:
    character: str | int = error.character
    return character if isinstance(character, int) else ord(character)


class _Builder:
    """Turns composed nodes into plain values and notes every mistake on the way."""

    def __init__(self, path: Path | str, mistakes: list[DefinitionError]) -> None:
        self.path = path
        self.mistakes = mistakes
        self.nodes = 0

    def note(self, kind: type[DefinitionError], what: str, node: yaml.Node) -> None:
        mark = node.start_mark
        self.mistakes.append(kind(what, path=self.path, line=mark.line + 1, column=mark.column + 1))

    def build(self, node: yaml.Node, above: tuple[int, ...]) -> JSON:
        self.nodes += 1
        if id(node) in above:
            self.note(SyntaxMistake, "this alias contains itself; write the value out", node)
            return None
        if self.nodes > _MOST_NODES:
            if self.nodes == _MOST_NODES + 1:
                what = "aliases expand to too many values; use a .jsonl dataset for large data"
                self.note(SyntaxMistake, what, node)
            return None
        if isinstance(node, yaml.ScalarNode):
            return self.scalar(node)
        if len(above) >= _MOST_LEVELS:
            self.note(SyntaxMistake, _FLATTEN, node)
            return None
        self.check_tag(node)
        above = (*above, id(node))
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, above) for child in node.value]
        return self.mapping(node, above)

    def scalar(self, node: yaml.ScalarNode) -> JSON:
        text: str = node.value
        if "\0" in text:
            self.note(SyntaxMistake, "a NUL character (\\0) cannot be kept; remove it", node)
        if node.tag is not None:
            if node.tag != _TEXT:
                self.check_tag(node)
            return text
        if text not in _CONSTANTS and text[:1] not in _NUMBER_STARTS:
            return text
        value = _plain(text)
        if value is _TOO_LARGE:
            self.note(WrongType, "this number is too large for JSON; put it in quotes", node)
            return None
        return value

    def mapping(self, node: yaml.Node, above: tuple[int, ...]) -> JSON:
        merged: dict[str, JSON] = {}
        own: dict[str, JSON] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self.note(WrongType, _key_advice(node), key_node)
                continue
            key = key_node.value
            if key == "<<" and key_node.tag is None:
                self.merge(merged, value_node, above)
                continue
            if key in own:
                what = f"duplicate key '{key}'; remove one of the two"
                self.note(DuplicateKey, what, key_node)
            own[key] = self.build(value_node, above)
        return {**merged, **own} if merged else own

    def merge(self, merged: dict[str, JSON], node: yaml.Node, above: tuple[int, ...]) -> None:
        value = self.build(node, above)
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                self.note(WrongType, "'<<' merges mappings only", node)
                continue
            for key, item in source.items():
                merged.setdefault(key, item)

    def check_tag(self, node: yaml.Node) -> None:
        if node.tag not in _TAGS:
            tag = node.tag.replace(_STANDARD, "!!")
            self.note(SyntaxMistake, f"the tag {tag} is not supported; remove it", node)


_TOO_LARGE = object()
_NUMBER_STARTS = frozenset("+-.0123456789")


def _key_advice(node: yaml.Node) -> str:
    """``key: {{ name }}`` without quotes reads as a mapping whose key is a mapping."""
    inner = node.value[0][0]
    if isinstance(inner, yaml.MappingNode) and inner.flow_style:
        return "'{{' starts a mapping in YAML; put the text in quotes"
    return "a key must be text; put it in quotes"


def _plain(text: str) -> JSON:
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.match(text):
        return int(text, 0) if len(text) <= _MOST_DIGITS else _TOO_LARGE
    if _FLOAT.match(text):
        value = float(text)
        return value if math.isfinite(value) else _TOO_LARGE
    return text


def _mark(root: yaml.Node | None, steps: Sequence[Step], key: bool) -> tuple[int, int]:
    node, found = root, root
    for step in steps:
        child = _child(node, step)
        if child is None:
            continue
        found, node = child
    if found is None:
        return (1, 1)
    chosen = found if key else node
    mark = (chosen or found).start_mark
    return (mark.line + 1, mark.column + 1)


def _child(node: yaml.Node | None, step: Step) -> tuple[yaml.Node, yaml.Node] | None:
    """The key node and the value node one step down; for a list both are the element."""
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in reversed(node.value):
            if key_node.value == step:
                return key_node, value_node
        return _merged_child(node, step)
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


def _merged_child(node: yaml.MappingNode, step: Step) -> tuple[yaml.Node, yaml.Node] | None:
    for key_node, value_node in node.value:
        if key_node.value == "<<":
            found = _child(value_node, step)
            if found is not None:
                return found
    return None


def _syntax_mistake(path: Path | str, error: yaml.MarkedYAMLError, text: str) -> SyntaxMistake:
    mark: Any = error.problem_mark
    if error.context == "while scanning a quoted scalar":
        mark = error.context_mark
    lines = text.splitlines()
    character = lines[mark.line][mark.column :][:1] if mark.line < len(lines) else ""
    what = _FLATTEN if isinstance(error, _TooDeep) else syntax_sentence(error, character)
    return SyntaxMistake(what, path=path, line=mark.line + 1, column=mark.column + 1)
