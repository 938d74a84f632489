"""How a text is shown inside an explanation: short, quoted, on one line."""

from __future__ import annotations


def excerpt(text: str, limit: int = 120) -> str:
    """The text in quotes; a long one keeps its two ends: ``'Dear customer, … Yours'``."""
    if len(text) > limit:
        head = limit * 2 // 3
        text = f"{text[:head].rstrip()} … {text[head - limit :].lstrip()}"
    return "'" + text.replace("\r\n", "\n").replace("\n", "\\n") + "'"


def answered(text: str) -> str:
    """``the answer is 'x'``, or that it is empty."""
    return f"the answer is {excerpt(text)}" if text.strip() else "the answer is empty"
