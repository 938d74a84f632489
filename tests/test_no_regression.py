"""What a comparison comes to: the five judgements, and what the gate makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from p2re_eval.compare import match, sample_of
from p2re_eval.gates import NoRegression, decide_regression, judge_delta, parse_gate
from p2re_eval.records import (
    Delta,
    Evaluation,
    Experiment,
    GateSpec,
    GateVerdict,
    Result,
    Score,
)


def delta(difference: float, low: float, p: float) -> Delta:
    names = {"suite": "s", "prompt": "p", "model": "m", "metric": "pass_rate", "cases": 50}
    return Delta(**names, difference=difference, low=low, high=difference, p_adjusted=p)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "judgement"),
    [
        (delta(-0.10, -0.20, 0.01), "regression"),
        (delta(-0.10, -0.20, 0.06), "insufficient data"),
        (delta(-0.019, -0.03, 0.01), "insufficient data"),
        (delta(-0.019, -0.0199, 0.01), "no change"),
        (delta(0.10, 0.02, 0.01), "improved"),
        (delta(0.01, -0.01, 0.5), "no change"),
        (delta(0.00, -0.02, 1.0), "insufficient data"),
    ],
)
def test_the_judgements(found: Delta, judgement: str) -> None:
    """Margin 2 points, 95 %: a drop within the margin is none, a drop not sure is not one yet."""
    assert judge_delta(found, NoRegression()) == judgement


def test_one_case_is_no_data() -> None:
    assert judge_delta(delta(0, 0, 0).model_copy(update={"low": None}), NoRegression()) == (
        "insufficient data"
    )


def results(
    passed: Sequence[float], *, prompt: str = "p", repeats: int = 1, **given: Any
) -> list[Result]:
    """A case for each share; of its repeats that share passes."""
    return [
        result(f"case-{number}", share * repeats > repeat, repeat, prompt, given)
        for number, share in enumerate(passed)
        for repeat in range(repeats)
    ]


def result(case: str, passed: bool, repeat: int, prompt: str, given: dict[str, Any]) -> Result:
    evaluation = Evaluation(
        evaluation_id="e",
        trace_id="t",
        name="equals",
        scorer="equals",
        scorer_version="1",
        score=Score(value=float(passed), passed=passed),
    )
    return Result(
        **{
            "experiment_id": "e",
            "item": case,
            "suite": "s",
            "prompt": prompt,
            "model": "m",
            "case_id": case,
            "repeat": repeat,
            "outcome": "passed" if passed else "failed",
            "value": float(passed),
            "evaluations": (evaluation,),
            **given,
        }
    )


def decided(before: list[Result], after: list[Result], **options: Any) -> GateVerdict:
    gate = parse_gate(GateSpec(text="no_regression", options=options))
    experiment = Experiment(experiment_id="e", name="e", started_ns=0)
    sides = (sample_of(experiment, side, label="then") for side in (before, after))
    return decide_regression(gate, match(*sides), suite="s")


def test_five_new_failures_and_no_new_pass_are_a_regression() -> None:
    """The first that an exact one-sided test believes."""
    good = results([1] * 20)
    assert decided(good, results([0] * 5 + [1] * 15)).judgement == "regression"
    four = decided(good, results([0] * 4 + [1] * 16))
    assert (four.judgement, four.passed) == ("insufficient data", True)


def test_several_comparisons_share_the_confidence() -> None:
    """Five flips in one of three prompts are no longer enough; ten still are."""
    good = [r for p in "abc" for r in results([1] * 20, prompt=p)]
    rest = [r for p in "bc" for r in results([1] * 20, prompt=p)]
    five = [*results([0] * 5 + [1] * 15, prompt="a"), *rest]
    ten = [*results([0] * 10 + [1] * 10, prompt="a"), *rest]
    assert decided(good, five).judgement == "insufficient data"
    verdict = decided(good, ten)
    assert verdict.judgement == "regression"
    assert "pass_rate of a on m went from 100 % to 50.0 %" in verdict.explanation
    assert "among 3" in verdict.explanation
    assert "insufficient data in 2 of 3 comparisons" in verdict.explanation
    assert [d.family for d in verdict.deltas] == [3, 3, 3]


def test_repeats_are_averaged_within_the_case() -> None:
    """Three repeats of twelve cases: a drop of twelve cases, not of 36 runs."""
    verdict = decided(
        results([1] * 12, repeats=3), results([2 / 3, 1 / 3] * 6, repeats=3), scorers="equals"
    )
    assert verdict.judgement == "regression"
    assert verdict.deltas[0].cases == 12
    assert "mean(equals) went from 1.00 to 0.50" in verdict.explanation


def test_insufficient_data_says_what_would_settle_it() -> None:
    """The smallest drop that so many cases show, and how many cases or repeats it takes."""
    wavering = results([2 / 3] * 40, repeats=3)
    shuffled = results([1, 1 / 3] * 20, repeats=3)
    told = decided(wavering, shuffled).explanation
    assert told.startswith("insufficient data: pass_rate went from 66.7 % to 66.7 % (0 points")
    assert "a loss of more than 2 points cannot be ruled out; 40 cases show a drop from" in told
    assert "cases would settle it" in told


def test_strict_fails_what_is_not_known() -> None:
    """And `fail_on` may name any judgement."""
    good = results([1] * 20)
    assert decided(good, good).passed is True
    assert decided(good, good, strict=True).passed is False
    assert decided(good, good, margin=0.3).judgement == "no change"
    assert decided(good, good, margin=0.3, fail_on=["no change"]).passed is False


def test_what_cannot_be_compared_is_red_with_the_reason() -> None:
    """Another scorer, another row, or nothing at all."""
    old, new = results([1] * 9, rules_hash="a" * 64), results([1] * 9, rules_hash="b" * 64)
    changed = decided(old, new)
    assert (changed.passed, changed.judgement) == (None, "incomparable")
    assert "a weight or the threshold changed (9 cases)" in changed.explanation
    rows = decided(results([1], row_hash="a" * 64), results([1], row_hash="b" * 64))
    assert "the dataset row changed (1 case)" in rows.explanation
    assert decided([], results([1])).passed is None


def test_new_cases_are_named_and_do_not_decide() -> None:
    """The rest is compared."""
    verdict = decided(results([1] * 20), results([1] * 25), margin="30%")
    assert verdict.judgement == "no change"
    assert "5 cases not in then" in verdict.explanation


def test_the_same_recorded_runs_are_no_change_whatever_their_number() -> None:
    """Nothing that was asked changed, so nothing can have fallen; judged otherwise, it can."""
    same = results([1, 0], trace_id="t")
    assert decided(same, same).judgement == "no change"
    assert "all 2 cases are the very same runs" in decided(same, same).explanation
    other = results([0, 1], trace_id="t")
    assert decided(same, other).judgement == "insufficient data"


def test_clusters_widen_the_interval() -> None:
    """Twenty cases of two documents are nearly two cases."""
    clusters = [f"document-{number // 10}" for number in range(20)]

    def with_clusters(shares: list[float]) -> list[Result]:
        return [
            one.model_copy(update={"cluster": cluster})
            for one, cluster in zip(results(shares), clusters, strict=True)
        ]

    verdict = decided(with_clusters([1] * 20), with_clusters([0] * 10 + [1] * 10))
    assert verdict.judgement == "insufficient data"
    assert verdict.deltas[0].method.startswith("cluster-robust t")
