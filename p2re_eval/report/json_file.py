"""The report as JSON: the same content always gives the same bytes, and a schema describes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from p2re_eval.records import JSON, Comparison, Experiment, Record, Result
from p2re_eval.report.summary import Headline, Summary, headline, summarize

SCHEMA_VERSION = 1
"""Rises when a reader of the former form could misread the new one."""


class VerdictLine(Record):
    """The verdict of the experiment: ``passed`` is null when it could not be decided."""

    passed: bool | None
    word: str
    why: str


class Report(Record):
    """An experiment in full: its verdict, its figures and every result, and what it was compared
    with (null: nothing).

    Costs are US dollars, times nanoseconds; null is unknown and never 0.
    """

    schema_version: Literal[1] = 1
    verdict: VerdictLine
    experiment: Experiment
    summary: Summary
    comparison: Comparison | None = None
    results: tuple[Result, ...]


def report_schema() -> dict[str, JSON]:
    """The JSON Schema (draft 2020-12) of :func:`json_report`."""
    schema = Report.model_json_schema(mode="serialization")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:p2re-eval:schema:report:{SCHEMA_VERSION}",
        **schema,
        "title": "p2re_eval report",
    }


def json_report(
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    comparison: Comparison | None = None,
) -> Iterator[str]:
    """The report in pieces: keys sorted, results by suite, position and item, one a line."""
    summary, in_order = summarize_in_order(results_factory)
    verdict = headline(experiment, summary)
    yield "{\n"
    yield f'"comparison": {"null" if comparison is None else _dumped(comparison)},\n'
    yield f'"experiment": {_dumped(experiment)},\n"results": ['
    between = "\n"
    results = results_factory() if in_order else sorted(results_factory(), key=_place)
    for result in results:
        yield f"{between}{_dumped(result)}"
        between = ",\n"
    yield f'\n],\n"schema_version": {SCHEMA_VERSION},\n'
    yield f'"summary": {_dumped(summary)},\n'
    yield f'"verdict": {_dumped(_verdict_line(verdict))}\n'
    yield "}\n"


def summarize_in_order(
    results_factory: Callable[[], Iterable[Result]],
) -> tuple[Summary, bool]:
    """The summary, and whether the results come sorted: then nothing needs to be held."""
    order = _Order()
    summary = summarize(order.watching(results_factory()))
    if order.kept:
        return summary, True
    return summarize(sorted(results_factory(), key=_place)), False


class _Order:
    """Watches results go by and remembers whether they were sorted."""

    def __init__(self) -> None:
        self.kept = True

    def watching(self, results: Iterable[Result]) -> Iterator[Result]:
        before: tuple[str, int, str, int] | None = None
        for result in results:
            here = _place(result)
            self.kept = self.kept and (before is None or before <= here)
            before = here
            yield result


def _place(result: Result) -> tuple[str, int, str, int]:
    return result.suite, result.position, result.item, result.repeat


def _verdict_line(verdict: Headline) -> VerdictLine:
    return VerdictLine(passed=verdict.passed, word=verdict.word, why=verdict.why)


def _dumped(record: Record) -> str:
    value = record.model_dump(mode="python")
    try:
        return _json(value)
    except ValueError:
        return _json(_finite(value))


def _json(value: JSON) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _finite(value: JSON) -> JSON:
    """The value with NaN and the infinities, which JSON does not have, as null."""
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
