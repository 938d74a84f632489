"""numeric_close: numbers as models write them."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import ScorerError, WrongType
from p2re_eval.scorers import BoundScorer, numeric_close
from p2re_eval.scorers.numeric import last_number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A: 18", 18),
        ("It is 1,234.5.", 1234.5),
        ("1\u202f234 or 5\u00a0678", 5678),
        ("1'000'000", 1_000_000),
        ("1, 2", 2),
        ("-$5", -5),
        ("$-5", -5),
        ("- $5", -5),
        ("€ 20", 20),
        ("\u22125", -5),
        ("16-3", 3),
        ("16 - 3", 3),
        ("(3)-2", 2),
        ("3\u20135", 5),
        ("x=-3", -3),
        ("+7", 7),
        ("1e3", 1000),
        ("1.5E-3", 0.0015),
        (".5", 0.5),
        ("version 2.", 2),
        ("3/4", 0.75),
        ("2 1/2", 2.5),
        ("12/25/2024", 2024),
        ("½", 0.5),
        ("2½", 2.5),
        ("-¾ cup", -0.75),
        ("5 m²", 5),
        ("٣", 3),
        ("45%", 45),
        ("45 %", 45),
    ],
)
def test_last_number(text: str, value: float) -> None:
    """Separators, currencies, signs, powers and fractions, the last one counts."""
    found = last_number(text)
    assert found is not None
    assert found.value == value


def test_text_without_a_number() -> None:
    """No number is ``None``, never 0."""
    assert last_number("none, minus - and $") is None


def test_long_digits_take_no_time() -> None:
    """A model stuck in a loop must not stall the run."""
    found = last_number("1" * 50_000 + " x " + "7," * 50_000)
    assert found is not None
    assert found.value == 7


@pytest.mark.parametrize(
    ("bound", "answer", "expected", "passed"),
    [
        (numeric_close(), "18", 18, True),
        (numeric_close(), "18", "She earns $18.", True),
        (numeric_close(), "18.000000001", 18, True),
        (numeric_close(), "18.1", 18, False),
        (numeric_close(tolerance=0.1), "18.1", 18.05, True),
        (numeric_close(relative=0.01), "101", 100, True),
        (numeric_close(relative=0.01), "102", 100, False),
        (numeric_close(42), "it is 42", None, True),
        (numeric_close(), "45%", 45, True),
        (numeric_close(), "45%", 0.45, True),
        (numeric_close(), "0.45", "45%", True),
        (numeric_close(), "45", "45%", True),
        (numeric_close(), "0.45", 45, False),
        (numeric_close(), "none", 0, False),
        (numeric_close(), "1e999", 5, False),
        (~numeric_close(5), "5", None, False),
    ],
)
def test_verdict(
    verdict: Any, bound: BoundScorer, answer: str, expected: Any, passed: bool
) -> None:
    """Within the tolerance or not; an answer without a number is wrong."""
    assert verdict(bound, answer, expected).passed is passed


def test_explanation(verdict: Any) -> None:
    """Both numbers, and the tolerance that was not enough."""
    score = verdict(numeric_close(tolerance=2), "about 15", 18)
    assert score.explanation == "the last number is 15, expected 18 within 2"
    assert score.metadata == {"number": 15.0}


@pytest.mark.parametrize("expected", ["eighteen", True, [18]])
def test_expected_without_a_number_is_an_error(verdict: Any, expected: Any) -> None:
    """The case is wrong, not the answer."""
    with pytest.raises(ScorerError, match="needs a number in 'expected'"):
        verdict(numeric_close(), "18", expected)


def test_negative_tolerance_is_refused() -> None:
    """Nothing could be within it."""
    with pytest.raises(WrongType, match="'tolerance' must be 0 or more"):
        numeric_close(tolerance=-1)
