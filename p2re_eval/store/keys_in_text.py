"""Keys in JSON text whose name alone tells that a secret follows: ``{"api_key": "..."}``, also in
JSON that is a string of other JSON, any number of times over.

The text stays as it is around them, so that what was valid JSON is valid JSON; one that was cut off
loses the rest of its last value. One pass, whatever stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from p2re_eval.records.secrets import names_a_key

_KEY = re.compile(r'"(?P<name>[^"\\]{1,200})(?P<escape>\\{0,255})"\s*:\s*(?P=escape)"')
"""A key and the quote before its value. In JSON of the n-th depth 2^n - 1 backslashes stand before
a quote, and as many before the quotes of its key."""


def without_keys(text: str) -> str:
    """The text with a note in place of each such value."""
    pieces, at = [], 0
    for name, start, end in _values(text):
        if not text.startswith("[redacted ", start) and start < end:
            pieces += [text[at:start], f"[redacted {name}]"]
            at = end
    return "".join([*pieces, text[at:]]) if pieces else text


def _values(text: str) -> Iterator[tuple[str, int, int]]:
    """The name of each key that names a secret, and where its value begins and ends."""
    at = 0
    while found := _KEY.search(text, at):
        at = found.end()
        if not names_a_key(found["name"]):
            at = found.end() - 1  # the quote of what is no value of ours may begin a key
            continue
        end = _end(text, at, len(found["escape"]))
        yield found["name"], at, end
        at = end


def _end(text: str, start: int, depth: int) -> int:
    """Where the value that starts here ends: before the backslashes of its quote."""
    at = text.find('"', start)
    while at >= 0:
        before = at
        while before > start and text[before - 1] == "\\":
            before -= 1
        if (at - before) % (2 * (depth + 1)) == depth:
            return at - depth
        at = text.find('"', at + 1)
    return len(text)
