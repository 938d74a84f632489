"""Text made harmless for Markdown: what a model said can neither format, link, mention nor leave
its place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from p2re_eval.report.wording import visible


def escape(text: str) -> str:
    """The text as plain words of a paragraph or table cell: no character keeps a meaning."""
    plain = visible(" ".join(text.split()))
    plain = re.sub(r"[^\w\s.,;:()/%+'-]|_", lambda found: f"&#{ord(found[0])};", plain)
    # a zero-width space keeps GitHub from telling @somebody, or linking issue #1
    plain = re.sub(r"&#(64|35);", r"&#\1;&#8203;", plain)
    # GitHub makes links of addresses even where nothing is marked up
    return re.sub(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])", r"\1&#8203;", plain)


def code(text: str) -> str:
    """The text as inline code, in a paragraph or a table cell."""
    plain = visible(" ".join(text.split()))
    marked = re.sub(r"[^\w\s.,;:()/+'-]|_", lambda found: f"&#{ord(found[0])};", plain)
    return f"<code>{marked}</code>" if marked else ""


def fenced(text: str) -> str:
    """The text as a block of code, inside a fence that it cannot close."""
    plain = visible(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain}\n{fence}\n"


def table(titles: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> str:
    rules = {"l": ":--", "r": "--:", "c": ":-:"}
    lines = [titles, [rules[a] for a in align], *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)
