"""Repeats that cannot change a case's k-of-n verdict are left out, and counted as money saved."""

from __future__ import annotations

from typing import Any

import pytest

K_OF_N = "repeat: 5\ngates: [case_pass_rate >= 3/5]"


def _outcomes(project: Any) -> list[str]:
    return [result.outcome for result in project.results()]


def test_a_case_stops_when_its_verdict_is_decided(project: Any) -> None:
    """Three good of five decide as three bad do; two of each are not needed."""
    project.suite({"good": "billing", "bad": "technical"}, more=K_OF_N)
    result = project.run()
    assert _outcomes(project) == [
        *["passed"] * 3,
        *["not_run"] * 2,
        *["failed"] * 3,
        *["not_run"] * 2,
    ]
    result.assert_outcomes(passed=3, skipped=4, failed=1)
    result.stdout.fnmatch_lines(
        ["FAILED  *3 of 10 runs passed, 3 failed, 4 stopped early", "saved     4 runs not needed"]
    )


def test_what_is_saved_is_said_in_dollars(project: Any) -> None:
    """At the mean cost of the answers that were made."""
    suite = project.suite({"good": "billing"}, more=K_OF_N)
    price = "    name: router\n    price: {input: 0, output: 1000000}\n"
    suite.write_text(suite.read_text().replace("    name: router\n", price))
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "PASSED  1 gate met, 3 of 5 runs passed, 2 stopped early",
            "saved     2 runs not needed, about $2.00",
        ]
    )


def test_an_open_verdict_runs_on(project: Any) -> None:
    """Pass and fail in turns: the fifth decides, so all five run."""
    answers = ["billing", "technical", "billing", "technical", "billing"]
    project.suite({"mixed": "billing"}, answers=answers, more=K_OF_N)
    project.run()
    assert _outcomes(project) == ["passed", "failed", "passed", "failed", "passed"]


@pytest.mark.parametrize(
    ("more", "arguments", "run"),
    [
        ("gates: [case_pass_rate >= 3/5, pass_rate >= 0]", [], 5),
        ("early_stop: true\ngates: [case_pass_rate >= 3/5, pass_rate >= 0]", [], 3),
        ("early_stop: false\ngates: [case_pass_rate >= 3/5]", [], 5),
        ("gates: [case_pass_rate >= 3/5]", ["--p2re-early-stop", "never"], 5),
        (
            "gates: [case_pass_rate >= 3/5, pass_rate >= 0]",
            ["--p2re-early-stop", "always"],
            3,
        ),
        ("early_stop: false\ngates: [case_pass_rate > 0]", ["--p2re-early-stop", "always"], 1),
        ("", ["--p2re-early-stop", "always"], 5),
    ],
)
def test_when_repeats_may_be_left_out(
    project: Any, more: str, arguments: list[str], run: int
) -> None:
    """By itself only where no other gate is made of the repeats; the suite and you may decide."""
    project.suite({"good": "billing"}, more=f"repeat: 5\n{more}")
    project.run(*arguments)
    assert _outcomes(project).count("passed") == run


def test_it_needs_something_to_decide(project: Any) -> None:
    """A wish that cannot come true is a mistake."""
    project.suite({"good": "billing"}, more="early_stop: true\ngates: [pass_rate >= 0.5]")
    result = project.run()
    result.stdout.fnmatch_lines(["suites/support.yaml:7:1: `early_stop: true` needs a gate such*"])


def test_workers_keep_the_repeats_of_a_case_together(project: Any) -> None:
    """With xdist too, three of five are enough."""
    project.suite({f"t{n}": "billing" for n in range(4)}, more=K_OF_N)
    result = project.run("-n", "2", subprocess=True)
    result.assert_outcomes(passed=13, skipped=8)


def test_a_repeat_without_a_score_decides_nothing(project: Any) -> None:
    """An error is not a failure: the first breaks, the other four still run as needed."""
    project.suite(
        {"good": "billing"}, more=K_OF_N, extra={"error": "authentication", "error_times": 1}
    )
    project.run()
    assert sorted(_outcomes(project)) == ["error", "not_run", "passed", "passed", "passed"]
