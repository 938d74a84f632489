"""What a result says of its run: who was asked what, whether it passed, previews of the texts."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from p2re_eval.planning import PlannedRun
from p2re_eval.records import Completion, Evaluation, Outcome

PREVIEW = 500
"""Characters of a text that a result keeps."""
_ENCODER = json.JSONEncoder(ensure_ascii=False, default=str)


def of_plan(planned: PlannedRun, experiment_id: str) -> dict[str, Any]:
    """The fields of a result that its run decides, answered or not."""
    case = planned.case
    return {
        "experiment_id": experiment_id,
        "item": planned.item,
        "suite": planned.suite.path,
        "prompt": planned.prompt,
        "prompt_version": planned.template.version,
        "model": planned.model,
        "case_id": case.id,
        "repeat": planned.repeat,
        "position": planned.position,
        "tags": case.tags,
        "cluster": case.cluster,
        "inputs_preview": preview(planned.inputs),
        "expected_preview": "" if case.expected is None else preview(case.expected),
        "quarantine": planned.quarantine,
        "place": case.place,
        "row_hash": planned.row_hash,
        "rules_hash": planned.rules_hash,
    }


def decide(
    evaluations: Sequence[Evaluation], threshold: float | None
) -> tuple[Outcome, float | None]:
    """Whether the case passed, and its weighted mean value.

    Without a threshold every counting scorer (weight above 0) must pass: one that clearly failed
    fails the case, else one that broke leaves it unscored. With a threshold the weighted mean must
    reach it, which needs every counting scorer's value.
    """
    counting = [e for e in evaluations if e.weight > 0]
    values = [(e.score.value, e.weight) for e in counting if e.score and e.score.value is not None]
    mean: float | None = None
    if counting and len(values) == len(counting):
        mean = sum(v * w for v, w in values) / sum(w for _, w in values)
    if threshold is not None and counting:
        return (
            ("unscored", None)
            if mean is None
            else ("passed" if _reaches(mean, threshold) else "failed", mean)
        )
    if any(e.score is not None and e.score.passed is False for e in counting):
        return "failed", mean
    if any(e.score is None for e in counting):
        return "unscored", mean
    return "passed", mean


def _reaches(mean: float, threshold: float) -> bool:
    """Rounding errors of a sum do not decide: the mean of seven times 0.1 reaches 0.1."""
    return mean >= threshold or math.isclose(mean, threshold, rel_tol=1e-9, abs_tol=1e-9)


def answer_text(completion: Completion) -> str:
    """What a reader should see as the answer: the text, the refusal, or the tools asked for."""
    if completion.text or not (completion.refusal or completion.tool_calls):
        return completion.text
    if completion.refusal:
        return completion.refusal
    return "\n".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)


def preview(value: object) -> str:
    """The first 500 characters, of text as it is and of anything else as JSON."""
    text = value if isinstance(value, str) else _ENCODER.encode(value)
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"
