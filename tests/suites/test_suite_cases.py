"""Cases: their ids, their defaults, and where they come from."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import DuplicateKey, WrongType


def ids(project: Any, cases: str) -> list[str]:
    return [case.id for case in project.load(f"prompt: p\ncases:\n{cases}").cases]


FORBIDDEN = "may not hold '::', brackets or control characters; change it"


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ("{ticket: I was charged twice.}", "i-was-charged-twice"),
        ("{n: 3, ticket: Hello}", "hello"),
        ("{ticket: 'C++ & Rust: which?'}", "c-rust-which"),
        ("{ticket: Où est ma commande n°42 ?}", "où-est-ma-commande-n-42"),
        ("{ticket: नमस्ते दुनिया}", "नमस्ते-दुनिया"),
        ("{ticket: 退款在哪里}", "退款在哪里"),
        ("{ticket: '!?'}", "case-001"),
        ("{n: 3}", "case-001"),
        ("{}", "case-001"),
        ("{ticket: the words go on and on and on until forty is full}", None),
        (f"{{ticket: {'x' * 100}}}", "x" * 40),
        (f"{{long: {'word ' * 100}end, short: brief}}", "brief"),
    ],
)
def test_an_id_is_made_from_the_first_short_text(
    project: Any, inputs: str, expected: str | None
) -> None:
    """At most forty characters, cut between words; any script; a number when there is no text."""
    (found,) = ids(project, f"  - inputs: {inputs}\n")
    assert found == (expected or "the-words-go-on-and-on-and-on-until")
    assert len(found) <= 40


def test_ids_do_not_depend_on_where_a_case_stands(project: Any) -> None:
    """A case put before the others leaves their ids, and so their history, alone."""
    before = ids(project, "  - inputs: {t: one}\n  - inputs: {t: two}\n")
    after = ids(project, "  - inputs: {t: new}\n  - inputs: {t: one}\n  - inputs: {t: two}\n")
    assert before == ["one", "two"]
    assert after == ["new", "one", "two"]


def test_made_ids_are_unique_and_given_ones_win(project: Any) -> None:
    """The same text twice gets a number; an id the user wrote is never changed."""
    assert ids(
        project,
        "  - inputs: {t: one}\n  - inputs: {t: one}\n  - id: one\n  - id: 17\n",
    ) == ["one-2", "one-3", "one", "17"]


def test_an_id_given_twice_names_both_places(project: Any) -> None:
    """In one file or in two."""
    project.write("suites/d.jsonl", '{"id": "b", "t": "x"}\n\n{"id": "a", "t": "y"}\n')
    first, second = project.errors(
        "prompt: p\ndataset: d.jsonl\ncases:\n  - id: a\n  - {id: c}\n  - {id: c}\n"
    )
    assert isinstance(first, DuplicateKey)
    assert str(first) == (
        "suites/s.yaml:4:9: the case id 'a' is taken by the case at suites/d.jsonl:3; change one"
    )
    assert str(second) == (
        "suites/s.yaml:6:10: the case id 'c' is taken by the case at suites/s.yaml:5:10; change one"
    )


@pytest.mark.parametrize(
    ("case_id", "sentence"),
    [
        ('"a::b"', "the case id 'a::b' " + FORBIDDEN),
        ('"a[b]"', "the case id 'a[b]' " + FORBIDDEN),
        ('"a\\nb"', r"the case id 'a\nb' " + FORBIDDEN),
        ('"a\\tb"', r"the case id 'a\tb' " + FORBIDDEN),
        ('" a"', "the case id ' a' starts or ends with a space; remove it"),
        ('"a "', "the case id 'a ' starts or ends with a space; remove it"),
        ("[a]", "'id' must be text (put it in quotes), found a list"),
        ("1.5", "'id' must be text (put it in quotes), found the number 1.5"),
        ("true", "'id' must be text (put it in quotes), found true"),
    ],
)
def test_ids_that_would_break_item_names(project: Any, case_id: str, sentence: str) -> None:
    """An item id reads SUITE::PROMPT::CASE[MODEL#REPEAT] on one line."""
    (mistake,) = project.errors(f"prompt: p\ncases:\n  - id: {case_id}\n")
    assert isinstance(mistake, WrongType)
    assert str(mistake) == f"suites/s.yaml:3:9: {sentence}"


def test_an_empty_id_is_a_mistake(project: Any) -> None:
    """Absent is fine, empty is not."""
    (mistake,) = project.errors('prompt: p\ncases:\n  - {id: "", inputs: {t: x}}\n')
    assert mistake.line == 3


def test_defaults_fill_in_what_a_case_leaves_out(project: Any) -> None:
    """Inputs and metadata key by key, the case winning; tags add up."""
    project.write("suites/d.csv", "ticket,tags\nx,b\n")
    suite = project.load(
        """\
        prompt: p
        dataset: d.csv
        defaults:
          inputs: {teams: [a, b], tone: calm}
          tags: [all, b]
          metadata: {source: mail}
        cases:
          - inputs: {ticket: y, tone: warm}
            metadata: {source: phone, year: 2024}
          - {}
        """
    )
    row, own, bare = suite.cases
    assert row.inputs == {"teams": ["a", "b"], "tone": "calm", "ticket": "x"}
    assert (row.tags, row.metadata) == (("all", "b"), {"source": "mail"})
    assert own.inputs == {"teams": ["a", "b"], "tone": "warm", "ticket": "y"}
    assert own.metadata == {"source": "phone", "year": 2024}
    assert bare.inputs == {"teams": ["a", "b"], "tone": "calm"}
    assert [case.id for case in suite.cases] == ["row-0001", "y", "case-002"]


def test_datasets_come_before_the_cases_in_the_file(project: Any) -> None:
    """Rows of the first dataset are numbered plainly, those of others carry its name."""
    project.write("suites/a.jsonl", '{"t": "1"}\n\n{"t": "2"}\n')
    project.write("suites/b.yaml", "- inputs: {t: '3'}\n")
    suite = project.load(
        "prompt: p\ndataset: [a.jsonl, {path: b.yaml}]\ncases: [{inputs: {t: four}}]"
    )
    assert [case.id for case in suite.cases] == ["row-0001", "row-0002", "b-row-0001", "four"]
    assert [str(case.place) for case in suite.cases] == [
        "suites/a.jsonl:1",
        "suites/a.jsonl:3",
        "suites/b.yaml:1:3",
        "suites/s.yaml:3:9",
    ]


@pytest.mark.parametrize("expected", ["null", "0", "false", "''", "[1, {a: b}]", "{team: x}"])
def test_expected_is_any_value(project: Any, expected: str) -> None:
    """Falsy answers are answers."""
    suite = project.load(f"prompt: p\ncases: [{{expected: {expected}}}, {{id: b}}]")
    values = {"null": None, "0": 0, "false": False, "''": ""}
    values |= {"[1, {a: b}]": [1, {"a": "b"}], "{team: x}": {"team": "x"}}
    assert suite.cases[0].expected == values[expected]
    assert suite.cases[1].expected is None


def test_a_plain_row_and_a_validated_one_give_the_same_case(project: Any) -> None:
    """Rows that are only looked at end up like rows that pydantic validates."""
    plain = project.load("prompt: p\ncases: [{id: a, inputs: {t: x}, expected: y, tags: [z]}]")
    other = project.load(
        "prompt: p\ncases: [{id: a, inputs: {t: x}, expected: y, tags: [z], cluster: null}]"
    )
    assert plain.cases == other.cases
