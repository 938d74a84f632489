"""What a result says of its run: who was asked what, and previews of the texts."""

from __future__ import annotations

from typing import Any

from p2re_eval.planning import PlannedRun
from p2re_eval.records import Completion

PREVIEW = 500
"""Characters of a text that a result keeps."""


def of_plan(planned: PlannedRun, experiment_id: str) -> dict[str, Any]:
    """The fields of a result that its run decides, answered or not."""
    case = planned.case
    return {
        "experiment_id": experiment_id,
        "item": planned.item,
        "suite": planned.suite.path,
        "prompt": planned.prompt,
        "prompt_version": planned.template.version,
        "model": planned.settings.id,
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


def answer_text(completion: Completion) -> str:
    """What a reader should see as the answer: the text, the refusal, or the tools asked for."""
    if completion.text or not (completion.refusal or completion.tool_calls):
        return completion.text
    if completion.refusal:
        return completion.refusal
    return "\n".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)


def preview(value: object) -> str:
    """The first 500 characters, of text as it is and of anything else as JSON."""
    if isinstance(value, str):
        text = value
    else:
        import json

        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= PREVIEW else text[: PREVIEW - 1] + "…"
