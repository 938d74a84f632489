"""Gates: what a line means, and when it is met, missed or cannot be decided."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import DefinitionError, SyntaxMistake, UnknownName, WrongType
from p2re_eval.gates import evaluate, parse_gate
from p2re_eval.records import (
    Evaluation,
    Fault,
    GateSpec,
    GateVerdict,
    Place,
    Result,
    Score,
    Usage,
)

PLACE = Place(path="suites/a.yaml", line=9, column=5)


def run(case: str, outcome: str = "passed", repeat: int = 0, **fields: Any) -> Result:
    given = {"duration_ns": 1_000_000_000, "cost_usd": 0.01, **fields}
    if outcome in {"error", "not_run"}:
        given = {**given, "duration_ns": None, "cost_usd": None}
    return Result(
        experiment_id="e",
        item=f"suites/a.yaml::p::{case}[m#{repeat}]",
        suite="suites/a.yaml",
        prompt="p",
        model="m",
        case_id=case,
        repeat=repeat,
        outcome=outcome,  # type: ignore[arg-type]
        **given,
    )


def many(passed: int, failed: int) -> list[Result]:
    outcomes = ["passed"] * passed + ["failed"] * failed
    return [run(f"c{number}", outcome) for number, outcome in enumerate(outcomes)]


def verdict(text: str, results: list[Result]) -> GateVerdict:
    return evaluate(parse_gate(GateSpec(text=text, place=PLACE)), iter(results))


def score(name: str, value: float | None) -> Evaluation:
    return Evaluation(
        evaluation_id=f"{name}{value}",
        trace_id="t",
        name=name,
        scorer=name,
        scorer_version="1",
        score=None if value is None else Score(value=value, passed=value >= 0.5),
        fault=Fault(kind="scorer", message="broke") if value is None else None,
    )


@pytest.mark.parametrize(
    ("text", "metric", "op", "threshold"),
    [
        ("pass_rate >= 0.9", "pass_rate", ">=", 0.9),
        ("pass_rate>=90%", "pass_rate", ">=", 0.9),
        ("  pass_rate  >  2/3 ", "pass_rate", ">", 2 / 3),
        ("lower_bound(pass_rate) >= 0.8", "lower_bound(pass_rate)", ">=", 0.8),
        ("error_rate == 0", "error_rate", "==", 0),
        ("p95_latency <= 3s", "p95_latency", "<=", 3e9),
        ("p50_latency < 150ms", "p50_latency", "<", 150e6),
        ("max_latency <= 2 min", "max_latency", "<=", 120e9),
        ("max_latency <= 4", "max_latency", "<=", 4e9),
        ("cost_usd <= $0.10", "cost_usd", "<=", 0.1),
        ("cost_usd <= 0.10", "cost_usd", "<=", 0.1),
        ("total_tokens <= 12k", "total_tokens", "<=", 12_000),
        ("case_pass_rate >= 2/3", "case_pass_rate", ">=", 2 / 3),
        ("mean >= 0.7", "mean", ">=", 0.7),
        ("pass^3 >= 0.8", "pass^k", ">=", 0.8),
        ("pass@10 >= 80%", "pass@k", ">=", 0.8),
        ("lower_bound(mean) >= 0.7", "lower_bound(mean)", ">=", 0.7),
        ("pass_rate[tag=refund] >= 0.9", "pass_rate", ">=", 0.9),
    ],
)
def test_a_gate_reads_metric_comparison_and_threshold(
    text: str, metric: str, op: str, threshold: float
) -> None:
    gate = parse_gate(GateSpec(text=text, place=PLACE))
    assert (gate.metric, gate.op, gate.threshold) == (metric, op, pytest.approx(threshold))
    assert gate.place == PLACE


def test_a_mean_names_its_scorer() -> None:
    gate = parse_gate(GateSpec(text="mean(not-contains) >= 0.5"))
    assert (gate.metric, gate.scorer) == ("mean", "not-contains")


@pytest.mark.parametrize(
    ("text", "kind", "what"),
    [
        ("pass^k >= 0.9", SyntaxMistake, "needs a number for k, as in 'pass^3 >= 0.8'"),
        ("pass_rate[refund] >= 0.9", SyntaxMistake, "write for example [tag=refund]"),
        ("pass_rate[tags=x] >= 0.9", UnknownName, "by 'tags'; did you mean 'tag'?"),
        ("pas_rate >= 0.9", UnknownName, "unknown gate 'pas_rate'; did you mean 'pass_rate'?"),
        ("pass_rate", SyntaxMistake, "compares with nothing"),
        ("", UnknownName, "unknown gate ''"),
        ("pass_rate => 0.9", SyntaxMistake, "write '>='"),
        ("pass_rate = 0.9", SyntaxMistake, "write '=='"),
        ("pass_rate != 0.9", SyntaxMistake, "use one of >= > <= < =="),
        ("pass_rate >= 90", WrongType, "outside 0 to 1, where a rate lies; write 90%"),
        ("pass_rate >= 3s", WrongType, "'3s' is no threshold here; write 0.9, 90% or 2/3"),
        ("pass_rate >= 1/0", WrongType, "no threshold"),
        ("pass_rate >= nan", WrongType, "no threshold"),
        ("pass_rate >=", WrongType, "no threshold"),
        ("p95_latency <= 90%", WrongType, "write 3s, 150ms or 2min"),
        ("cost_usd <= -1", WrongType, "below 0"),
        ("case_pass_rate <= 2/3", WrongType, "takes >= or >"),
        ("0.9 <= pass_rate", SyntaxMistake, "names its metric first"),
    ],
)
def test_a_mistake_in_a_gate_is_told_at_its_place(
    text: str, kind: type[DefinitionError], what: str
) -> None:
    with pytest.raises(kind) as caught:
        parse_gate(GateSpec(text=text, place=PLACE))
    assert str(caught.value).startswith("suites/a.yaml:9:5: ")
    assert what in str(caught.value)


def test_an_unknown_gate_lists_the_known_ones() -> None:
    """The mapping form as well."""
    spec = GateSpec(text="never_worse", options={"margin": 0.02}, place=PLACE)
    with pytest.raises(UnknownName, match="unknown gate 'never_worse'; known: case_pass_rate"):
        parse_gate(spec)


def test_a_scorer_nobody_lists_is_refused_when_the_labels_are_known() -> None:
    with pytest.raises(UnknownName, match="unknown scorer 'equal'; did you mean 'equals'"):
        parse_gate(GateSpec(text="mean(equal) >= 1"), scorers=["equals", "contains"])


@pytest.mark.parametrize(("passed", "failed", "met"), [(9, 1, True), (8, 2, False), (10, 0, True)])
def test_pass_rate_meets_its_threshold_exactly(passed: int, failed: int, met: bool) -> None:
    assert verdict("pass_rate >= 0.9", many(passed, failed)).passed is met


@pytest.mark.parametrize(("op", "met"), [(">=", True), (">", False), ("<=", True), ("<", False)])
def test_rounding_does_not_decide(op: str, met: bool) -> None:
    """Ten times one cent is ten cents, although the sum is 0.09999999999999999."""
    assert verdict(f"cost_usd {op} $0.10", many(10, 0)).passed is met


def test_pass_rate_averages_within_the_case_first() -> None:
    """One case with 1 of 3 and one with 1 of 1: 2/3, where runs would say 1/2."""
    results = [run("a"), run("a", "failed", 1), run("a", "failed", 2), run("b")]
    found = verdict("pass_rate >= 0.6", results)
    assert found.passed is True
    assert found.value == pytest.approx(2 / 3)


@pytest.mark.parametrize("outcome", ["error", "unscored", "not_run"])
def test_a_run_without_a_score_is_no_failure(outcome: str) -> None:
    found = verdict("pass_rate >= 1", [run("a"), run("b", outcome)])
    assert (found.passed, found.value) == (True, 1.0)
    words = {"error": "1 errored", "unscored": "1 unscored", "not_run": "1 not run"}
    assert f"(runs: {words[outcome]})" in found.explanation


@pytest.mark.parametrize("metric", ["pass_rate >= 0", "case_pass_rate >= 1/2", "mean >= 0"])
@pytest.mark.parametrize("results", [[], [run("a", "error"), run("b", "not_run")]])
def test_nothing_scored_cannot_be_decided(metric: str, results: list[Result]) -> None:
    found = verdict(metric, results)
    assert found.passed is None
    assert found.explanation.startswith("cannot be decided: ")


def test_pass_rate_explains_itself() -> None:
    """Wilson 95 % for 18 of 20 is 0.699 to 0.972."""
    found = verdict("pass_rate >= 0.95", many(18, 2))
    assert found.explanation == (
        "pass_rate is 0.900 over 20 cases scored, 95 % interval 0.699 to 0.972; misses >= 0.95"
    )
    assert found.place == PLACE
    assert found.suite == "suites/a.yaml"


def test_a_value_just_below_is_told_apart_from_the_threshold() -> None:
    """8999 of 10000 must not read as 0.900."""
    found = verdict("pass_rate >= 0.9", many(8999, 1001))
    assert found.passed is False
    assert "pass_rate is 0.8999 over" in found.explanation


@pytest.mark.parametrize(("threshold", "met"), [("0.69", True), ("0.70", False)])
def test_lower_bound_is_the_wilson_bound(threshold: str, met: bool) -> None:
    assert verdict(f"lower_bound(pass_rate) >= {threshold}", many(18, 2)).passed is met


@pytest.mark.parametrize(
    ("outcomes", "decided"),
    [
        (["passed", "passed", "failed"], True),
        (["passed", "failed", "failed"], False),
        (["passed", "passed", "error"], True),
        (["failed", "failed", "not_run"], False),
        (["passed", "failed", "error"], None),
        (["error", "error", "error"], None),
    ],
)
def test_a_case_is_decided_when_its_missing_repeats_cannot_change_it(
    outcomes: list[str], decided: bool | None
) -> None:
    """2 of 3: two passes decide, two failures decide, one of each with a broken third does not."""
    results = [run("a", outcome, number) for number, outcome in enumerate(outcomes)]
    results += [run("b", "passed", number) for number in range(3)]
    assert verdict("case_pass_rate >= 2/3", results).passed is decided


def test_case_pass_rate_names_the_worst_case() -> None:
    results = [run("a"), run("a", "failed", 1), run("b", "failed"), run("b", "failed", 1)]
    told = verdict("case_pass_rate >= 2/2", results).explanation
    assert told.startswith("2 cases of 2 passed too seldom: b (p, m) with 0/2, ...; misses")


def test_error_rate_counts_broken_runs_among_those_run() -> None:
    results = [run("a"), run("b", "error"), run("c", "unscored"), run("d"), run("e", "not_run")]
    found = verdict("error_rate <= 0.4", results)
    assert (found.passed, found.value) == (False, 0.5)


def test_mean_of_a_scorer_leaves_its_errors_out() -> None:
    results = [
        run("a", evaluations=(score("judge", 0.9),)),
        run("b", evaluations=(score("judge", 0.5),)),
        run("c", "unscored", evaluations=(score("judge", None),)),
    ]
    found = verdict("mean(judge) >= 0.7", results)
    assert (found.passed, found.value) == (True, pytest.approx(0.7))
    assert "(2 scored, 1 scorer errors)" in found.explanation


def test_mean_of_a_scorer_that_never_ran_cannot_be_decided() -> None:
    found = verdict("mean(jugde) >= 0.7", [run("a", evaluations=(score("judge", 1.0),))])
    assert found.passed is None
    assert "no result has a score named 'jugde'; did you mean 'judge'?" in found.explanation


@pytest.mark.parametrize(
    ("gate", "met"),
    [
        ("p50_latency <= 2.5s", True),
        ("p50_latency < 2500ms", False),
        ("p95_latency <= 3.85s", True),
        ("max_latency <= 3.9s", False),
    ],
)
def test_latency_gates_read_the_answered_runs(gate: str, met: bool) -> None:
    """1, 2, 3 and 4 s; the errored run has no latency and does not count."""
    results = [run(f"c{s}", duration_ns=s * 1_000_000_000) for s in (1, 2, 3, 4)]
    assert verdict(gate, [*results, run("x", "error")]).passed is met


def test_an_unknown_cost_is_never_zero() -> None:
    found = verdict("cost_usd <= $1", [run("a"), run("b", cost_usd=None)])
    assert (found.passed, found.value) == (None, None)
    assert found.explanation == "cannot be decided: 1 of 2 answers has no known cost"


def test_a_partial_cost_above_the_limit_decides() -> None:
    """What is known is spent at least, so the limit is missed whatever the rest cost."""
    found = verdict("cost_usd <= $0.01", [run("a", cost_usd=0.05), run("b", cost_usd=None)])
    assert found.passed is False
    assert "at least $0.050" in found.explanation


def test_an_unknown_latency_cannot_pass() -> None:
    assert verdict("p95_latency <= 9s", [run("a"), run("b", duration_ns=None)]).passed is None


def test_token_gates_add_input_and_output() -> None:
    results = [run("a", usage=Usage(input_tokens=700, output_tokens=300))]
    assert verdict("total_tokens <= 1k", results).passed is True
    assert verdict("input_tokens <= 699", results).passed is False
    assert verdict("output_tokens == 300", results).passed is True


def test_unknown_tokens_cannot_be_decided() -> None:
    results = [run("a", usage=Usage(input_tokens=700))]
    assert verdict("total_tokens <= 1k", results).passed is None


def test_a_group_narrows_any_metric() -> None:
    """By tag, case, prompt, model or cluster; patterns may have stars; several must all fit."""
    results = [
        run("refund-1", "failed", tags=("refund",), cluster="c1"),
        run("refund-2", tags=("refund", "de")),
        run("other"),
    ]
    assert verdict("pass_rate[tag=refund] >= 0.5", results).value == 0.5
    assert verdict("pass_rate[tag=refund, case=*-2] >= 1", results).value == 1.0
    assert verdict("pass_rate[cluster=c1] >= 0.1", results).value == 0.0
    assert verdict("cost_usd[prompt=p, model=m] <= 1", results).value == pytest.approx(0.03)
    nothing = verdict("pass_rate[tag=none] >= 0.5", results)
    assert (nothing.passed, nothing.explanation) == (
        None,
        "cannot be decided: there are no results",
    )


def test_pass_hat_k_needs_enough_repeats_of_every_case() -> None:
    """Unbiased from more repeats than k; with fewer it is not known."""
    four = [run("a", "passed" if n else "failed", repeat=n) for n in range(4)]
    assert verdict("pass^2 >= 0.5", four).value == pytest.approx(3 / 6)
    assert verdict("pass@2 >= 0.5", four).value == 1.0
    short = verdict("pass^3 >= 0.5", [*four, run("b")])
    assert short.passed is None
    assert "needs 3 scored repeats of every case, and 1 case of 2 has fewer: b" in short.explanation


def test_the_lower_bound_of_a_mean_is_its_t_interval() -> None:
    """And of a scorer's mean; cluster-robust where cases share a cluster."""
    import scipy.stats

    values = [0.2, 0.9, 0.4, 0.4, 1.0, 0.7]
    results = [run(f"c{n}", value=v, evaluations=(score("near", v),)) for n, v in enumerate(values)]
    low = scipy.stats.ttest_1samp(values, 0).confidence_interval().low
    assert verdict("lower_bound(mean) >= 0.1", results).value == pytest.approx(low)
    assert verdict("lower_bound(mean(near)) >= 0.1", results).value == pytest.approx(low)
    together = [r.model_copy(update={"cluster": "one"}) for r in results[:3]] + results[3:]
    assert verdict("lower_bound(mean) >= 0.1", together).value != pytest.approx(low)


