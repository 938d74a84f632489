"""One sentence for each mistake that YAML's reader or pydantic finds: what is wrong, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import yaml
from pydantic import BaseModel, ValidationError

from p2re_eval.errors import DefinitionError, MissingValue, UnknownName, WrongType
from p2re_eval.records import JSON
from p2re_eval.records.secrets import NO_KEYS_IN_FILES, names_a_key

Step = str | int


class Explanation(NamedTuple):
    """A mistake before it has a place: ``steps`` lead to the value, ``at_key`` to its key."""

    kind: type[DefinitionError]
    what: str
    steps: tuple[Step, ...]
    at_key: bool


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """The end of an unknown-name message: ``; did you mean 'x'?`` or the list of what is known."""
    known = sorted(set(choices))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    if not known:
        return "; there is none at all"
    shown = ", ".join(known[:12]) + (f" and {len(known) - 12} more" if len(known) > 12 else "")
    return f"; known: {shown}"


def type_mistake(name: str, error: ValidationError, value: JSON) -> str:
    """One sentence for a value its type refuses: ``'limit' must be a number, found a list``."""
    kinds = dict.fromkeys(entry["type"] for entry in error.errors(include_url=False))
    wanted = dict.fromkeys(_WANTED[kind] for kind in kinds if kind in _WANTED)
    if wanted:
        return f"'{name}' must be {' or '.join(wanted)}, found {_shown(value)}"
    message = error.errors(include_url=False)[0]["msg"]
    return f"'{name}': {message[:1].lower()}{message[1:]}, found {_shown(value)}"


def explanations(error: ValidationError, model: type[BaseModel]) -> Iterator[Explanation]:
    """Each of pydantic's findings about a value of this model, as a user should read it."""
    schema = model.model_json_schema()
    for entry in error.errors(include_url=False):
        kind, what, at_key = _sentence(entry, schema)
        yield Explanation(kind, what, entry["loc"], at_key)


def syntax_sentence(error: yaml.YAMLError, character: str) -> str:
    """What libyaml could not read, in the words of someone who wants to repair it.

    ``character`` is the one at the error's mark, "" at the end of a line.
    """
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    context = getattr(error, "context", None) or ""
    if problem == "found character that cannot start any token" and character in _CANNOT_START:
        return _CANNOT_START[character]
    advice = _ADVICE.get(context) or _ADVICE.get(problem)
    return advice or f"not YAML: {problem}; {_QUOTES}"


_QUOTES = "check the indentation, and quote text with ': ' or ' #' or that starts with one of {[*&"
_CANNOT_START = {
    "\t": "a tab cannot indent YAML; use spaces",
    **{c: f"text that starts with '{c}' needs quotes in YAML" for c in "@`%"},
}
_ADVICE = {
    "but found another document": "a second '---' document; keep one document a file",
    "found duplicate anchor; first occurrence": "this anchor is defined twice; rename one of them",
    "found undefined alias": "no anchor has this name; define it above, or quote text with a '*'",
    "found invalid Unicode character escape code": "not a character; write it out",
    "while scanning a quoted scalar": "the quote that opens here is never closed; close it",
    "mapping values are not allowed in this context": f"a ':' where no key can be; {_QUOTES}",
    "could not find expected ':'": f"this line is no 'key: value'; {_QUOTES}",
}


def _sentence(entry: Any, schema: JSON) -> tuple[type[DefinitionError], str, bool]:
    """Kind, message and whether it is about the key, for one pydantic error."""
    kind, loc = entry["type"], entry["loc"]
    if kind == "extra_forbidden":
        name = str(loc[-1])
        if names_a_key(name):
            return WrongType, f"'{name}': {NO_KEYS_IN_FILES}", True
        return (
            UnknownName,
            f"unknown key '{name}'" + did_you_mean(name, _keys(schema, loc[:-1])),
            True,
        )
    if kind == "missing":
        return MissingValue, f"'{loc[-1]}' is required; add it", True
    if kind in {"value_error", "assertion_error"}:
        return WrongType, str(entry["ctx"]["error"]), False
    names = [step for step in loc if isinstance(step, str)]
    name = f"'{names[-1]}'" if names else "this"
    if kind in {"too_short", "string_too_short"} and not entry["input"]:
        return WrongType, f"{name} is empty; fill it in or remove it", False
    found = _shown(entry["input"])
    wanted = _wanted(kind, entry.get("ctx", {}))
    if wanted is None:
        message = entry["msg"][:1].lower() + entry["msg"][1:]
        return WrongType, f"{message}, found {found}", False
    return WrongType, f"{name} must be {wanted}, found {found}", False


def _wanted(kind: str, context: dict[str, JSON]) -> str | None:
    """What pydantic wanted, where its own sentence is not plain enough."""
    if kind == "literal_error":
        return str(context["expected"])
    for limit, words in _LIMITS.items():
        if limit in context:
            return f"{words} {context[limit]:g}"
    return _WANTED.get(kind)


_LIMITS = {"ge": "at least", "le": "at most", "gt": "more than", "lt": "less than"}


_WANTED = {
    "string_type": "text (put it in quotes)",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "list_type": "a list",
    "tuple_type": "a list",
}


def _shown(value: JSON) -> str:
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        short = value if len(value) <= 40 else value[:37] + "..."
        return f"the text '{short}'"
    return f"the number {value}"


def _keys(schema: JSON, loc: Sequence[Step]) -> list[str]:
    """The keys that a JSON Schema allows at this location, following references and unions."""
    definitions = schema.get("$defs", {})
    here = [schema]
    for step in loc:
        below = []
        for node in _flat(here, definitions):
            if isinstance(step, int):
                below += [
                    node[k]
                    for k in ("items", "additionalProperties")
                    if isinstance(node.get(k), dict)
                ]
            elif step in node.get("properties", {}):
                below.append(node["properties"][step])
            elif isinstance(node.get("additionalProperties"), dict):
                below.append(node["additionalProperties"])
        here = below or here
    return [key for node in _flat(here, definitions) for key in node.get("properties", {})]


def _flat(nodes: list[JSON], definitions: JSON) -> Iterator[JSON]:
    for node in nodes:
        if "$ref" in node:
            node = definitions.get(node["$ref"].rsplit("/", 1)[-1], {})
        yield node
        for union in ("anyOf", "oneOf", "allOf"):
            yield from _flat(node.get(union, []), definitions)
