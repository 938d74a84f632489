"""Whether a regular expression can take for ever; Python's engine cannot be stopped in it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

_MANY = 20
"""Repetitions; fewer inside fewer end soon enough."""
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT"}
_STANDS_FAST = {"POSSESSIVE_REPEAT", "ATOMIC_GROUP"}
"""What is never tried again in another way."""


def never_ends(pattern: str) -> bool:
    """Whether a repetition holds one of no fixed length, or a choice that begins alike: then the
    ways to split a text double with each character. It errs on the side of refusing.

    Raises re.error.
    """
    parser: Any = re._parser  # type: ignore[attr-defined]
    return _explodes(parser.parse(pattern), repeated=False)


def _explodes(parsed: Iterable[Any], *, repeated: bool) -> bool:
    return any(_one_explodes(str(kind), what, repeated=repeated) for kind, what in parsed)


def _one_explodes(kind: str, what: Any, *, repeated: bool) -> bool:
    if kind in _REPEATS:
        least, most, inner = what
        many = int(most) > _MANY
        if repeated and many and least != most:
            return True
        return _explodes(inner, repeated=repeated or many)
    if kind in _STANDS_FAST:
        return _explodes(what[-1] if kind == "POSSESSIVE_REPEAT" else what, repeated=False)
    if kind == "BRANCH":
        choices = what[1]
        unclear = repeated and not _begin_differently(choices)
        return unclear or any(_explodes(one, repeated=repeated) for one in choices)
    if kind in ("SUBPATTERN", "ASSERT", "ASSERT_NOT"):
        return _explodes(what[-1], repeated=repeated)
    if kind == "GROUPREF_EXISTS":
        return any(_explodes(one, repeated=repeated) for one in what[1:] if one)
    return False


def _begin_differently(choices: Iterable[Any]) -> bool:
    """Whether each begins with a plain character of its own."""
    firsts = [next(iter(choice), (None, None)) for choice in choices]
    plain = all(str(kind) == "LITERAL" for kind, _ in firsts)
    return plain and len({letter for _, letter in firsts}) == len(firsts)
