"""Two texts word by word: what only the one has and what only the other has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher
from typing import NamedTuple

MOST_WORDS = 3_000
"""Longer texts are not compared: it would take seconds, and nobody reads it."""
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Piece(NamedTuple):
    """A run of text, ``changed`` when the other text does not have it there."""

    text: str
    changed: bool


def word_diff(before: str, after: str) -> tuple[tuple[Piece, ...], tuple[Piece, ...]]:
    """Both texts in pieces; joined they are the texts again."""
    old, new = _WORD.findall(before), _WORD.findall(after)
    if before == after or max(len(old), len(new)) > MOST_WORDS:
        return (Piece(before, False),), (Piece(after, False),)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    same = [
        found
        for found in matcher.get_matching_blocks()
        if found.size > 1
        or (found.size and (_stands_alone(old[found.a]) or _ends(found, len(old), len(new))))
    ]
    left = tuple(_pieces(old, [(found.a, found.size) for found in same]))
    right = tuple(_pieces(new, [(found.b, found.size) for found in same]))
    return left, right


def _stands_alone(word: str) -> bool:
    """Whether one word is worth an island between two changes: spaces, commas and short words
    that happen to be in both only tear the text."""
    return len(word) > 3 and word.isalnum()


def _ends(found: Match, old: int, new: int) -> bool:
    """Whether this is the first or last word of both."""
    first = found.a == 0 and found.b == 0
    return first or (found.a + found.size == old and found.b + found.size == new)


def _pieces(words: Sequence[str], same: Sequence[tuple[int, int]]) -> Iterator[Piece]:
    at = 0
    for start, size in [*same, (len(words), 0)]:
        if start > at:
            yield Piece("".join(words[at:start]), True)
        if size:
            yield Piece("".join(words[start : start + size]), False)
        at = start + size