NO_REGRESSION = [
    ({}, 0.02, 0.95, ("pass_rate",), {"regression"}),
    ({"margin": "5%", "confidence": 0.9}, 0.05, 0.9, ("pass_rate",), {"regression"}),
    ({"scorers": "near"}, 0.02, 0.95, ("mean(near)",), {"regression"}),
    ({"scorers": ["pass_rate", "near"], "strict": True}, 0.02, 0.95, ("pass_rate", "mean(near)"),
     {"regression", "insufficient data"}),
    ({"fail_on": ["regression", "no change"]}, 0.02, 0.95, ("pass_rate",),
     {"regression", "no change"}),
]  # fmt: skip


@pytest.mark.parametrize(("options", "margin", "confidence", "metrics", "fails_on"), NO_REGRESSION)
def test_no_regression_reads_its_options(
    options: dict[str, Any],
    margin: float,
    confidence: float,
    metrics: tuple[str, ...],
    fails_on: set[str],
) -> None:
    """From the mapping, and the same from the text that reports show."""
    gate = parse_gate(GateSpec(text="no_regression", options=options), scorers=["near"])
    for found in (gate, parse_gate(GateSpec(text=gate.text), scorers=["near"])):
        assert found.relative is not None
        assert (found.relative.margin, found.relative.confidence) == (margin, confidence)
        assert (found.relative.metrics, found.relative.fails_on) == (metrics, fails_on)


