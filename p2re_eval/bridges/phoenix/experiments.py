"""Phoenix's datasets and experiments taken over: files for suites, results for comparison."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from p2re_eval.bridges.phoenix.client import nanoseconds
from p2re_eval.bridges.phoenix.course import Course
from p2re_eval.bridges.phoenix.templates import name_there
from p2re_eval.records import (
    JSON,
    Evaluation,
    Experiment,
    Fault,
    Outcome,
    Result,
    Score,
    canonical_json,
    content_hash,
)
from p2re_eval.store import Mark

_EXPERIMENT, _DATASET = "their experiment", "their dataset"
_PREVIEW_CHARS = 500
_GOOD = 0.5
"""A score without a verdict of its own passes from here on, as everywhere."""


async def take_over_experiments(course: Course, folder: Path | None) -> None:
    """Every complete experiment once, and with ``folder`` every dataset as a file in it."""
    for dataset in await course.phoenix.items("/v1/datasets"):
        if folder is not None:
            await _write_dataset(course, dataset, folder)
        path = f"/v1/datasets/{dataset['id']}/experiments"
        experiments = await course.phoenix.items(path)
        known = course.ledger.marks(_EXPERIMENT, [_key(one) for one in experiments])
        for one in experiments:
            if _key(one) not in known and not one.get("missing_run_count", 0):
                await _take_over(course, dataset, one)


async def _write_dataset(course: Course, dataset: Mapping[str, JSON], folder: Path) -> None:
    """A file that was changed here since is left alone, and said so."""
    answer = await course.phoenix.peer.get(f"/v1/datasets/{dataset['id']}/examples")
    rows = [_row(example) for example in answer.json["data"]["examples"]]
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = folder / f"{name_there(str(dataset['name']))}.jsonl"
    mark = course.ledger.marks(_DATASET, [str(path)]).get(str(path))
    before = path.read_text(encoding="utf-8") if path.exists() else None
    if before == text:
        return
    if before is not None and (mark is None or mark.digest != content_hash(before)):
        course.outcome.notes.append(f"{path}: was changed here, and is left as it is")
        return
    course.outcome.add("datasets_pulled")
    if course.dry:
        return
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    written = Mark(
        kind=_DATASET,
        local_id=str(path),
        status="SYNCED",
        remote_id=str(dataset["id"]),
        digest=content_hash(text),
    )
    await course.save(marks=[written])


def _row(example: Mapping[str, JSON]) -> dict[str, JSON]:
    """A row as suites read it; ``inputs.`` keeps a column named ``id`` what it is there."""
    inputs = {f"inputs.{name}": value for name, value in example["input"].items()}
    row: dict[str, JSON] = {"id": str(example["id"]), **inputs, "expected": example["output"]}
    return {**row, "metadata": example["metadata"]} if example.get("metadata") else row


async def _take_over(
    course: Course, dataset: Mapping[str, JSON], there: Mapping[str, JSON]
) -> None:
    course.outcome.add("experiments_pulled")
    if course.dry:
        return
    answer = await course.phoenix.peer.get(f"/v1/experiments/{there['id']}/json")
    experiment = _experiment(course.phoenix.peer.address, dataset, there)
    suite = experiment.suites[0]
    course.store.start_experiment(experiment)
    for position, run in enumerate(answer.json):
        result = _result(experiment, suite, run, position)
        course.store.save_result(result, result.evaluations)
    course.store.finish_experiment(experiment)
    mark = Mark(
        kind=_EXPERIMENT,
        local_id=_key(there),
        status="SYNCED",
        remote_id=str(there["id"]),
        detail={"experiment": experiment.experiment_id},
    )
    await course.save(marks=[mark])


def _key(there: Mapping[str, JSON]) -> str:
    """Row numbers are given anew after a reset: the moment of creation tells experiments apart."""
    return content_hash([there["id"], there["created_at"]])[:32]


def _experiment(address: str, dataset: Mapping[str, JSON], there: Mapping[str, JSON]) -> Experiment:
    about = {"phoenix": {"address": address, "id": there["id"], "metadata": there["metadata"]}}
    return Experiment(
        experiment_id=_key(there),
        name=str(there["name"]),
        started_ns=nanoseconds(str(there["created_at"])),
        ended_ns=nanoseconds(str(there["updated_at"])),
        status="COMPLETE",
        suites=(f"phoenix:{dataset['name']}",),
        settings=about,
        planned=int(there.get("successful_run_count", 0)) + int(there.get("failed_run_count", 0)),
    )


def _result(experiment: Experiment, suite: str, run: Mapping[str, JSON], position: int) -> Result:
    case, repeat = str(run["example_id"]), int(run["repetition_number"]) - 1
    trace_id = str(
        run.get("trace_id") or content_hash([experiment.experiment_id, case, repeat])[:32]
    )
    evaluations = tuple(_evaluation(experiment, trace_id, one) for one in run["annotations"])
    error = run.get("error")
    values = [one.score.value for one in evaluations if one.score and one.score.value is not None]
    return Result(
        experiment_id=experiment.experiment_id,
        item=f"{suite}::{case}#{repeat}",
        suite=suite,
        prompt=experiment.name,
        model="phoenix/task",
        case_id=case,
        repeat=repeat,
        position=position,
        outcome=_outcome(error, values),
        value=sum(values) / len(values) if values and not error else None,
        trace_id=trace_id,
        recorded=run.get("trace_id") is not None,
        fault=Fault(kind="function", message=str(error)) if error else None,
        evaluations=() if error else evaluations,
        inputs_preview=_preview(run["input"]),
        output_preview=_preview(run["output"]),
        expected_preview=_preview(run["reference_output"]),
        duration_ns=int(float(run["latency_ms"]) * 1e6) if run.get("latency_ms") else None,
    )


def _outcome(error: JSON, values: list[float]) -> Outcome:
    if error:
        return "error"
    if not values:
        return "unscored"
    return "passed" if all(value >= _GOOD for value in values) else "failed"


def _evaluation(experiment: Experiment, trace_id: str, one: Mapping[str, JSON]) -> Evaluation:
    error, kind = one.get("error"), str(one["annotator_kind"])
    score = Score(
        value=one.get("score"),
        label=one.get("label"),
        explanation=one.get("explanation"),
        metadata=one.get("metadata") or {},
    )
    return Evaluation(
        evaluation_id=content_hash([experiment.experiment_id, trace_id, one["name"]])[:32],
        trace_id=trace_id,
        name=str(one["name"]),
        scorer="phoenix",
        scorer_version="unknown",
        kind="HUMAN" if kind == "HUMAN" else "LLM" if kind == "LLM" else "CODE",
        score=None if error else score,
        fault=Fault(kind="scorer", message=str(error)) if error else None,
        created_ns=nanoseconds(str(one["end_time"])),
        experiment_id=experiment.experiment_id,
    )


def _preview(value: JSON) -> str:
    text = value if isinstance(value, str) else "" if value is None else canonical_json(value)
    return text if len(text) <= _PREVIEW_CHARS else text[: _PREVIEW_CHARS - 1] + "…"
