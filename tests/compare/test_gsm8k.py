"""Four models' answers to the same 200 questions of GSM8K, imported as experiments."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import scipy.stats

from p2re_eval.compare import compare, match, recorded
from p2re_eval.gates import decide_regression, parse_gate
from p2re_eval.records import Evaluation, Experiment, GateSpec, Result, Score
from p2re_eval.store import Store, open_store

DATA = Path(__file__).parents[2] / ".." / "shared" / "data" / "gsm8k_four_models_first200.jsonl"
MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    if not DATA.exists():
        pytest.skip("the shared test data is not beside the repository")
    return [json.loads(line) for line in DATA.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def store(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A database with one experiment for each model."""
    with open_store(tmp_path_factory.mktemp("gsm8k") / "runs.db") as opened:
        for model in MODELS:
            opened.start_experiment(Experiment(experiment_id=model, name=model, started_ns=1))
            for number, row in enumerate(rows):
                result = imported(model, number, row)
                saved = opened.save_result(result, result.evaluations)
            saved.result()
        yield opened


def imported(model: str, number: int, row: dict[str, Any]) -> Result:
    answer = row[model]
    trace_id = f"{model}-{number}"
    score = Score(value=float(answer["is_correct"]), passed=answer["is_correct"])
    evaluation = Evaluation(
        evaluation_id=trace_id,
        trace_id=trace_id,
        name="is_correct",
        scorer="is_correct",
        scorer_version="1",
        score=score,
        experiment_id=model,
    )
    return Result(
        experiment_id=model,
        item=trace_id,
        suite="gsm8k",
        prompt="solve",
        model=f"openai/{model}",
        case_id=f"question-{number}",
        position=number,
        outcome="passed" if answer["is_correct"] else "failed",
        value=score.value,
        trace_id=trace_id,
        evaluations=(evaluation,),
        inputs_preview=row["question"][:500],
        output_preview=answer["solution"][:500],
    )


PAIRS = list(itertools.combinations(MODELS, 2))


@pytest.mark.parametrize(("older", "newer"), PAIRS)
def test_flips_and_p_are_those_of_the_data(
    store: Store, rows: list[dict[str, Any]], older: str, newer: str
) -> None:
    """Counted by hand from the file; p by scipy's binomial test."""
    broke = {n for n, r in enumerate(rows) if r[older]["is_correct"] > r[newer]["is_correct"]}
    fixed = {n for n, r in enumerate(rows) if r[older]["is_correct"] < r[newer]["is_correct"]}
    found = compare(*(recorded(store, store.read_experiment(name)) for name in (older, newer)))
    assert (found.cases, found.broke, found.fixed) == (200, len(broke), len(fixed))
    told = {(flip.case_id, flip.worse) for flip in found.flips}
    assert told == {(f"question-{n}", True) for n in broke} | {
        (f"question-{n}", False) for n in fixed
    }
    delta = found.deltas[0]
    expected = scipy.stats.binomtest(len(broke), len(broke) + len(fixed)).pvalue
    assert delta.p_value == pytest.approx(expected, rel=1e-10)
    assert delta.difference == pytest.approx((len(fixed) - len(broke)) / 200)
    assert delta.low is not None
    assert delta.high is not None
    near = scipy.stats.ttest_1samp(
        [-1] * len(broke) + [1] * len(fixed) + [0] * (200 - len(broke) - len(fixed)), 0
    ).confidence_interval()
    assert (delta.low, delta.high) == pytest.approx((near.low, near.high), abs=0.006)
    first = found.flips[0]
    assert first.before_output
    assert first.before_output != first.after_output


def judged(store: Store, older: str, newer: str, margin: str) -> tuple[str | None, bool | None]:
    sides = [recorded(store, store.read_experiment(name)) for name in (older, newer)]
    gate = parse_gate(GateSpec(text="no_regression", options={"margin": margin}))
    verdict = decide_regression(gate, match(*sides))
    return verdict.judgement, verdict.passed


def test_the_verifier_is_a_real_improvement_and_its_loss_a_regression(store: Store) -> None:
    """6b: verification against finetuning, both ways round."""
    assert judged(store, "6b_finetuning", "6b_verification", "2%") == ("improved", True)
    assert judged(store, "6b_verification", "6b_finetuning", "2%") == ("regression", False)


def test_a_tie_is_no_significant_change_and_its_flips_are_shown(store: Store) -> None:
    """A small verified model and a large finetuned one: they differ on many questions, but not one
    way. With a wide margin that is no change, with a narrow one not enough data to say so."""
    sides = [recorded(store, store.read_experiment(name)) for name in TIE]
    found = compare(*sides)
    assert min(found.broke, found.fixed) >= 20
    assert found.deltas[0].p_value is not None
    assert found.deltas[0].p_value > 0.05
    assert len(found.flips) == found.broke + found.fixed
    assert judged(store, *TIE, "20%") == ("no change", True)
    assert judged(store, *TIE, "1%") == ("insufficient data", True)


TIE = ("6b_verification", "175b_finetuning")
