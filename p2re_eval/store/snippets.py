"""Where a text says what was looked for.

Made from the text itself: FTS5's own ``snippet`` walks a common word's whole list for each row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from p2re_eval.records import Record

_BEFORE, _AFTER = 40, 100
"""Characters shown around the first place."""
_TERM = re.compile(r'"((?:[^"]|"")*)"(\*?)')


class Snippet(Record):
    """Words around what was found; ``marks`` are the (start, end) of the found ones in ``text``."""

    part: str
    text: str
    marks: tuple[tuple[int, int], ...]


def snippet_of(part: str, text: str | None, queries: Sequence[str]) -> Snippet | None:
    """The first place where the text has a term of these full-text queries; None without one.

    A query of one part (``response : (...)``) is not looked for in the other.
    """
    pattern = _pattern(part, queries)
    first = pattern.search(text) if text and pattern is not None else None
    if text is None or pattern is None or first is None:
        return None
    start, end = _window(text, first.start(), first.end())
    before, after = "…" if start else "", "…" if end < len(text) else ""
    shown = text[start:end]
    marks = tuple(
        (found.start() + len(before), found.end() + len(before))
        for found in pattern.finditer(shown)
    )
    return Snippet(part=part, text=before + shown + after, marks=marks)


def _pattern(part: str, queries: Sequence[str]) -> re.Pattern[str] | None:
    terms = []
    for query in queries:
        limited = re.match(r"\(?(\w+) :", query)
        if limited is None or limited[1] == part:
            terms += [_words(text, bool(star)) for text, star in _TERM.findall(query)]
    kept = [term for term in terms if term]
    return re.compile("|".join(kept), re.IGNORECASE) if kept else None


def _words(text: str, beginning: bool) -> str:
    """A term's words one after the other, as the index splits them."""
    words = [re.escape(word) for word in re.findall(r"[^\W_]+", text)]
    if not words:
        return ""
    return r"(?<![^\W_])" + r"[\W_]+".join(words) + ("" if beginning else r"(?![^\W_])")


def _window(text: str, start: int, end: int) -> tuple[int, int]:
    """From the beginning of a word to the end of one."""
    begin = max(0, start - _BEFORE)
    if begin:
        begin = min(text.find(" ", begin) + 1 or start, start)
    finish = min(len(text), max(end, start + _AFTER))
    if finish < len(text):
        finish = max(text.rfind(" ", 0, finish), end)
    return begin, finish
