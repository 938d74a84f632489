"""Why a case failed or broke, as pytest prints it."""

from __future__ import annotations

import textwrap

from p2re_eval.records import Evaluation, Result


def explain_failure(result: Result) -> str:
    """The input, the answer, what was expected, and each scorer's word."""
    lines = [f"{result.place}: the model answered badly" if result.place else "answered badly"]
    lines += _block("input", result.inputs_preview)
    lines += _block("output", result.output_preview or "(empty)")
    lines += _block("expected", result.expected_preview)
    lines += ["", *_scores(result)]
    lines += ["", f"trace {result.trace_id}  (p2re traces show {_short(result.trace_id)})"]
    return "\n".join(lines)


def explain_broken(result: Result) -> str:
    """Which part of the machine broke: the provider, or a scorer."""
    place = f"{result.place}: " if result.place else ""
    if result.fault is not None:
        tries = f" after {result.fault.attempts} attempts" if result.fault.attempts > 1 else ""
        message = result.fault.message.removeprefix(f"{result.model}: ")
        return f"{place}{result.model} gave no answer{tries} ({result.fault.kind}): {message}"
    lines = [f"{place}not scored, because a scorer broke", *_scores(result)]
    lines += _block("output", result.output_preview or "(empty)")
    return "\n".join(lines)


def _scores(result: Result) -> list[str]:
    return [_score_line(evaluation) for evaluation in result.evaluations]


def _score_line(evaluation: Evaluation) -> str:
    if evaluation.score is None:
        message = evaluation.fault.message if evaluation.fault else ""
        return f"  BROKE  {evaluation.name}: {message}"
    verdict = "passed" if evaluation.score.passed else "FAILED"
    value = "" if evaluation.score.value is None else f" {evaluation.score.value:.3g}"
    why = f": {evaluation.score.explanation}" if evaluation.score.explanation else ""
    return f"  {verdict} {evaluation.name}{value}{why}"


def _block(title: str, text: str) -> list[str]:
    if not text:
        return []
    if "\n" not in text and len(text) < 90:
        return [f"  {title + ':':<9} {text}"]
    return [f"  {title}:", textwrap.indent(text, "    | ", lambda line: True)]


def _short(trace_id: str | None) -> str:
    return (trace_id or "")[:12]
