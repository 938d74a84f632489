"""Attribute values as what they mean: numbers may come as text, and JSON as strings."""

from __future__ import annotations

import json
from collections.abc import Mapping

from p2re_eval.records import JSON, canonical_json


def parsed(value: JSON) -> JSON:
    """The JSON that a text holds; the text itself where it holds none."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def as_text(value: JSON) -> str:
    """A text as it is, anything else as JSON."""
    return value if isinstance(value, str) else canonical_json(value)


def text(value: JSON) -> str | None:
    """A text that says something, or None."""
    return None if value is None or value == "" else as_text(value)


def texts(value: JSON) -> tuple[str, ...]:
    """A list of texts; a single one is a list of one."""
    value = parsed(value)
    if isinstance(value, str):
        return (value,)
    return tuple(as_text(one) for one in listed(value))


def number(*candidates: JSON) -> float | None:
    """The first that is a finite number."""
    for value in candidates:
        if isinstance(value, bool) or not isinstance(value, (int, float, str)):
            continue
        try:
            found = float(value)
        except ValueError:
            continue
        if found - found == 0:
            return found
    return None


def count(*candidates: JSON) -> int | None:
    """The first number, as a count; a negative one counts nothing."""
    found = number(*candidates)
    return None if found is None or found < 0 else int(found)


def listed(value: JSON) -> list[JSON]:
    """A sequence as a list; anything else is an empty one."""
    return list(value) if isinstance(value, (list, tuple)) else []


def first(value: JSON) -> JSON:
    """The first of a list, or the value itself."""
    value = parsed(value)
    return (value[0] if value else None) if isinstance(value, (list, tuple)) else value


def mapping(value: JSON) -> dict[str, JSON]:
    """A JSON object, given as such or as text; anything else is an empty one."""
    value = parsed(value)
    return {str(key): item for key, item in value.items()} if isinstance(value, Mapping) else {}
