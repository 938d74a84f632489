"""equals, contains, starts_with, ends_with, regex, choice: literal answers, literal verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import ScorerError, WrongType
from p2re_eval.scorers import BoundScorer, choice, contains, ends_with, equals, regex, starts_with

TEAMS = ["billing", "technical", "account"]


@pytest.mark.parametrize(
    ("bound", "answer", "expected", "passed"),
    [
        (equals(), " billing\n", "billing", True),
        (equals(strip=False), "billing\n", "billing", False),
        (equals(), "Billing", "billing", False),
        (equals(ignore_case=True), "STRASSE", "straße", True),
        (equals(), "cafe\u0301", "caf\u00e9", True),
        (equals("x"), "x", "ignored", True),
        (equals(ignore_punctuation=True), "(3.14)", "3.14", True),
        (equals(ignore_punctuation=True), "31.4", "3.14", False),
        (equals(ignore_punctuation=True), "-5.", "5", False),
        (equals(ignore_punctuation=True), "Yes, it is!", "yes it is", False),
        (equals(ignore_punctuation=True, ignore_case=True), "Yes , it is!", "yes it is", True),
        (equals(ignore_punctuation=True), "?", "!", False),
        (equals(), '{"b": 2, "a": 1.0}', {"a": 1, "b": 2}, True),
        (equals(), '{"a": 1, "b": 2, "c": 3}', {"a": 1, "b": 2}, False),
        (equals(), "[1, 2]", [2, 1], False),
        (equals(), "1", True, False),
        (equals(), "true", True, True),
        (equals(), "42", 42, True),
        (equals(), "forty-two", 42, False),
        (equals(), '"42"', 42, False),
    ],
)
def test_equals(verdict: Any, bound: BoundScorer, answer: str, expected: Any, passed: bool) -> None:
    """Text against text, JSON against JSON."""
    assert verdict(bound, answer, expected).passed is passed


@pytest.mark.parametrize(
    ("bound", "answer", "expected", "passed"),
    [
        (contains("bill"), "billing", None, True),
        (contains("Bill"), "billing", None, False),
        (contains("Bill", ignore_case=True), "billing", None, True),
        (contains(), "The answer is 42.", 42, True),
        (contains(all=["a", "b"]), "a and b", None, True),
        (contains(all=["a", "z"]), "a and b", None, False),
        (contains(any=["z", "b"]), "a and b", None, True),
        (contains(any=["y", "z"]), "a and b", None, False),
        (contains("a", any=["y", "z"]), "a and b", None, False),
        (starts_with("Dear"), "  Dear Ann", None, True),
        (starts_with("Dear", strip=False), "  Dear Ann", None, False),
        (starts_with("dear", ignore_case=True), "Dear Ann", None, True),
        (ends_with("Ann"), "Yours, Ann\n", None, True),
        (ends_with("Ann"), "Ann Yours", None, False),
        (regex(r"\d{3}"), "call 123", None, True),
        (regex(r"\d{3}", full=True), "call 123", None, False),
        (regex(r"\d{3}", full=True), "123\n", None, True),
        (regex("^b", flags="mi"), "a\nBB", None, True),
        (regex(r"ANSWER: (?P<it>.+)", group="it"), "ANSWER: 42 ", "42", True),
        (regex(r"ANSWER: (.+)", group=1), "ANSWER: 41", "42", False),
        (regex(r"ANSWER: (.+)", group=1), "none", "42", False),
    ],
)
def test_parts_of_the_text(
    verdict: Any, bound: BoundScorer, answer: str, expected: Any, passed: bool
) -> None:
    """What is in, before, behind or matched."""
    assert verdict(bound, answer, expected).passed is passed


@pytest.mark.parametrize(
    ("answer", "expected", "label", "passed"),
    [
        ("billing", "billing", "billing", True),
        ("**Billing**.", "billing", "billing", True),
        ("I'd send it to the technical team.", "technical", "technical", True),
        ("I'd send it to the technical team.", "billing", "technical", False),
        ("billing or technical", "billing", None, False),
        ("no idea", "billing", None, False),
        ("accountant", "account", None, False),
        ("", "billing", None, False),
    ],
)
def test_choice(verdict: Any, answer: str, expected: str, label: str | None, passed: bool) -> None:
    """Exactly one option, as a whole word, and the right one."""
    score = verdict(choice(TEAMS), answer, expected)
    assert (score.label, score.passed) == (label, passed)


@pytest.mark.parametrize(
    ("options", "answer", "expected", "passed"),
    [
        (["New York", "New York City"], "It is New York City.", "New York City", True),
        (["A", "B"], "The answer is B, a good one.", "B", True),
        (["A", "B"], "b", "B", True),
        (["yes", "no"], "No.", "no", True),
        (["C++", "C"], "I prefer C++ today", "C++", True),
    ],
)
def test_choice_tells_overlapping_options_apart(
    verdict: Any, options: list[str], answer: str, expected: str, passed: bool
) -> None:
    """A longer option hides the shorter one inside it, and the article "a" is no option A."""
    assert verdict(choice(options), answer, expected).passed is passed


@pytest.mark.parametrize(
    ("bound", "answer", "expected", "explanation"),
    [
        (
            contains("billing"),
            "technical",
            None,
            "expected text 'billing' not found; the answer is 'technical'",
        ),
        (~contains("sorry"), "so sorry", None, "found 'sorry'; the answer is 'so sorry'"),
        (equals(), "a", "b", "the answer is 'a', expected 'b'"),
        (
            equals(),
            "a",
            {"a": 1},
            "the answer 'a' is not JSON: Expecting value: line 1 column 1 (char 0)",
        ),
        (regex("x"), "", None, "the pattern 'x' does not match; the answer is empty"),
        (
            choice(TEAMS),
            "billing or account",
            "account",
            "it names 'billing', 'account'; the answer is 'billing or account'",
        ),
        (
            contains("x"),
            "b" * 100 + "\n" + "e" * 100,
            None,
            "expected text 'x' not found; the answer is '" + "b" * 80 + " … " + "e" * 40 + "'",
        ),
    ],
)
def test_explanation_shows_the_piece_that_decides(
    verdict: Any, bound: BoundScorer, answer: str, expected: Any, explanation: str
) -> None:
    """One line, concrete, long texts cut in the middle."""
    assert verdict(bound, answer, expected).explanation == explanation


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: contains(""), "'text' is empty, so it would decide nothing"),
        (lambda: contains(any=[]), "'any' is empty, so it would decide nothing"),
        (lambda: regex("a", flags="q"), "no flag 'q'; the flags are letters among i, m, s, x, a"),
        (lambda: regex("(a)", group=2), "the pattern has 1 groups, so none is number 2"),
        (lambda: regex("(a)", group="it"), "the pattern has no group 'it'"),
        (lambda: choice(["only"]), "must list two texts or more"),
        (lambda: choice(["a", "A"]), "lists one text twice"),
    ],
)
def test_options_that_decide_nothing_are_refused(make: Any, message: str) -> None:
    """A scorer that every answer passes is a mistake in the suite."""
    with pytest.raises(WrongType, match=message):
        make()


def test_expected_outside_the_choice_is_an_error(verdict: Any) -> None:
    """No answer could be right: the suite is wrong and not the model."""
    with pytest.raises(ScorerError, match="'sales' is none of the options"):
        verdict(choice(TEAMS), "billing", "sales")


def test_expected_list_is_no_text(verdict: Any) -> None:
    """All of a list or any of it? The suite must say."""
    with pytest.raises(ScorerError, match=r"'contains' needs a text in 'expected'"):
        verdict(contains(), "a", ["a", "b"])