@pytest.mark.parametrize(
    ("options", "kind", "what"),
    [
        ({"margins": 1}, UnknownName, "has no option 'margins'; did you mean 'margin'?"),
        ({"margin": 2}, WrongType, "'margin: 2' must be a share of at least 0 and below 1"),
        ({"margin": "much"}, WrongType, "'margin: much' must be a share"),
        ({"confidence": 0.2}, WrongType, "'confidence: 0.2' must be a share of at least 0.5"),
        ({"scorers": []}, WrongType, "must name scorers"),
        ({"scorers": ["nera"]}, UnknownName, "unknown scorer 'nera'; did you mean 'near'?"),
        ({"fail_on": ["regress"]}, UnknownName, "'fail_on' knows no 'regress'"),
        ({"strict": "yes"}, WrongType, "'strict: yes' must be true or false"),
    ],
)
def test_no_regression_refuses_what_it_cannot_mean(
    options: dict[str, Any], kind: type[DefinitionError], what: str
) -> None:
    """At its place, with what to write."""
    spec = GateSpec(text="no_regression", options=options, place=PLACE)
    with pytest.raises(kind) as raised:
        parse_gate(spec, scorers=["near"])
    assert what in str(raised.value)
    assert str(raised.value).startswith("suites/a.yaml:9:5: ")
