"""Agreement with verdicts recorded elsewhere: two frameworks' own tests, and graded solutions."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Completion
from p2re_eval.scorers import (
    BoundScorer,
    contains,
    equals,
    json_schema,
    max_latency,
    numeric_close,
    regex,
    starts_with,
)

PROMPTFOO_EXCLUDED = {
    "bleu": "no n-gram similarity scorer",
    "gleu": "no n-gram similarity scorer",
    "calculateGleuScore": "a function inside that framework",
    "getNGrams": "a function inside that framework",
    "levenshtein": "no edit-distance scorer",
    "similar": "needs an embedding model",
    "is-html": "no HTML scorer",
    "is-xml": "no XML scorer",
    "not-is-xml": "no XML scorer",
    "contains-xml": "no XML scorer",
    "validateXml": "a function inside that framework",
    "containsXml": "a function inside that framework",
    "is-sql": "no SQL scorer",
    "is-refusal": "no refusal scorer",
}
PROMPTFOO_AGREED = {
    "contains": 1,
    "not-contains": 1,
    "icontains": 1,
    "contains-any": 2,
    "icontains-any": 1,
    "icontains-all": 2,
    "equals": 3,
    "not-regex": 1,
    "starts-with": 1,
    "is-json": 2,
    "latency": 2,
}
INSPECT_EXCLUDED = {"f1": "no token-overlap scorer"}


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def listed(value: Any) -> list[str]:
    """promptfoo's lists of texts: a list, or text comma-separated with quotes and empty places."""
    if isinstance(value, list):
        return value
    parts = re.findall(r'"(?:\\.|[^"])*"|[^,]+', value)
    return [part[1:-1] if part.startswith('"') else part.strip() for part in parts]


def from_promptfoo(row: dict[str, Any]) -> BoundScorer:
    name, value = row["scorer"].removeprefix("not-"), row.get("value")
    folded = name.startswith("i") and "contains" in name
    match name.removeprefix("i") if folded else name:
        case "contains":
            bound = contains(value, ignore_case=folded)
        case "contains-any":
            bound = contains(any=listed(value), ignore_case=folded)
        case "contains-all":
            bound = contains(all=listed(value), ignore_case=folded)
        case "equals":
            bound = equals(value)
        case "regex":
            bound = regex(value)
        case "starts-with":
            bound = starts_with(value)
        case "is-json":
            bound = json_schema(schema=True if value is None else value)
        case "latency":
            bound = max_latency(row["threshold"] / 1000)
        case _:
            raise AssertionError(f"neither mapped nor excluded: {row['scorer']}")
    return ~bound if row["scorer"].startswith("not-") or row.get("inverse") else bound


def test_promptfoo_agrees(shared_data: Path, verdict: Any) -> None:
    """Every vector of a scorer we have an equivalent of."""
    seen: Counter[str] = Counter()
    for row in rows(shared_data / "promptfoo_scorer_vectors_dev.jsonl"):
        if row["scorer"] in PROMPTFOO_EXCLUDED:
            continue
        text = row["output"] if isinstance(row["output"], str) else json.dumps(row["output"])
        took = row.get("latency_ms")
        completion = Completion(text=text, duration_ns=None if took is None else took * 1_000_000)
        score = verdict(from_promptfoo(row), completion)
        assert score.passed is row["expected"]["pass"], row["test"]
        seen[row["scorer"]] += 1
    assert seen == PROMPTFOO_AGREED


def from_inspect(row: dict[str, Any]) -> BoundScorer:
    match row["scorer"], row["args"], row["kwargs"]:
        case "match", [], {"numeric": True}:
            return numeric_close()
        case "pattern", [pattern], {}:
            # Theirs takes the group that equals the target; ours is told which one counts.
            return regex(pattern, group=2)
        case "answer", ["word"], {}:
            return regex(r"ANSWER\s*:\s*([\w.]*\w|[^\s.,!]+)", group=1)
        case "answer", ["line"], {}:
            return regex(r"ANSWER\s*:\s*([^\n]+)", group=1)
        case "exact", [], {}:
            return equals(ignore_case=True, ignore_punctuation=True)
    raise AssertionError(f"neither mapped nor excluded: {row}")


def test_inspect_agrees(shared_data: Path, verdict: Any) -> None:
    """C is passed, I and N (no answer) are not; what they extracted is in our explanation."""
    agreed = 0
    for row in rows(shared_data / "inspect_scorer_vectors_dev.jsonl"):
        if row["scorer"] in INSPECT_EXCLUDED:
            continue
        (target,) = row["target"]
        score = verdict(from_inspect(row), row["state"]["model_output"], target)
        if row["path"] == "answer":
            assert f"'{row['expected']}'" in score.explanation, row
        else:
            assert score.passed is (row["expected"] == "C"), row
        agreed += 1
    assert agreed == 20


@pytest.mark.parametrize(
    "model", ["6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification"]
)
def test_gsm8k_grades_agree(shared_data: Path, verdict: Any, model: str) -> None:
    """200 solutions of each of four models, against the published grading of each."""
    differing = []
    for number, row in enumerate(rows(shared_data / "gsm8k_four_models_first200.jsonl")):
        score = verdict(numeric_close(), row[model]["solution"], row["ground_truth"])
        if score.passed is not row[model]["is_correct"]:
            differing.append((number, row[model]["solution"][-80:], score.explanation))
    assert differing == []
