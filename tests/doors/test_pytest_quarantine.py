"""Cases in quarantine run and are shown, and decide nothing until a day is over."""

from __future__ import annotations

from typing import Any

CASES = {"good": "billing", "odd": "technical"}
ENTRY = "{case: case-1, until: 2999-12-31, reason: the courier moved}"


def test_a_quarantined_failure_does_not_decide(project: Any) -> None:
    """It is a q, the run is green, and the report names it with its reason."""
    project.suite(CASES, more=f"quarantine:\n  - {ENTRY}\ngates: [pass_rate >= 1]")
    result = project.run("--p2re-report", "report.md")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "suites/support.yaml .q.*",
            "PASSED  1 gate met, 1 of 1 run passed, 1 in quarantine",
            "*pass_rate is 1.000 over 1 case scored*",
            "*(runs: 1 in quarantine)*",
            "Quarantine: 1 case without a say",
            "  q case-1",
            "    failed; the courier moved (until 2999-12-31)",
            "*2 passed, 1 quarantined*",
        ]
    )
    assert "the courier moved" in (project.path / "report.md").read_text()
    assert [r.quarantine for r in project.results()] == [
        None,
        "the courier moved (until 2999-12-31)",
    ]


def test_without_gates_it_does_not_fail_either(project: Any) -> None:
    """The case of a suite whose every case must pass."""
    project.suite(CASES, more=f"quarantine: [{ENTRY}]")
    assert project.run().ret == 0


def test_a_broken_machine_is_not_told_apart(project: Any) -> None:
    """An error in quarantine is shown as well, and stops nothing."""
    project.suite(
        {"good": "billing"},
        more=f"quarantine: [{ENTRY.replace('case-1', 'case-0')}]",
        extra={"error": "authentication"},
    )
    result = project.run()
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*1 quarantined*"])


def test_after_its_day_it_is_a_mistake_in_its_line(project: Any) -> None:
    """Nothing stays in quarantine because nobody looked."""
    entry = ENTRY.replace("2999-12-31", "2020-01-31")
    project.suite(CASES, more=f"quarantine:\n  - {entry}")
    result = project.run()
    assert result.ret != 0
    result.stdout.fnmatch_lines(
        ["suites/support.yaml:8:5: the quarantine of 'case-1' ended on 2020-01-31 (the courier *"]
    )


def test_a_file_may_hold_the_list(project: Any) -> None:
    """Several suites can share it; each takes its own entries, and mistakes are at their line."""
    project.write(
        "suites/quarantine.yaml",
        f"- {ENTRY}\n- {{case: other, until: 2999-12-31, reason: x, suite: another}}\n",
    )
    project.suite(CASES, more="quarantine: quarantine.yaml")
    assert project.run().ret == 0
    project.write("suites/quarantine.yaml", "- {case: case-7, until: tomorrow, reason: x}\n")
    project.run().stdout.fnmatch_lines(["suites/quarantine.yaml:1:10: no case is called 'case-7'*"])
    project.write("suites/quarantine.yaml", "- {case: case-1, until: tomorrow, reason: x}\n")
    project.run().stdout.fnmatch_lines(["suites/quarantine.yaml:1:25: 'tomorrow' is no day*"])


def test_only_with_one_model(project: Any) -> None:
    """The same case still decides elsewhere."""
    entry = ENTRY.replace("reason", "model: scripted/other, reason")
    project.suite(CASES, more=f"quarantine: [{entry}]")
    assert project.run().ret == 1
