"""A gate's verdict on results that are in."""

from __future__ import annotations

from collections.abc import Iterable

from p2re_eval.gates.gate import Gate
from p2re_eval.gates.metrics import METRICS, Reading, decided_early
from p2re_eval.records import GateVerdict, Result
from p2re_eval.tally import Tally


def evaluate(gate: Gate, results: Iterable[Result]) -> GateVerdict:
    """The gate's verdict on these results, in one pass over them."""
    counted = Tally()
    suites: dict[str, None] = {}
    for result in results:
        suites.setdefault(result.suite)
        if gate.selects(result):
            counted.add(result)
    return decide(gate, counted, suite=", ".join(suites))


def decide(gate: Gate, counted: Tally, *, suite: str = "") -> GateVerdict:
    """The gate's verdict on results that are counted already."""
    reading = METRICS[gate.metric].read(counted, gate)
    passed = reading.passed
    if passed is None and reading.value is not None:
        passed = gate.holds(reading.value)
    if passed is None and reading.at_least is not None:
        passed = decided_early(gate, reading.at_least)
    left_out = _left_out(counted)
    return GateVerdict(
        gate=gate.text,
        suite=suite,
        passed=passed,
        value=reading.value,
        explanation=f"{_sentence(gate, reading, passed)}{left_out}",
        place=gate.place,
    )


def _sentence(gate: Gate, reading: Reading, passed: bool | None) -> str:
    if passed is None:
        return f"cannot be decided: {reading.told}"
    word = "meets" if passed else "misses"
    return f"{reading.told}; {word} {gate.wanted}"


def _left_out(counted: Tally) -> str:
    """The runs that do not count: `` (runs: 2 errored, 1 not run)``."""
    outcomes = counted.outcomes
    found = [
        (outcomes["error"], "errored"),
        (outcomes["unscored"], "unscored"),
        (counted.unpaid, "not run"),
        (counted.stopped_early, "stopped early"),
        (counted.quarantined.total(), "in quarantine"),
    ]
    parts = [f"{number:,} {word}" for number, word in found if number]
    return f" (runs: {', '.join(parts)})" if parts else ""
