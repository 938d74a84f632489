"""The scorer that reads numbers: numeric_close."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

from p2re_eval.errors import ScorerError
from p2re_eval.records import JSON, Case, Completion, Score, canonical_json
from p2re_eval.scorers.binding import scorer
from p2re_eval.scorers.excerpt import answered, excerpt

_CURRENCY = r"[$€£¥₹]"
# A comma, an apostrophe or one of the narrow spaces, but only before groups of three digits.
_WHOLE = r"\d{1,3}(?:[,'\u2019\u00a0\u2009\u202f]\d{3})+(?!\d)|\d+"
_NUMBER = re.compile(
    rf"""
    (?P<sign> (?<![\w)]) [-+] \s? (?={_CURRENCY}) | (?<![\w)]) [-+] (?=[\d.]) )?
    (?:{_CURRENCY}\s?(?P<minus>-)?)?
    (?:
        (?P<mixed>\d+)[ ](?=\d+/)(?P<above>\d+)/(?P<below>\d+)(?![\d/])
      | (?<![\d/])(?P<over>\d+)/(?P<under>\d+)(?![\d/.])
      | (?P<number> (?:{_WHOLE})(?:\.\d+)? | (?<!\d)\.\d+ ) (?P<power>[eE][-+]?\d+)?
    )
    (?P<percent>\s?%)?
    """,
    re.VERBOSE,
)
_SEPARATORS = re.compile(r"[,'\u2019\u00a0\u2009\u202f]")
_MINUS = str.maketrans({"\u2212": "-", "\ufe63": "-", "\uff0d": "-", "\uff05": "%", "\ufe6a": "%"})


class Number(NamedTuple):
    """A number as read: ``45 %`` is 45, and percent."""

    value: float
    percent: bool = False


def last_number(text: str) -> Number | None:
    """The last number in a text, ``None`` without one.

    Reads ``1,234.5``, ``-$5``, ``45%``, ``1e3``, ``3/4``, ``2 1/2``, ``½``, ``2½`` and the Unicode
    minus. A hyphen after a digit or letter is no sign: ``16-3`` ends in 3.
    """
    found = list(_NUMBER.finditer(_plain(text)))
    return _read(found[-1]) if found else None


def _plain(text: str) -> str:
    """Vulgar fractions spelt ``1/2``, every minus and percent sign the ASCII one."""
    if text.isascii():
        return text
    text = text.translate(_MINUS)
    return "".join(
        _spelt(text, index) if unicodedata.category(character) == "No" else character
        for index, character in enumerate(text)
    )


def _spelt(text: str, index: int) -> str:
    parts = unicodedata.decomposition(text[index]).split()
    if parts[:1] != ["<fraction>"]:
        return text[index]
    fraction = "".join(chr(int(part, 16)) for part in parts[1:]).replace("\u2044", "/")
    return f" {fraction}" if text[index - 1 : index].isdigit() and index else fraction


def _read(match: re.Match[str]) -> Number:
    negative = (match["sign"] or "").startswith("-") != bool(match["minus"])
    if match["mixed"]:
        value = float(match["mixed"]) + _ratio(match["above"], match["below"])
    elif match["over"]:
        value = _ratio(match["over"], match["under"])
    else:
        value = float(_SEPARATORS.sub("", match["number"]) + (match["power"] or ""))
    return Number(-value if negative else value, bool(match["percent"]))


def _ratio(above: str, below: str) -> float:
    return float(above) / float(below) if float(below) else math.inf


def _check_numeric(options: Mapping[str, JSON]) -> None:
    for name in ("tolerance", "relative"):
        if not options.get(name, 0) >= 0:
            raise ValueError(f"'{name}' must be 0 or more")


@scorer(check=_check_numeric, needs_expected=lambda options: options.get("number") is None)
def numeric_close(
    completion: Completion,
    case: Case,
    *,
    number: float | None = None,
    tolerance: float = 0.0,
    relative: float = 1e-9,
) -> Score:
    """The last number in the answer is the expected one, within a tolerance.

    ``tolerance`` is absolute, ``relative`` a share of the larger of the two; either is enough. When
    only one of the two numbers is a percentage, ``45%`` also equals ``0.45``.

    >>> case = Case(id="a", expected=1234.5)
    >>> numeric_close.function(Completion(text="So it costs $1,234.50."), case).passed
    True
    """
    wanted = _expected_number(case) if number is None else Number(number)
    found = last_number(completion.text)
    if found is None:
        what = f"there is no number; {answered(completion.text)}"
        return Score(value=0.0, passed=False, explanation=what)
    passed = any(
        math.isclose(one, wanted.value, rel_tol=relative, abs_tol=tolerance)
        for one in _readings(found, wanted)
    )
    shown = f"{found.value:.10g}{'%' if found.percent else ''}"
    close = "as expected" if passed else f"expected {wanted.value:.10g}"
    if not passed and tolerance:
        close += f" within {tolerance:.10g}"
    return Score(
        value=float(passed),
        passed=passed,
        explanation=f"the last number is {shown}, {close}",
        metadata={"number": found.value} if math.isfinite(found.value) else {},
    )


def _readings(found: Number, wanted: Number) -> list[float]:
    if found.percent and not wanted.percent:
        return [found.value, found.value / 100]
    if wanted.percent and not found.percent:
        return [found.value, found.value * 100]
    return [found.value]


def _expected_number(case: Case) -> Number:
    """``expected`` as a number, or the last number of its text."""
    expected = case.expected
    if isinstance(expected, (int, float)) and not isinstance(expected, bool):
        return Number(float(expected))
    found = last_number(expected) if isinstance(expected, str) else None
    if found is None:
        raise ScorerError(
            f"'numeric_close' needs a number in 'expected', and the case '{case.id}' has "
            f"{excerpt(canonical_json(expected), 60)}; correct it"
        )
    return found
