"""Why a case failed or broke, as pytest prints it."""

from __future__ import annotations

import textwrap

from _pytest._code.code import (
    ReprEntryNative,
    ReprExceptionInfo,
    ReprFileLocation,
    ReprTraceback,
    TerminalRepr,
)

from p2re_eval.records import Evaluation, Place, Result


def explain_failure(result: Result, *, threshold: float | None = None) -> str:
    """The input, the answer, what was expected, and each scorer's word; ``threshold`` is what the
    weighted mean had to reach, where it decides."""
    lines = [f"{result.place}: the model answered badly" if result.place else "answered badly"]
    lines += _block("input", result.inputs_preview)
    lines += _block("output", result.output_preview or "(empty)")
    lines += _block("expected", result.expected_preview)
    lines += ["", *_scores(result)]
    if threshold is not None:
        lines.append(f"  FAILED {_mean_below(result, threshold)}")
    lines += ["", f"trace: p2re traces show {result.trace_id}"]
    return "\n".join(lines)


def _mean_below(result: Result, threshold: float) -> str:
    return f"weighted mean {result.value or 0:.4g} is below the threshold {threshold:g}"


def failure_reason(result: Result, *, threshold: float | None = None) -> str:
    """One line: the scorers that did not accept the answer, and what the first of them said."""
    if threshold is not None:
        return _mean_below(result, threshold)
    failed = [e for e in result.evaluations if e.score is not None and not e.score.passed]
    if not failed:
        return "the model answered badly"
    names = ", ".join(evaluation.name for evaluation in failed)
    score = failed[0].score
    why = (score.explanation if score is not None and score.explanation else "").splitlines()
    return f"{names}: {why[0]}" if why else f"{names} did not accept the answer"


def as_failure(text: str, reason: str, place: Place | None) -> TerminalRepr:
    """``text`` as pytest shows a failure; summaries, CI and JUnit say ``reason`` in one line."""
    where = ReprFileLocation(place.path if place else "", place.line if place else 0, reason)
    traceback = ReprTraceback([ReprEntryNative([f"{text}\n"])], extraline=None, style="native")
    return ReprExceptionInfo(reprtraceback=traceback, reprcrash=where)


def broken_reason(result: Result) -> str:
    """One line: the provider's word, or that of the first scorer that broke."""
    if result.fault is not None:
        return f"{result.model}: {result.fault.message.removeprefix(f'{result.model}: ')}"
    faults = [e.fault.message for e in result.evaluations if e.fault is not None]
    return f"a scorer broke: {faults[0]}" if faults else "not scored"


def explain_broken(result: Result) -> str:
    """Which part of the machine broke: the provider, or a scorer."""
    place = f"{result.place}: " if result.place else ""
    if result.fault is not None:
        tries = f" after {result.fault.attempts} attempts" if result.fault.attempts > 1 else ""
        message = result.fault.message.removeprefix(f"{result.model}: ")
        return f"{place}{result.model} gave no answer{tries} ({result.fault.kind}): {message}"
    lines = [f"{place}not scored, because a scorer broke", *_scores(result)]
    lines += _block("output", result.output_preview or "(empty)")
    lines += ["", f"trace: p2re traces show {result.trace_id}"]
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
