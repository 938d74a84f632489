"""What a summary counts, and what the headline makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.records import Result
from p2re_eval.report import headline, summarize


def test_outcomes_stay_apart(mixed: Any) -> None:
    counts = summarize(iter(mixed.results)).figures.counts
    assert counts.model_dump() == {
        "passed": 2,
        "failed": 3,
        "error": 1,
        "unscored": 1,
        "not_run": 1,
    }


def test_pass_rate_is_over_scored_cases_only(mixed: Any) -> None:
    """double-charge 1/2, late-parcel 0/2, late-parcel of the other model 1/1: 0.5 of 3."""
    rate = summarize(iter(mixed.results)).figures.pass_rate
    assert rate is not None
    assert (rate.rate, rate.n) == (0.5, 3)


def test_each_prompt_and_model_has_its_row(mixed: Any) -> None:
    rows = summarize(iter(mixed.results)).rows
    assert [(row.prompt, row.model, row.figures.cases) for row in rows] == [
        ("route", "local/smollm2", 4),
        ("route", "openai/small", 2),
    ]
    score = rows[0].figures.scores[0]
    assert (score.name, score.mean, score.scored, score.errored) == ("equals", 1.0, 1, 1)


def test_unknown_cost_is_counted_and_never_added_as_zero(mixed: Any) -> None:
    figures = summarize(iter(mixed.results)).figures
    assert figures.cost_usd.value == pytest.approx(0.005)
    assert figures.cost_usd.unknown == 1
    assert figures.live_cost_usd.value == pytest.approx(0.004)


def test_tokens_nobody_told_are_unknown(made: Any) -> None:
    made.add("a", usage=Result.model_fields["usage"].default)
    tokens = summarize(iter(made.results)).figures.input_tokens
    assert (tokens.value, tokens.unknown) == (None, 1)


def test_sources_count_the_answers(mixed: Any) -> None:
    sources = summarize(iter(mixed.results)).figures.sources
    assert sources.model_dump() == {"live": 5, "cache": 1, "replay": 0}


def test_a_case_whose_repeats_disagree_is_flaky(mixed: Any) -> None:
    summary = summarize(iter(mixed.results))
    assert summary.flaky_cases == 1
    assert [(c.case_id, c.passed, c.scored) for c in summary.flaky] == [("double-charge", 1, 2)]


def test_misses_come_once_a_case_failed_first(mixed: Any) -> None:
    summary = summarize(iter(mixed.results))
    assert [(m.result.case_id, m.result.outcome, m.missed, m.repeats) for m in summary.misses] == [
        ("double-charge", "failed", 1, 2),
        ("late-parcel", "failed", 2, 2),
        ("broken", "error", 1, 1),
        ("judge-broke", "unscored", 1, 1),
    ]
    assert summary.missed_cases == 4


def test_misses_are_bounded_and_counted_all(made: Any) -> None:
    for number in range(120):
        made.add(f"c{number}", "failed")
    summary = summarize(iter(made.results))
    assert (len(summary.misses), summary.missed_cases) == (50, 120)


def test_no_results_make_an_empty_summary() -> None:
    summary = summarize(iter([]))
    assert (summary.rows, summary.figures.pass_rate, summary.figures.cost_usd.value) == (
        (),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("outcomes", "gates", "word", "passed"),
    [
        (["passed"], [], "PASSED", True),
        (["passed", "failed"], [], "FAILED", False),
        (["passed", "failed"], [True], "PASSED", True),
        (["passed", "failed"], [False], "FAILED", False),
        (["passed"], [None], "UNDECIDED", None),
        (["passed"], [None, False], "FAILED", False),
        (["passed", "error"], [True], "BROKEN", None),
        (["passed", "unscored"], [], "BROKEN", None),
        (["passed", "not_run"], [], "INCOMPLETE", None),
        (["error"], [], "NOTHING SCORED", None),
        ([], [], "NOTHING SCORED", None),
    ],
)
def test_the_headline_is_green_only_when_nothing_is_open(
    made: Any, outcomes: list[str], gates: list[bool | None], word: str, passed: bool | None
) -> None:
    """Gates decide where a suite has them; what broke or did not run is never green."""
    for number, outcome in enumerate(outcomes):
        made.add(f"c{number}", outcome)
    for gate in gates:
        made.gate("pass_rate >= 0.5", gate)
    found = headline(made.experiment, summarize(iter(made.results)))
    assert (found.word, found.passed) == (word, passed)


def test_planned_runs_without_a_result_are_not_run(made: Any) -> None:
    made.add("a")
    experiment = made.experiment.model_copy(update={"planned": 5})
    found = headline(experiment, summarize(iter(made.results)))
    assert (found.word, found.why) == ("INCOMPLETE", "1 of 5 runs passed, 4 not run")


def test_an_interrupted_experiment_is_never_green(made: Any) -> None:
    made.add("a")
    experiment = made.experiment.model_copy(update={"status": "INTERRUPTED"})
    assert headline(experiment, summarize(iter(made.results))).word == "INCOMPLETE"
