"""The ways to ask for a scorer, and how each is called in results."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import DuplicateKey, WrongType
from p2re_eval.records import ScorerSpec


def specs(project: Any, scorers: str) -> tuple[ScorerSpec, ...]:
    suite = project.load(f"prompt: p\ncases: [{{}}]\nscorers: {scorers}")
    return tuple(spec.model_copy(update={"place": None}) for spec in suite.scorers)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ("equals", {"name": "equals", "label": "equals"}),
        ("equals:", {"name": "equals", "label": "equals"}),
        ("not-equals", {"name": "equals", "label": "not-equals", "negate": True}),
        (
            "contains: billing",
            {"name": "contains", "label": "contains", "argument": "billing", "has_argument": True},
        ),
        (
            "max_tokens: 0",
            {"name": "max_tokens", "label": "max_tokens", "argument": 0, "has_argument": True},
        ),
        (
            "contains: [a, b]",
            {
                "name": "contains",
                "label": "contains",
                "argument": ["a", "b"],
                "has_argument": True,
            },
        ),
        (
            "not-contains: {text: x, weight: 2, threshold: 0.5, name: clean}",
            {
                "name": "contains",
                "label": "clean",
                "options": {"text": "x"},
                "negate": True,
                "weight": 2.0,
                "threshold": 0.5,
            },
        ),
        ("equals: {weight: 0}", {"name": "equals", "label": "equals", "weight": 0.0}),
        ("equals: {weight: null}", {"name": "equals", "label": "equals"}),
        ("checks:polite", {"name": "checks:polite", "label": "checks:polite"}),
    ],
)
def test_every_form(project: Any, entry: str, expected: dict[str, Any]) -> None:
    """A name, a name with a value, a name with options; `not-` turns it round."""
    suite = project.load(f"prompt: p\ncases: [{{}}]\nscorers:\n  - {entry}\n")
    (spec,) = suite.scorers
    assert spec.model_copy(update={"place": None}) == ScorerSpec(**expected)
    assert str(spec.place) == "suites/s.yaml:4:5"


def test_scorers_listed_again_are_numbered(project: Any) -> None:
    """Two `contains` are usual; their scores must not share a name."""
    found = specs(project, "[contains: a, contains: b, not-contains: c, contains: d]")
    assert [spec.label for spec in found] == [
        "contains",
        "contains-2",
        "not-contains",
        "contains-3",
    ]


def test_a_cases_scorers_count_on_from_the_suites(project: Any) -> None:
    """The suite's come first, then those of `defaults:`, then the case's own."""
    suite = project.load(
        """\
        prompt: p
        scorers: [contains: a]
        defaults: {scorers: [contains: b, equals]}
        cases:
          - {scorers: [contains: c, equals: x]}
          - {}
        """
    )
    first, second = suite.cases
    assert [spec.label for spec in suite.scorers] == ["contains"]
    assert [spec.label for spec in first.scorers] == [
        "contains-2",
        "equals",
        "contains-3",
        "equals-2",
    ]
    assert [spec.label for spec in second.scorers] == ["contains-2", "equals"]


def test_two_scorers_cannot_be_given_one_name(project: Any) -> None:
    """A name the user chose is never changed behind their back."""
    (mistake,) = project.errors(
        """\
        prompt: p
        scorers:
          - contains: {text: a, name: polite}
        cases:
          - scorers: [{regex: {pattern: b, name: polite}}]
        """
    )
    assert isinstance(mistake, DuplicateKey)
    assert str(mistake) == (
        "suites/s.yaml:5:42: two scorers are called 'polite'; give one another `name:`"
    )


@pytest.mark.parametrize(
    ("entry", "sentence"),
    [
        ("3", "a scorer is missing its name; write NAME, {NAME: VALUE}"),
        ("{}", "a scorer is missing its name"),
        ("''", "a scorer is missing its name"),
        ("not-", "'not-' is no scorer's name"),
        ("contains billing", "'contains billing' is no scorer's name; write NAME, {NAME: VALUE}"),
        ("{a: 1, b: 2, c: 3}", "a scorer is one name, found 'a' and 'b' and 'c' together"),
        ("{equals: {weight: -1}}", "'weight' must be at least 0, found -1"),
        ("{equals: {weight: true}}", "'weight' must be a number"),
        ("{equals: {threshold: high}}", "'threshold' must be a number"),
        ("{equals: {name: 3}}", "'name' must be text"),
        ("{equals: {name: ' '}}", "'name' must be text"),
    ],
)
def test_what_is_no_scorer(project: Any, entry: str, sentence: str) -> None:
    """Said at the entry or at the option; whether the name exists is found out later."""
    (mistake,) = project.errors(f"prompt: p\ncases: [{{}}]\nscorers:\n  - {entry}\n")
    assert isinstance(mistake, WrongType)
    assert mistake.what.startswith(sentence)
    assert mistake.line == 4
