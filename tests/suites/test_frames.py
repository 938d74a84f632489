"""`Suite.from_dataframe`: pandas and polars, roles of columns, and mistakes with row and column."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from p2re_eval import Suite
from p2re_eval.errors import DefinitionErrors, UsageError

pandas = pytest.importorskip("pandas", reason="the extra 'notebook' is not installed")
polars = pytest.importorskip("polars", reason="polars is not installed")

FRAMES = pytest.mark.parametrize("frame", [pandas.DataFrame, polars.DataFrame], ids=["pd", "pl"])
Frame = Callable[[Any], Any]


@FRAMES
def test_columns_are_known_by_their_names(frame: Frame) -> None:
    """As in a dataset file: id, expected, tags; everything else is an input."""
    suite = Suite.from_dataframe(
        frame(
            {
                "id": ["twice", "locked"],
                "ticket": ["I was charged twice", "My login is locked"],
                "most": [3, 4],
                "expected": ["billing", "account"],
                "tags": ["money; angry", "login"],
                "metadata.from": ["mail", None],
            }
        ),
        prompt="route",
    )
    assert suite.prompts == ("route",)
    assert [case.id for case in suite.cases] == ["twice", "locked"]
    assert suite.cases[0].inputs == {"ticket": "I was charged twice", "most": 3}
    assert type(suite.cases[0].inputs["most"]) is int
    assert [case.expected for case in suite.cases] == ["billing", "account"]
    assert suite.cases[0].tags == ("money", "angry")
    assert suite.cases[0].metadata == {"from": "mail"}
    assert suite.cases[1].metadata == {}


@FRAMES
def test_the_call_may_say_which_column_is_which(frame: Frame) -> None:
    """Columns that it does not name are left out; numbers may be ids."""
    rows = {"number": [17, 18], "text": ["Hello", "Bye"], "team": ["a", "b"], "junk": [1, 2]}
    suite = Suite.from_dataframe(
        frame(rows), inputs={"ticket": "text"}, expected="team", id="number"
    )
    assert [case.id for case in suite.cases] == ["17", "18"]
    assert suite.cases[0].inputs == {"ticket": "Hello"}
    assert suite.cases[1].expected == "b"
    assert Suite.from_dataframe(frame(rows), inputs="text").cases[0].id == "row-0001"


def test_an_empty_cell_is_absent_and_values_become_json() -> None:
    """NaN, NaT and NA are no values; numbers of numpy are Python's, days are texts."""
    rows = pandas.DataFrame(
        {
            "a": [1.5, float("nan")],
            "when": pandas.to_datetime(["2026-01-31", None]),
            "flag": pandas.array([True, None], dtype="boolean"),
            "many": [["x", "y"], None],
        }
    )
    first, second = Suite.from_dataframe(rows).cases
    assert first.inputs == {
        "a": 1.5,
        "when": "2026-01-31T00:00:00",
        "flag": True,
        "many": ["x", "y"],
    }
    assert second.inputs == {}
    days = polars.DataFrame({"day": [datetime.date(2026, 1, 31)], "many": [[1, 2]]})
    assert Suite.from_dataframe(days).cases[0].inputs == {"day": "2026-01-31", "many": [1, 2]}


@FRAMES
def test_a_column_that_is_not_there_is_named(frame: Frame) -> None:
    """With the one that was probably meant."""
    with pytest.raises(DefinitionErrors) as caught:
        Suite.from_dataframe(frame({"text": ["x"], "team": ["a"]}), expected="taem")
    assert str(caught.value) == "the data frame has no column 'taem'; did you mean 'team'?"


@FRAMES
def test_a_mistake_says_row_and_column(frame: Frame) -> None:
    """Every one of the first twenty."""
    with pytest.raises(DefinitionErrors) as caught:
        Suite.from_dataframe(frame({"name": ["a", "b", "a"], "x": ["1", "2", "3"]}), id="name")
    assert str(caught.value) == (
        "row 2, column 'name': the case id 'a' is taken by the case at row 0, column 'name'; "
        "change one"
    )
    with pytest.raises(DefinitionErrors) as caught:
        Suite.from_dataframe(frame({"x": [object()] * 3}))
    assert str(caught.value).splitlines() == [
        f"row {row}, column 'x': a value of type 'object' cannot be kept in a suite; make it text"
        for row in range(3)
    ]
    many = frame({"id": ["same"] * 40, "x": ["1"] * 40})
    with pytest.raises(DefinitionErrors) as caught:
        Suite.from_dataframe(many)
    assert len(caught.value.errors) == 21
    assert str(caught.value.errors[-1]) == "and 19 more mistakes"


def test_rows_of_pandas_go_by_their_index() -> None:
    """What the user sees beside the row."""
    rows = pandas.DataFrame({"id": ["a", "a"], "x": ["1", "2"]}, index=["first", "second"])
    with pytest.raises(DefinitionErrors, match=r"row second, column 'id': .* at row first"):
        Suite.from_dataframe(rows)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([{"a": 1}], "from_dataframe takes a data frame of pandas or polars, not a list"),
        (polars.LazyFrame({"a": [1]}), "this frame is lazy; pass frame.collect()"),
    ],
    ids=["list", "lazy"],
)
def test_what_is_no_frame_is_refused(given: object, said: str) -> None:
    """With what it takes."""
    with pytest.raises(UsageError) as caught:
        Suite.from_dataframe(given)
    assert str(caught.value) == said


def test_odd_columns_and_no_rows_are_refused() -> None:
    """A number for a name, the same name twice, nothing at all."""
    with pytest.raises(DefinitionErrors, match="the column 0 is not called by a text; rename it"):
        Suite.from_dataframe(pandas.DataFrame([["x"]]))
    twice = pandas.DataFrame([["x", "y"]], columns=["a", "a"])
    with pytest.raises(DefinitionErrors, match="two columns 'a'; rename one"):
        Suite.from_dataframe(twice)
    with pytest.raises(DefinitionErrors, match="the data frame has no rows"):
        Suite.from_dataframe(pandas.DataFrame({"a": []}))
