"""Under pytest-xdist: every run once, one report, gates in the controller, whatever --dist."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.store import open_store

SIX = {f"t{n}": "billing" for n in range(6)}


def _traces(project: Any) -> int:
    with open_store(project.db) as store:
        return len(store.list_traces(limit=1000))


def test_without_gates_the_controller_reports_all_the_same(project: Any) -> None:
    """The report, the file and the finished experiment do not depend on a gate being there."""
    project.suite(SIX)
    result = project.run("-n", "2", "--p2re-report", "report.json", subprocess=True)
    result.assert_outcomes(passed=6)
    result.stdout.fnmatch_lines(["PASSED  6 of 6 runs passed", "database *runs.db*"])
    assert (project.path / "report.json").exists()
    with open_store(project.db) as store:
        experiment = store.read_experiment("latest")
    assert (experiment.status, experiment.planned) == ("COMPLETE", 6)
    assert experiment.suites == ("suites/support.yaml",)


def test_x_reports_what_was_answered(project: Any) -> None:
    """xdist's own way of stopping leaves no experiment without an end."""
    project.suite({f"t{n}": "technical" for n in range(6)})
    result = project.run("-n", "2", "-x", subprocess=True)
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*p2re*", "database *runs.db*"])
    with open_store(project.db) as store:
        assert store.read_experiment("latest").status == "INTERRUPTED"
        assert store.list_traces(status="RUNNING") == []


@pytest.mark.parametrize("dist", ["load", "loadfile", "loadscope", "worksteal"])
def test_no_way_of_distributing_calls_a_model_twice(project: Any, dist: str) -> None:
    """A worker starts ahead only what no other worker will run: each call costs money."""
    for name in ("one", "two"):
        project.suite(SIX, name=name, extra={"latency_s": 0.01})
    result = project.run("-n", "2", "--dist", dist, subprocess=True)
    result.assert_outcomes(passed=12)
    assert _traces(project) == 12


def test_a_gate_needs_nothing_that_only_the_workers_loaded(project: Any) -> None:
    """A scorer of suites/conftest.py is unknown to the controller, which decides the gate."""
    project.write(
        "suites/conftest.py",
        """\
        from pathlib import Path
        import p2re_eval

        @p2re_eval.hookimpl
        def register_scorers(register):
            register("kind", lambda completion, case: True)

        @p2re_eval.hookimpl
        def experiment_finished(experiment):
            path = Path("finished.txt")
            before = path.read_text() if path.exists() else ""
            path.write_text(before + f"{experiment.status} {len(experiment.verdicts)};")
        """,
    )
    suite = project.suite(SIX, more="gates: [pass_rate >= 0.9]")
    suite.write_text(suite.read_text().replace("[equals]", "[kind]"))
    project.run("-n", "2", subprocess=True).assert_outcomes(passed=7)
    assert (project.path / "finished.txt").read_text() == "COMPLETE 1;"


def test_a_worker_that_dies_breaks_its_item_and_nothing_else(project: Any) -> None:
    """xdist starts another one; the others' results and the report are there."""
    project.write(
        "bot.py",
        """\
        import os

        def answer(ticket):
            if ticket == "t3":
                os._exit(7)
            return "billing"
        """,
    )
    suite = project.suite(SIX)
    _, _, cases = suite.read_text().partition("scorers:")
    suite.write_text(f"prompt: route\nmodels: ['function/bot:answer']\nscorers:{cases}")
    result = project.run("-n", "2", subprocess=True)
    assert result.ret == 1
    assert "INTERNALERROR" not in result.stdout.str()
    result.stdout.fnmatch_lines(["*worker 'gw*' crashed*", "database *"])
    assert {r.case_id for r in project.results()} >= {"case-0", "case-2", "case-4", "case-5"}


def test_deselected_gates_are_not_decided(project: Any) -> None:
    """-k leaves the gates out, in the controller too."""
    project.suite(SIX, more="gates: [pass_rate >= 0.9]")
    result = project.run("-n", "2", "-k", "case-1", subprocess=True)
    result.assert_outcomes(passed=1)


def test_the_fixture_and_suites_share_the_experiment(project: Any) -> None:
    """One experiment, whichever worker a test lands on."""
    project.suite(SIX)
    project.write(
        "test_tone.py",
        """\
        def test_tone(p2re):
            assert p2re.run("route", model="scripted/echo", ticket="hello").text == "hello"
        """,
    )
    project.run("-n", "2", subprocess=True).assert_outcomes(passed=7)
    assert len(project.results()) == 7


def test_x_stops_the_calls_of_every_worker(project: Any) -> None:
    """All items are dealt at once: the worker that saw no failure stops too, and does not make
    the hundreds of calls it still has."""
    cases = {f"t{number}": "billing" for number in range(400)}
    project.suite({"first": "technical", **cases}, extra={"latency_s": 0.05})
    result = project.run("-x", "-n", "2", "--p2re-concurrency", "2")
    assert result.ret != 0
    assert 1 <= len(project.results()) < 150
