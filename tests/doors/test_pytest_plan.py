"""--p2re-plan: what would run, what it would cost and what it could show; nothing is called."""

from __future__ import annotations

from typing import Any

from p2re_eval.store import open_store

TEN = {f"ticket {n}": "billing" for n in range(10)}


def _priced(project: Any, **named: Any) -> None:
    suite = project.suite(TEN, **named)
    settings = "    name: router\n    max_tokens: 2\n    price: {input: 0, output: 1000000}\n"
    suite.write_text(suite.read_text().replace("    name: router\n", settings))


def test_a_plan_calls_nothing_and_leaves_nothing(project: Any) -> None:
    """No trace, no database, exit code 0; without history the tokens are marked as guesses."""
    _priced(project, more="repeat: 2\ngates: [pass_rate >= 0.9]")
    result = project.run("--p2re-plan")
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        [
            "20 runs: 20 live",
            "*route   scripted/router    20    20     ~290/40  ~$40.00       -   $40.00",
            "Estimates (~), because nothing is recorded: route on scripted/router.*",
            "Expected cost: $40.00.",
            "suites/support.yaml (10 cases x 2): *",
            "Nothing was called.",
        ]
    )
    assert not project.db.exists()


def test_history_says_what_runs_use(project: Any) -> None:
    """One word each was answered, so a dollar each is expected, of at most two."""
    _priced(project)
    project.run()
    with open_store(project.db) as store:
        before = len(store.list_traces(limit=100)), len(store.list_experiments())
    result = project.run("--p2re-plan")
    result.stdout.fnmatch_lines(
        [
            "10 runs: 10 live",
            "*route   scripted/router    10    10      100/10  $10.00       -   $20.00",
            "Tokens are those of 10 recorded calls of these prompts.",
            "10 live runs could be reused with --p2re-source cache.",
            "Expected cost: $10.00.",
            "suites/support.yaml (10 cases): *",
        ]
    )
    with open_store(project.db) as store:
        assert before == (len(store.list_traces(limit=100)), len(store.list_experiments()))


def test_what_is_cached_costs_nothing(project: Any) -> None:
    """Nine were asked before; one is new."""
    _priced(project)
    project.run("-k", "not case-3")
    result = project.run("--p2re-plan", "--p2re-source", "cache")
    result.stdout.fnmatch_lines(["10 runs: 1 live, 9 from the cache", "Expected cost: $1.00."])


def test_a_replay_says_what_has_no_recording(project: Any) -> None:
    """A miss would be an error; better to know before."""
    _priced(project)
    project.write("recordings/support.jsonl", "")
    result = project.run("--p2re-plan", "--p2re-source", "replay")
    result.stdout.fnmatch_lines(["10 runs: 10 without a recording (errors)"])


def test_the_budget_is_held_against_it(project: Any) -> None:
    """Before a cent is spent."""
    _priced(project)
    plan = project.run("--p2re-plan", "--p2re-budget", "5")
    plan.stdout.fnmatch_lines(["*The budget of $5.00 will not last*"])
    plan = project.run("--p2re-plan", "--p2re-budget", "30")
    plan.stdout.fnmatch_lines(["*The budget of $30.00 lasts in any case."])


def test_a_plan_follows_the_selection_and_needs_no_workers(project: Any) -> None:
    """-k, --p2re-shard and -n, as a run would have them."""
    _priced(project)
    project.run("--p2re-plan", "-k", "case-1").stdout.fnmatch_lines(["1 run: 1 live"])
    result = project.run("--p2re-plan", "--p2re-shard", "1/2", "-n", "2", subprocess=True)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["5 runs: 5 live"])


def test_mistakes_are_found_as_ever(project: Any) -> None:
    """A plan of a suite that cannot run is no plan."""
    project.suite(TEN, more="gates: [pas_rate >= 0.9]")
    result = project.run("--p2re-plan")
    assert result.ret != 0
    result.stdout.fnmatch_lines(["suites/support.yaml:7:9: unknown gate 'pas_rate'*"])
    result.stdout.no_fnmatch_line("*Nothing was called*")
