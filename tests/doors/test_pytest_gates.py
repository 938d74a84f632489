"""Gates decide the experiment; under them a single bad answer does not fail the run."""

from __future__ import annotations

from typing import Any

from p2re_eval.gates import parse_gate
from p2re_eval.gates.verdicts import verdict_of
from p2re_eval.records import GateSpec

TEN = {f"ticket {n}": "billing" for n in range(9)} | {"odd one": "technical"}


def test_a_gate_that_holds_keeps_the_run_green_and_misses_are_shown(project: Any) -> None:
    """Nine of ten pass: the miss is an f, the gate a dot, the exit code 0."""
    project.suite(TEN, more="gates: [pass_rate >= 0.9]")
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["suites/support.yaml .........f.*", "PASSED  1 gate met, 9 of 10 runs passed, 1 failed"]
    )
    result.stdout.fnmatch_lines(["*10 passed, 1 missed*"])
    assert sorted(r.outcome for r in project.results()) == ["failed"] + ["passed"] * 9


def test_a_gate_that_does_not_hold_is_a_failure_on_its_line(project: Any) -> None:
    """The gate is the failed item; it says the value, the threshold and the interval."""
    project.suite(TEN, more="gates:\n  - pass_rate >= 0.95")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*suites/support.yaml:*pass_rate*0.9*",
            "FAILED suites/support.yaml::gate?pass_rate >= 0.95?*",
        ]
    )


def test_without_a_scored_case_a_gate_is_red(project: Any) -> None:
    """Errors are not zeros: nothing scored means nothing decided, and that never passes."""
    project.suite(
        {"x": "billing"}, more="gates: [pass_rate >= 0]", extra={"error": "authentication"}
    )
    result = project.run()
    result.assert_outcomes(errors=1, failed=1)


def test_a_gate_on_a_partial_selection_says_so(project: Any) -> None:
    """One of ten selected: the verdict holds for what was selected."""
    project.suite(TEN, more="gates: [pass_rate >= 0.99]")
    result = project.run("-k", "case-9 or gate")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*decided on the 1 selected of 10 runs*"])


def test_a_gate_selected_alone_runs_its_suite(project: Any) -> None:
    """--lf on a failed gate has something to decide on."""
    project.suite(TEN, more="gates: [pass_rate >= 0.9]")
    project.run("suites/support.yaml::gate[pass_rate >= 0.9]").assert_outcomes(passed=1)
    assert len(project.results()) == 10


def test_verdicts_are_stored_with_the_experiment(project: Any) -> None:
    """Record and decide are separate: what was decided can be read again."""
    from p2re_eval.store import open_store

    project.suite(TEN, more="gates: [pass_rate >= 0.95]")
    project.run()
    with open_store(project.db) as store:
        experiment = store.read_experiment("latest")
    assert [(v.gate, v.passed) for v in experiment.verdicts] == [("pass_rate >= 0.95", False)]
    assert experiment.status == "COMPLETE"
    assert experiment.planned == 10


def test_on_github_each_miss_is_annotated_at_its_line(project: Any, monkeypatch: Any) -> None:
    """The pull request shows it beside the case in the suite file."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(project.path))
    project.suite(TEN, more="gates:\n  - pass_rate >= 0.95")
    project.run().stdout.fnmatch_lines(
        [
            "::error file=suites/support.yaml,line=8,title=gate missed%3A pass_rate >= 0.95::*",
            "::warning file=suites/support.yaml,line=37,title=case-9 failed (route%2C scripted/*",
        ]
    )


def test_a_gate_is_not_met_while_selected_runs_left_no_result(project: Any) -> None:
    """What is left may be all good and proves nothing; what is left and bad still closes it."""
    project.suite(TEN)
    project.run()
    results = project.results()
    met, closed = (parse_gate(GateSpec(text=f"pass_rate >= {rate}")) for rate in ("0.5", "1"))
    undecided = verdict_of(met, iter(results[:8]), selected=10, planned=10)
    assert undecided.passed is None
    assert undecided.explanation.endswith("; 2 of 10 selected runs left no result")
    assert verdict_of(closed, iter(results[1:]), selected=10, planned=10).passed is False
