"""The report as JSON: its schema, its order, its numbers."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest

from p2re_eval.records import Score
from p2re_eval.report import json_report, report_schema


def text(made: Any, results: Any = None) -> str:
    given = made.results if results is None else results
    return "".join(json_report(made.experiment, lambda: iter(given)))


def test_the_report_satisfies_its_schema(mixed: Any) -> None:
    validator = jsonschema_rs.Draft202012Validator(report_schema())
    report = json.loads(text(mixed))
    assert [str(error) for error in validator.iter_errors(report)] == []
    assert report["schema_version"] == 1
    assert report["verdict"]["passed"] is False


@pytest.mark.parametrize("key", ["verdict", "experiment", "summary", "results"])
def test_the_schema_requires_every_part(mixed: Any, key: str) -> None:
    validator = jsonschema_rs.Draft202012Validator(report_schema())
    report = json.loads(text(mixed))
    del report[key]
    assert not validator.is_valid(report)


def test_the_schema_says_what_it_is() -> None:
    schema = report_schema()
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["$id"], schema["title"]) == ("urn:p2re-eval:schema:report:1", "p2re_eval report")


def test_the_same_results_in_any_order_give_the_same_bytes(mixed: Any) -> None:
    assert text(mixed) == text(mixed, list(reversed(mixed.results)))


def test_keys_are_sorted(mixed: Any) -> None:
    def check(value: Any) -> None:
        if isinstance(value, dict):
            assert list(value) == sorted(value)
            for item in value.values():
                check(item)
        elif isinstance(value, list):
            for item in value:
                check(item)

    check(json.loads(text(mixed)))


def test_numbers_that_json_lacks_are_null(made: Any) -> None:
    result = made.add("a")
    broken = result.evaluations[0].model_copy(
        update={"score": Score(value=1, metadata={"x": float("nan"), "y": float("inf")})}
    )
    made.results[0] = result.model_copy(update={"evaluations": (broken,)})
    metadata = json.loads(text(made))["results"][0]["evaluations"][0]["score"]["metadata"]
    assert metadata == {"x": None, "y": None}


def test_an_unknown_cost_is_null(made: Any) -> None:
    made.add("a", cost_usd=None)
    report = json.loads(text(made))
    assert report["summary"]["figures"]["cost_usd"] == {"unknown": 1, "value": None}


def test_no_results_are_an_empty_list(made: Any) -> None:
    assert json.loads(text(made))["results"] == []
