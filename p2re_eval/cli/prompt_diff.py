"""Two prompts side by side: a unified diff a message, with the changed words marked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher, unified_diff

import click

_WORDS = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True)
class Section:
    """A part of a prompt under its heading: a message, the model's settings, a partial."""

    heading: str
    text: str


def difference(before: Sequence[Section], after: Sequence[Section]) -> list[str]:
    """The lines of the diff, empty when nothing differs; styled, which a pipe takes off again."""
    lines: list[str] = []
    for old, new in _pairs(before, after):
        body = list(_unified(old.text if old else "", new.text if new else ""))
        note = "" if old and new else " (added)" if new else " (removed)"
        section = new or old
        if body and section:
            lines += [click.style(section.heading + note, bold=True), *body]
    return lines


def _pairs(
    before: Sequence[Section], after: Sequence[Section]
) -> Iterator[tuple[Section | None, Section | None]]:
    """Sections that belong together: by heading in order, so that an inserted one stands alone."""
    matcher = SequenceMatcher(a=before, b=after, autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind != "equal":
            yield from _by_heading(list(before[a:b]), list(after[c:d]))


def _by_heading(
    old: list[Section], new: list[Section]
) -> Iterator[tuple[Section | None, Section | None]]:
    for section in new:
        match = next((each for each in old if each.heading == section.heading), None)
        if match is None:
            yield None, section
            continue
        while old[0] is not match:
            yield old.pop(0), None
        yield old.pop(0), section
    for section in old:
        yield section, None


def _unified(old: str, new: str) -> Iterator[str]:
    lines = list(unified_diff(old.split("\n"), new.split("\n"), lineterm="", n=3))[2:]
    if not old or not new:  # an empty text is no line at all
        lines = [line for line in lines if line not in {"-", "+"}]
    position = 0
    while position < len(lines):
        removed = _run(lines, position, "-")
        added = _run(lines, position + len(removed), "+")
        if removed or added:
            yield from _changed(removed, added)
            position += len(removed) + len(added)
            continue
        line = lines[position]
        yield click.style(line, fg="cyan") if line.startswith("@@") else line
        position += 1


def _run(lines: Sequence[str], start: int, sign: str) -> list[str]:
    end = start
    while end < len(lines) and lines[end].startswith(sign):
        end += 1
    return [line[1:] for line in lines[start:end]]


def _changed(removed: Sequence[str], added: Sequence[str]) -> Iterator[str]:
    if len(removed) != len(added):
        yield from (click.style(f"-{line}", fg="red") for line in removed)
        yield from (click.style(f"+{line}", fg="green") for line in added)
        return
    marked = [_marked(old, new) for old, new in zip(removed, added, strict=True)]
    yield from (old for old, _ in marked)
    yield from (new for _, new in marked)


def _marked(old: str, new: str) -> tuple[str, str]:
    """Both lines with the words that differ reversed."""
    a, b = _WORDS.findall(old), _WORDS.findall(new)
    left, right = [click.style("-", fg="red")], [click.style("+", fg="green")]
    for kind, i, j, k, m in SequenceMatcher(a=a, b=b, autojunk=False).get_opcodes():
        differs = kind != "equal"
        if i < j:
            left.append(click.style("".join(a[i:j]), fg="red", reverse=differs or None))
        if k < m:
            right.append(click.style("".join(b[k:m]), fg="green", reverse=differs or None))
    return "".join(left), "".join(right)
