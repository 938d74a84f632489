"""Results with everything a test does not care about filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from p2re_eval.records import Evaluation, Result, Score

Make = Callable[..., Result]


@pytest.fixture
def result() -> Make:
    """A result of case ``id``; ``passed`` decides outcome, value and the one scorer's verdict."""

    def make(
        case_id: str,
        passed: bool | None = True,
        *,
        value: float | None = None,
        scorer_version: str = "1" * 64,
        kind: str = "CODE",
        **given: Any,
    ) -> Result:
        number = 1.0 if passed else 0.0
        outcome = {True: "passed", False: "failed", None: "error"}[passed]
        score = Score(
            value=number if value is None else value, passed=passed, explanation="as it is"
        )
        evaluation = Evaluation(
            evaluation_id="e",
            trace_id="t",
            name="equals",
            scorer="equals",
            scorer_version=scorer_version,
            kind=kind,  # type: ignore[arg-type]
            score=score,
        )
        return Result(
            **{
                "experiment_id": "e" * 32,
                "item": f"s.yaml::route::{case_id}",
                "suite": "suites/s.yaml",
                "prompt": "route",
                "prompt_version": "a" * 64,
                "model": "local/m",
                "case_id": case_id,
                "outcome": outcome,
                "value": None if passed is None else score.value,
                "evaluations": () if passed is None else (evaluation,),
                "row_hash": f"{case_id:0>64}",
                "rules_hash": "b" * 64,
                "output_preview": f"answer of {case_id}: {passed}",
                **given,
            }
        )

    return make
