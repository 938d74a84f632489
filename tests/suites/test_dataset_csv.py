"""Cases from .csv files: spreadsheets as people really save them."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import DuplicateKey, MissingValue, SyntaxMistake, UnknownName, WrongType
from p2re_eval.records import Case

SUITE = "prompt: p\ndataset: d.csv"


def cases(project: Any, content: str | bytes, suite: str = SUITE) -> tuple[Case, ...]:
    project.write("suites/d.csv", content)
    return tuple(project.load(suite).cases)


def mistakes(project: Any, content: str | bytes, suite: str = SUITE) -> list[str]:
    project.write("suites/d.csv", content)
    return [line.removeprefix("suites/d.csv:") for line in project.mistakes(suite)]


def test_columns_mean_what_they_are_called(project: Any) -> None:
    """Known names fill the case, dotted names go where they say, the rest are inputs."""
    (case,) = cases(
        project,
        "id,ticket,inputs.id,expected,tags,cluster,metadata.source\n"
        'one,"I was, twice",17,billing, refund ; card;,c1,mail\n',
    )
    assert case.id == "one"
    assert case.inputs == {"ticket": "I was, twice", "id": "17"}
    assert (case.expected, case.tags, case.cluster) == ("billing", ("refund", "card"), "c1")
    assert case.metadata == {"source": "mail"}
    assert str(case.place) == "suites/d.csv:2"


def test_cells_stay_text(project: Any) -> None:
    """What a cell means as a number is for the prompt's input to say, not for the file."""
    (case,) = cases(project, "n,flag,list,date,zip,expected\n1.50,true,[1],2024-05-01,01234,17\n")
    assert case.inputs == {
        "n": "1.50",
        "flag": "true",
        "list": "[1]",
        "date": "2024-05-01",
        "zip": "01234",
    }
    assert case.expected == "17"


def test_an_empty_cell_is_absent(project: Any) -> None:
    """So that a default can step in, and an id be made."""
    first, second = cases(project, "id,ticket,tone,expected\n,x,,\nb,,warm,y\n")
    assert (first.id, first.inputs, first.expected) == ("row-0001", {"ticket": "x"}, None)
    assert (second.id, second.inputs) == ("b", {"tone": "warm"})


@pytest.mark.parametrize(
    "content",
    [
        "ticket,expected\r\nü,y\r\n".encode("utf-8-sig"),
        b"ticket,expected\n\xc3\xbc,y",
        " ticket , expected\n\nü,y\n\n".encode(),
    ],
    ids=["excel", "no end of line", "spaces and blank lines"],
)
def test_files_as_programs_save_them(project: Any, content: bytes) -> None:
    """Byte order marks, line ends, blank lines and spaces in the header do not matter."""
    (case,) = cases(project, content)
    assert (case.inputs, case.expected) == ({"ticket": "ü"}, "y")


def test_a_quoted_cell_may_span_lines(project: Any) -> None:
    """The place is the line where the row starts."""
    first, second = cases(project, 'ticket\n"one\ntwo ""quoted"""\nthree\n')
    assert first.inputs == {"ticket": 'one\ntwo "quoted"'}
    assert [str(case.place) for case in (first, second)] == ["suites/d.csv:2", "suites/d.csv:4"]


def test_rows_are_numbered_by_the_file(project: Any) -> None:
    """Blank lines do not count, and rows with an id do."""
    found = cases(project, "id,t\n,a\n\nx,b\n,c\n")
    assert [case.id for case in found] == ["row-0001", "x", "row-0003"]


@pytest.mark.parametrize(
    ("content", "expected", "kind"),
    [
        ("a,b\n1\n", "2: this row has 1 cells, the header has 2; check commas and", WrongType),
        ("a,b\n1,2,3\n", "2: this row has 3 cells, the header has 2; check commas", WrongType),
        ("a,b,a\n1,2,3\n", "1: the columns 'a' and 'a' mean the same; remove one", DuplicateKey),
        ("a,inputs.a\n1,2\n", "1: the columns 'a' and 'inputs.a' mean the same", DuplicateKey),
        ("a,,b\n1,2,3\n", "1: column 2 has no name; add one to the header", MissingValue),
        ("a;b\n1;2\n", "1: columns must be separated by commas", SyntaxMistake),
        ("a\tb\n1\t2\n", "1: columns must be separated by commas", SyntaxMistake),
        ("", "1: this file has no header; name the columns in its first line", MissingValue),
        ("\n\n", "1: this file has no header; name the columns in its", MissingValue),
        (b"a\nx\ncaf\xe9\n", "3: byte 0xe9 is not UTF-8; save the file as UTF-8", SyntaxMistake),
        ("a\n1\n".encode("utf-16"), "1: byte 0xff is not UTF-8; save the file", SyntaxMistake),
        ("a\nx\0\n", "2: a NUL character; save the file as UTF-8 text", SyntaxMistake),
        ('a\n"open\n', "2: the quote that opens in this row is never closed", SyntaxMistake),
        ('a\n"x"y\n', "2: not CSV: ',' expected after '\"'; double a quote", SyntaxMistake),
        ("a\n" + "x" * 140_000, "2: a cell is longer than 131072 characters; put", SyntaxMistake),
        ("id,t\na::b,1\n", "2: the case id 'a::b' may not hold '::'", WrongType),
        ("id,t\n a,1\n", "2: the case id ' a' starts or ends with a space", WrongType),
    ],
)
def test_a_mistake_names_its_line(
    project: Any, content: str | bytes, expected: str, kind: type
) -> None:
    """One sentence; rows that are fine are not complained about."""
    project.write("suites/d.csv", content)
    (mistake,) = project.errors(SUITE)
    assert str(mistake).startswith(f"suites/d.csv:{expected}"), str(mistake)
    assert type(mistake) is kind


def test_every_ragged_row_is_reported(project: Any) -> None:
    """One broken row does not hide the next."""
    assert mistakes(project, "a,b\n1\n1,2\n1,2,3\n") == [
        "2: this row has 1 cells, the header has 2; check commas and quotes",
        "4: this row has 3 cells, the header has 2; check commas and quotes",
    ]


def test_twenty_mistakes_are_enough(project: Any) -> None:
    """The rest is counted."""
    found = mistakes(project, "a,b\n" + "1\n" * 30)
    assert len(found) == 21
    assert found[19].startswith("21: this row has 1 cells")
    assert found[20] == " and 10 more mistakes in this file"


def test_a_header_alone_has_no_cases(project: Any) -> None:
    """The suite is what is incomplete then."""
    project.write("suites/d.csv", "a,b\n")
    (mistake,) = project.mistakes(SUITE)
    assert mistake.startswith("suites/s.yaml:1:1: this suite has no cases; add `cases:`")


def test_an_unknown_column_the_suite_asks_for(project: Any) -> None:
    """With the one that was probably meant."""
    project.write("suites/d.csv", "question,answer\nx,y\n")
    (mistake,) = project.errors("prompt: p\ndataset: {path: d.csv, expected: anser}")
    assert isinstance(mistake, UnknownName)
    assert str(mistake) == (
        "suites/d.csv:1: the suite asks for the column 'anser', which is not here; "
        "did you mean 'answer'?"
    )
