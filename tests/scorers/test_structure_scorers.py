"""json_schema and json_path, the first against the official suite of draft 2020-12."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from p2re_eval.errors import ScorerError, WrongType
from p2re_eval.records import Completion, ModelSettings, RenderedPrompt
from p2re_eval.scorers import BoundScorer, json_path, json_schema

TEAM = {"type": "object", "properties": {"team": {"type": "string"}}, "required": ["team"]}
ANSWER = '{"team": "billing", "tags": [{"ok": true}, {"ok": true}, {"ok": false}], "note": null}'
FENCED = 'Sure:\n```json\n{"team": "billing"}\n```\nAnything else?'


@pytest.mark.parametrize(
    ("bound", "answer", "passed"),
    [
        (json_schema(schema=TEAM), '{"team": "a"}', True),
        (json_schema(schema=TEAM), '{"team": 1}', False),
        (json_schema(schema=TEAM), FENCED, False),
        (json_schema(schema=TEAM, extract=True), FENCED, True),
        (json_schema(schema=TEAM, extract=True), 'So {x} is {"team": "a"} then', True),
        (json_schema(schema=TEAM, extract=True), "no JSON {here}", False),
        (json_schema(True), "3", True),
        (json_schema(True), "NaN", False),
        (json_schema(True), '{"a": 1,}', False),
        (json_schema(True), "", False),
        (json_schema(True), "[" * 100_000, False),
        (json_schema(True), '"\\ud800"', False),
        (json_schema(True), "1" * 5000, False),
        (json_path("$.team"), ANSWER, True),
        (json_path("$.absent"), ANSWER, False),
        (json_path("$.absent", exists=False), ANSWER, True),
        (json_path("$.team", exists=False), ANSWER, False),
        (json_path("$.team", equals="billing"), ANSWER, True),
        (json_path("$.note", equals=None), ANSWER, True),
        (json_path("$.team", equals=None), ANSWER, False),
        (json_path("$.tags[:2].ok", equals=True), ANSWER, True),
        (json_path("$.tags[*].ok", equals=True), ANSWER, False),
        (json_path("$.tags[0].ok", equals=1), ANSWER, False),
        (json_path("$.tags[?@.ok == false]"), ANSWER, True),
        (json_path("$.team"), "no JSON", False),
        (json_path("$..team"), "[" * 500 + "]" * 500, False),
        (json_path("$.team", equals="billing", extract=True), FENCED, True),
    ],
)
def test_verdict(verdict: Any, bound: BoundScorer, answer: str, passed: bool) -> None:
    """Unreadable JSON is a wrong answer, not a broken scorer."""
    assert verdict(bound, answer).passed is passed


def test_path_compares_with_expected(verdict: Any) -> None:
    """``expected: true`` judges one field by the case's own expected value."""
    bound = json_path("$.team", expected=True)
    assert bound.needs_expected is True
    assert verdict(bound, ANSWER, "billing").passed is True
    assert (
        verdict(bound, ANSWER, "sales").explanation
        == "$.team is '\"billing\"', expected '\"sales\"'"
    )


def test_schema_comes_from_the_prompt(verdict: Any) -> None:
    """Without a schema of its own the scorer takes the prompt's output schema, or is an error."""
    prompt = RenderedPrompt(name="p", messages=(), model=ModelSettings(), output_schema=TEAM)
    context = SimpleNamespace(prompt=prompt, trace_id="", root=Path())
    assert verdict(json_schema(), '{"team": 1}', context=context).passed is False
    with pytest.raises(ScorerError, match="has no schema and the prompt no output schema"):
        verdict(json_schema(), "{}")


@pytest.mark.parametrize(
    ("bound", "answer", "explanation"),
    [
        (
            json_schema(schema=TEAM),
            '{"team": 1}',
            'the answer does not fit the schema at /team: 1 is not of type "string"',
        ),
        (
            json_schema(schema={"items": {"minimum": 5}}),
            "[1, 2, 3]",
            "the answer does not fit the schema at /0: 1 is less than the minimum of 5 "
            "(and 2 more)",
        ),
        (json_path("$.a"), "{}", "$.a selects nothing in the answer"),
    ],
)
def test_explanation(verdict: Any, bound: BoundScorer, answer: str, explanation: str) -> None:
    """The first place that does not fit, and how many more."""
    assert verdict(bound, answer).explanation == explanation


def test_fence_is_hinted_at(verdict: Any) -> None:
    """The usual reason for "not JSON" names its cure."""
    assert "extract: true would find" in verdict(json_schema(True), FENCED).explanation


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: json_schema(schema={"type": "objekt"}), "not a JSON Schema at /type"),
        (lambda: json_schema(schema={"pattern": "("}), "not a JSON Schema at /pattern"),
        (lambda: json_schema(schema={"$ref": "#/nope"}), "Pointer '/nope' does not exist"),
        (lambda: json_schema(schema={"$ref": "http://127.0.0.1:9/x"}), "which is not inside it"),
        (lambda: json_schema(schema={"$ref": "file:///etc/passwd"}), "which is not inside it"),
        (lambda: json_path("$.["), "is no JSONPath"),
        (lambda: json_path("team"), "is no JSONPath"),
        (lambda: json_path("$.a", exists=False, equals=1), "leaves nothing to compare"),
        (lambda: json_path("$.a", expected=True, equals=1), "not both"),
    ],
)
def test_what_can_never_work_is_found_when_bound(make: Any, message: str) -> None:
    """Schemas and paths are compiled before any model is called, and nothing is fetched."""
    with pytest.raises(WrongType, match=message):
        make()


def test_official_suite_of_draft_2020_12(shared_data: Path) -> None:
    """Every case agrees, but those that need a document from elsewhere."""
    agreed, refused = 0, []
    for path in sorted((shared_data / "json_schema_2020_12").glob("*.json")):
        for group in json.loads(path.read_text(encoding="utf-8")):
            try:
                bound = json_schema(schema=group["schema"])
            except WrongType as error:
                refused.append((path.stem, str(error)))
                continue
            for test in group["tests"]:
                score = bound.scorer.function(
                    Completion(text=json.dumps(test["data"])), None, schema=group["schema"]
                )
                assert score.passed is test["valid"], (path.stem, group["description"], test)
                agreed += 1
    assert {name for name, _ in refused} == {"dynamicRef", "refRemote", "vocabulary"}
    assert all("http://localhost:1234/" in message for _, message in refused), refused
    assert (agreed, len(refused)) == (1250, 22)
