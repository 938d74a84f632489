"""Which recording a missing run resembles most, and what has changed since it was made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from p2re_eval.records import JSON

_MOST_COMPARED = 500
_SHOWN = 40


def nearest_of(
    asked: Mapping[str, JSON], recorded: Sequence[Mapping[str, JSON]]
) -> tuple[int, str]:
    """The index of the most similar recording, and the differences in a prompt file's words.

    Both sides are mappings of ``model``, ``messages``, ``tools`` and ``output_schema``. Only the
    first 500 are compared: with thousands of recordings, every miss would cost seconds.
    """
    ours = _words(asked["messages"])
    ranked = [
        (_likeness(ours, known["messages"]), _shared(asked["model"], known["model"]), -index)
        for index, known in enumerate(recorded[:_MOST_COMPARED])
    ]
    nearest = -max(ranked)[2]
    changes = "; ".join(_changes(recorded[nearest], asked))
    return nearest, changes or "in a setting that recordings do not show"


def _likeness(ours: frozenset[str], messages: JSON) -> float:
    theirs = _words(messages)
    return len(ours & theirs) / (len(ours | theirs) or 1)


def _shared(ours: Mapping[str, JSON], theirs: Mapping[str, JSON]) -> int:
    return sum(ours.get(name) == value for name, value in theirs.items())


def _words(messages: JSON) -> frozenset[str]:
    return frozenset(word for message in messages for word in _text(message).split())


def _text(message: JSON) -> str:
    content = message.get("content", "") if isinstance(message, dict) else ""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def _changes(before: Mapping[str, JSON], now: Mapping[str, JSON]) -> Iterator[str]:
    old, new = before["model"], now["model"]
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield f"model.{name} was {_shown(old.get(name))} and is {_shown(new.get(name))}"
    yield from _message_changes(before["messages"], now["messages"])
    for name in ("tools", "output_schema"):
        if before.get(name) != now.get(name):
            yield f"{name} changed"


def _message_changes(before: Sequence[JSON], now: Sequence[JSON]) -> Iterator[str]:
    if len(before) != len(now):
        yield f"there were {len(before)} messages and there are {len(now)}"
        return
    for number, (old, new) in enumerate(zip(before, now, strict=True), start=1):
        if old != new:
            yield f"message {number} ({new['role']}) was {_both(_text(old), _text(new))}"


def _both(old: str, new: str) -> str:
    """Both texts, from a little before the first difference on."""
    pairs = enumerate(zip(old, new, strict=False))
    first = next((at for at, (a, b) in pairs if a != b), min(len(old), len(new)))
    start = max(0, first - 10)
    return f"{_shown(old[start:])} and is {_shown(new[start:])}"


def _shown(value: JSON) -> str:
    if value is None:
        return "not set"
    text = f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 4]}...{text[-1]}"
