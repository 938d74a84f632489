"""``--p2re-baseline REF``: compare with what was recorded or committed before."""

from __future__ import annotations

import json
import textwrap
from typing import Any

import pytest

from p2re_eval.store import open_store

TWENTY = {f"ticket {n}": "billing" for n in range(20)}
GOOD = {".*": "billing"}
BAD = {"ticket [0-7]$": "technical", ".*": "billing"}


def newest(project: Any) -> str:
    with open_store(project.db) as store:
        return store.read_experiment("latest").experiment_id


@pytest.fixture
def measured(project: Any) -> Any:
    """Twenty cases that passed once; now eight of them fail."""
    project.suite(TWENTY, answers=GOOD, more="gates: [no_regression]")
    project.run()
    project.suite(TWENTY, answers=BAD, more="gates: [no_regression]")
    return project


def test_latest_is_the_newest_complete_experiment_of_the_suites(measured: Any) -> None:
    """Eight flips one way are a regression; the report says so first."""
    result = measured.run("--p2re-baseline", "latest")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "suites/support.yaml:*regression: pass_rate went from 100 %*one-sided p 0.005*",
            "FAILED  regression, 1 of 1 gate missed, 12 of 20 runs passed, 8 failed",
            "Flips since latest: 8 worse, of 20 cases",
            "Compared with latest, experiment *",
        ]
    )


def test_an_experiment_of_another_suite_is_no_baseline(measured: Any) -> None:
    """Nor is an interrupted one: only a whole one of these suites compares."""
    measured.suite(TWENTY, name="other", more="gates: [no_regression]")
    result = measured.run("--p2re-baseline", "latest", "suites/other.yaml")
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        ["suites/other.yaml:*incomparable:*no earlier complete experiment*"]
    )


def test_without_a_baseline_the_gate_is_red_and_says_what_to_give(project: Any) -> None:
    """A gate that cannot be evaluated never passes."""
    project.suite(TWENTY, more="gates: [no_regression]")
    result = project.run()
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "UNDECIDED  incomparable, 1 of 1 gate undecided, 20 of 20 runs passed",
            "*? no_regression*incomparable*",
        ]
    )


def test_by_id_and_by_the_ini_file(measured: Any) -> None:
    """The beginning of an id will do; the option is the ini's better."""
    experiment = newest(measured)
    result = measured.run("--p2re-baseline", experiment[:12])
    result.stdout.fnmatch_lines([f"Flips since {experiment[:12]}: 8 worse, of 20 cases"])
    options = f"addopts = -p no:cacheprovider\np2re_baseline = {experiment}\n"
    measured.pytester.makeini(f"[pytest]\n{options}")
    measured.run().stdout.fnmatch_lines([f"Flips since {experiment[:12]}: 8 worse, of 20 cases"])


@pytest.mark.parametrize(
    ("reference", "told"),
    [
        ("0123456789ab", "*no experiment '0123456789ab'*"),
        ("baselines/none.jsonl", "*there is no baseline file; write it with*"),
    ],
)
def test_a_wrong_reference_is_an_error_before_any_call(
    measured: Any, reference: str, told: str
) -> None:
    """Not after an hour of runs."""
    result = measured.run("--p2re-baseline", reference)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([told])


def test_a_regression_that_is_not_sure_passes_unless_strict(project: Any) -> None:
    """Three flips of twenty could be chance: the gate says what would settle it."""
    gates = "gates: [no_regression, {no_regression: {strict: true, margin: 5%}}]"
    project.suite(TWENTY, answers=GOOD, more=gates)
    project.run()
    project.suite(TWENTY, answers={"ticket [0-2]$": "x", ".*": "billing"}, more=gates)
    result = project.run("--p2re-baseline", "latest")
    result.stdout.fnmatch_lines(
        [
            "*✓ no_regression *insufficient data: pass_rate*",
            "*✗ no_regression(strict true, margin 5%) *insufficient data: pass_rate*",
            "FAILED suites/support.yaml::gate?no_regression(strict true, margin 5%)? - *",
        ]
    )
    text = " ".join(result.stdout.str().split())
    assert "a loss of more than 2 points cannot be ruled out; 20 cases show a drop from" in text
    assert "cases would settle it" in text


def test_a_plugin_chooses_when_nobody_said(measured: Any) -> None:
    """A conftest.py next to the suites knows which experiment is the one to beat."""
    measured.write(
        "suites/conftest.py",
        """\
        from p2re_eval import hookimpl

        @hookimpl
        def choose_baseline(experiment, store):
            return "latest"

        @hookimpl
        def experiment_finished(experiment, comparison):
            print(f"told of {comparison.broke} flips")
        """,
    )
    result = measured.run("-s")
    result.stdout.fnmatch_lines(["*told of 8 flips*", "Flips since latest: 8 worse, of 20 cases"])


def test_a_hook_without_the_comparison_still_works(measured: Any) -> None:
    """pluggy hands over what an implementation asks for."""
    measured.write(
        "suites/conftest.py",
        textwrap.dedent(
            """\
            from p2re_eval import hookimpl

            @hookimpl
            def experiment_finished(experiment):
                print("finished", experiment.status)
            """
        ),
    )
    measured.run("-s").stdout.fnmatch_lines(["*finished COMPLETE*"])


def test_the_json_report_carries_the_comparison(measured: Any) -> None:
    """As its schema says."""
    import jsonschema_rs

    from p2re_eval.report import report_schema

    measured.run("--p2re-baseline", "latest", "--p2re-report", "report.json")
    told = json.loads((measured.path / "report.json").read_text())
    jsonschema_rs.validate(report_schema(), told)
    assert (told["comparison"]["broke"], told["comparison"]["cases"]) == (8, 20)
    assert told["experiment"]["verdicts"][0]["judgement"] == "regression"


def test_xdist_decides_the_same(measured: Any) -> None:
    """The controller compares what the workers ran."""
    result = measured.run("--p2re-baseline", "latest", "-n", "2", subprocess=True)
    result.stdout.fnmatch_lines(
        ["Flips since latest: 8 worse, of 20 cases", "*✗ no_regression*regression:*"]
    )
