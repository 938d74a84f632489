"""What a gate comes to on the results that are recorded of a suite, and what it was decided on."""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.gates import Gate, decide
from p2re_eval.records import GateVerdict, Result
from p2re_eval.tally import tally


def verdict_of(
    gate: Gate, results: Iterator[Result], *, selected: int, planned: int
) -> GateVerdict:
    """The gate's verdict, and what it was decided on.

    A selected run that left no result (a worker died, the disk was full) or was not made for want
    of money leaves a gate that would have been met undecided: it might have closed it.
    """
    counted = tally(results)
    verdict = decide(gate, counted)
    notes = [verdict.explanation]
    if selected != planned:
        notes.append(f"decided on the {selected} selected of {planned} runs")
    passed = verdict.passed
    if counted.recorded < selected:
        notes.append(f"{selected - counted.recorded} of {selected} selected runs left no result")
    if counted.recorded < selected or counted.unpaid:
        passed = None if passed else passed
    return verdict.model_copy(update={"explanation": "; ".join(notes), "passed": passed})
