"""What a gate comes to on the results that are recorded of a suite, and what it was decided on."""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.gates import Gate, decide
from p2re_eval.records import GateVerdict, Result
from p2re_eval.tally import Tally


def verdict_of(
    gate: Gate, results: Iterator[Result], *, selected: int, planned: int
) -> GateVerdict:
    """The gate's verdict, and what it was decided on.

    A selected run that left no result (a worker died, the disk was full) or was not made for want
    of money leaves a gate that would have been met undecided: it might have closed it.
    """
    counted, runs = Tally(), 0
    for result in results:
        runs += 1
        if gate.selects(result):
            counted.add(result)
    verdict = decide(gate, counted)
    notes = [verdict.explanation]
    if selected != planned:
        notes.append(f"decided on the {selected} selected of {planned} runs")
    passed = verdict.passed
    if runs < selected:
        notes.append(f"{selected - runs} of {selected} selected runs left no result")
    if runs < selected or counted.unpaid:
        passed = None if passed else passed
    return verdict.model_copy(update={"explanation": "; ".join(notes), "passed": passed})


def partial_text(selected: int, planned: int) -> str:
    """What a comparison says when not everything was selected; "" when it was."""
    if selected >= planned:
        return ""
    return f"only the {selected:,} selected of {planned:,} runs are compared"
