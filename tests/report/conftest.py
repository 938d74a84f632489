"""An experiment of two models, with every outcome, and the traces behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from p2re_eval.records import (
    Completion,
    Evaluation,
    Experiment,
    Fault,
    GateVerdict,
    Message,
    ModelSettings,
    Place,
    RenderedPrompt,
    Result,
    Revision,
    Score,
    Trace,
    Usage,
)

SUITE = "suites/support.yaml"


@dataclass
class Made:
    """An experiment in the making."""

    results: list[Result] = field(default_factory=list)
    traces: dict[str, Trace] = field(default_factory=dict)
    experiment: Experiment = field(
        default_factory=lambda: Experiment(
            experiment_id="0" * 31 + "1",
            name="support",
            started_ns=1_764_000_000_000_000_000,
            ended_ns=1_764_000_012_000_000_000,
            status="COMPLETE",
            revision=Revision(commit="1a2b3c4d5e6f7a8b", branch="main", dirty=True),
            settings={"args": ["--p2re", "suites/support.yaml", "-k", "refund or late"]},
        )
    )

    def add(
        self,
        case: str,
        outcome: str = "passed",
        *,
        repeat: int = 0,
        model: str = "openai/small",
        text: str = "billing",
        told: str | None = None,
        **fields: Any,
    ) -> Result:
        number = len(self.results) + 1
        trace_id = f"{number:032x}"
        answered = outcome in {"passed", "failed", "unscored"}
        if answered:
            judged = None if outcome == "unscored" else outcome == "passed"
            fields.setdefault("evaluations", (equals(trace_id, judged, told),))
            fields.setdefault("usage", Usage(input_tokens=100, output_tokens=20))
            fields.setdefault("cost_usd", 0.001)
            fields.setdefault("duration_ns", number * 100_000_000)
        elif outcome == "error":
            fields.setdefault("fault", Fault(kind="timeout", message="no answer", attempts=3))
        result = Result(
            experiment_id=self.experiment.experiment_id,
            item=f"{SUITE}::route::{case}[{model}#{repeat}]",
            suite=SUITE,
            prompt="route",
            prompt_version="ab" * 32,
            model=model,
            case_id=case,
            repeat=repeat,
            position=number,
            outcome=outcome,  # type: ignore[arg-type]
            trace_id=trace_id if outcome != "not_run" else None,
            inputs_preview="I was charged twice.",
            output_preview=text[:500] if answered else "",
            expected_preview="billing",
            place=Place(path=SUITE, line=number),
            **fields,
        )
        self.results.append(result)
        if result.trace_id:
            self.traces[trace_id] = trace(result, text if answered else None)
        return result

    def gate(self, text: str, passed: bool | None, explanation: str = "because") -> None:
        verdict = GateVerdict(gate=text, suite=SUITE, passed=passed, explanation=explanation)
        verdicts = (*self.experiment.verdicts, verdict)
        self.experiment = self.experiment.model_copy(update={"verdicts": verdicts})


def equals(trace_id: str, passed: bool | None, told: str | None) -> Evaluation:
    score = None
    if passed is not None:
        told = told or (None if passed else "expected 'billing', got 'technical'")
        score = Score(value=float(passed), passed=passed, explanation=told)
    return Evaluation(
        evaluation_id=f"e{trace_id}",
        trace_id=trace_id,
        name="equals",
        scorer="equals",
        scorer_version="1",
        score=score,
        fault=None if score else Fault(kind="scorer", message="the scorer raised KeyError"),
    )


def trace(result: Result, text: str | None) -> Trace:
    messages = (
        Message(role="system", content="You route tickets."),
        Message(role="user", content="I was charged twice."),
    )
    model = ModelSettings(provider="openai", name="small")
    return Trace(
        trace_id=str(result.trace_id),
        span_id="1" * 16,
        name="route",
        start_ns=0,
        prompt=RenderedPrompt(name="route", messages=messages, model=model),
        completion=None if text is None else Completion(text=text, model="small-2026"),
        fault=result.fault,
    )


@pytest.fixture
def made() -> Made:
    """Empty, to be filled by the test."""
    return Made()


@pytest.fixture
def mixed(made: Made) -> Made:
    """Two models: one of every outcome, a flaky case, a tag, an answer from the cache."""
    made.add("double-charge", tags=("refund",))
    made.add("double-charge", "failed", repeat=1, text="technical", tags=("refund",))
    made.add("late-parcel", "failed", text="technical")
    made.add("late-parcel", "failed", repeat=1, text="technical")
    made.add("broken", "error", model="local/smollm2")
    made.add("judge-broke", "unscored", model="local/smollm2", cost_usd=None)
    made.add("late-parcel", model="local/smollm2", source="cache")
    made.add("stopped", "not_run", model="local/smollm2")
    made.gate("pass_rate >= 0.9", False, "pass_rate is 0.500; misses >= 0.9")
    made.gate("p95_latency <= 3s", True, "p95_latency is 0.7 s; meets <= 3s")
    return made


@pytest.fixture
def page(tmp_path: Any) -> Callable[[Made], str]:
    """The HTML report of an experiment, as the file holds it."""
    from p2re_eval.report import write_report

    def write(made: Made) -> str:
        path = tmp_path / "report.html"
        write_report(path, made.experiment, lambda: iter(made.results), made.traces.__getitem__)
        return path.read_text(encoding="utf-8")

    return write
