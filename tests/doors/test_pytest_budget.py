"""--p2re-budget: what may be spent, by runs, judges and workers together."""

from __future__ import annotations

from typing import Any

from p2re_eval.store import open_store

TEN = {f"ticket {n}": "billing" for n in range(10)}
PRICE = "{input: 0, output: 1000000}"
"""An answer of one word costs a dollar."""


def _priced(project: Any, price: str = PRICE, **named: Any) -> None:
    suite = project.suite(TEN, **named)
    text = suite.read_text()
    text = text.replace(
        "    name: router\n", f"    name: router\n    max_tokens: 2\n    price: {price}\n"
    )
    suite.write_text(text)


def test_what_does_not_fit_is_not_run_and_says_why(project: Any) -> None:
    """Each call may cost two dollars and costs one: of five dollars, four runs; then red."""
    _priced(project)
    result = project.run("--p2re-budget", "5", "--p2re-concurrency", "1", "-rs")
    assert result.ret == 1
    result.assert_outcomes(passed=4, skipped=6)
    result.stdout.fnmatch_lines(
        [
            "INCOMPLETE  4 of 10 runs passed, 6 not run",
            "budget    $4.00 of $5.00 spent",
            "not run   the budget of $5.00 has no room: $4.00 is spent, and route on *",
            "*not run: the budget of $5.00 has no room: $4.00 is spent, and route on scripted/*",
        ]
    )
    not_run = [r for r in project.results() if r.outcome == "not_run"]
    assert [(r.fault.kind, r.cost_usd, r.trace_id) for r in not_run] == [("budget", None, None)] * 6


def test_a_gate_on_runs_that_were_not_made_is_red(project: Any) -> None:
    """Four passed of ten; the six others might have failed, so the gate is not met."""
    _priced(project, more="gates: [pass_rate >= 0.5]")
    result = project.run("--p2re-budget", "5", "--p2re-concurrency", "1")
    result.assert_outcomes(passed=4, skipped=6, failed=1)
    result.stdout.fnmatch_lines(["*pass_rate is 1.000 over 4 cases scored*(runs: 6 not run)*"])
    with open_store(project.db) as store:
        (verdict,) = store.read_experiment("latest").verdicts
    assert verdict.passed is None


def test_the_limit_holds_across_workers(project: Any) -> None:
    """Two processes share the five dollars: never more than four answers."""
    _priced(project)
    result = project.run("--p2re-budget", "$5", "-n", "2", subprocess=True)
    assert result.ret == 1
    answered = [r for r in project.results() if r.outcome == "passed"]
    assert 3 <= len(answered) <= 4
    assert len(project.results()) == 10
    result.stdout.fnmatch_lines([f"budget    ${len(answered)}.00 of $5.00 spent"])


def test_judges_spend_from_the_same_budget(project: Any) -> None:
    """A judge that may not be asked leaves its run unscored, never failed."""
    judge = {"explanation": "fine", "score": 1, "verdict": "pass"}
    project.write(
        "suites/conftest.py",
        f"""\
        import json
        import p2re_eval
        from p2re_eval.providers.scripted import ScriptedProvider

        class Judge(ScriptedProvider):
            name = "judge"
            free = False

        @p2re_eval.hookimpl
        def register_providers(register):
            register("judge", lambda context: Judge(lambda prompt: json.dumps({judge})))
        """,
    )
    scorer = "scorers: [{llm_judge: {rubric: Good, model: judge/any, max_tokens: 2}}]"
    suite = project.suite(TEN)
    suite.write_text(suite.read_text().replace("scorers: [equals]", scorer))
    result = project.run("--p2re-budget", "5")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*--p2re-budget: nobody knows the price of judge/any*"])
    assert not project.db.exists() or project.results() == []
    project.run("--p2re-budget", "5", "--p2re-allow-unpriced").assert_outcomes(passed=10)


def test_an_unknown_price_stops_before_any_call(project: Any) -> None:
    """A function of yours costs who knows what; the message says how to go on."""
    project.write("bot.py", "def answer(ticket):\n    return 'billing'\n")
    suite = project.suite(TEN)
    _, _, cases = suite.read_text().partition("scorers:")
    suite.write_text(f"prompt: route\nmodels: ['function/bot:answer']\nscorers:{cases}")
    result = project.run("--p2re-budget", "5")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*price of function/bot:answer*--p2re-allow-unpriced"])
    project.run("--p2re-budget", "5", "--p2re-allow-unpriced").assert_outcomes(passed=10)


def test_a_worker_finds_an_unknown_price_at_the_call(project: Any) -> None:
    """Workers cannot refuse to start; nothing is called all the same, and the run is red."""
    project.write("bot.py", "def answer(ticket):\n    open('called', 'w')\n    return 'billing'\n")
    suite = project.suite(TEN)
    _, _, cases = suite.read_text().partition("scorers:")
    suite.write_text(f"prompt: route\nmodels: ['function/bot:answer']\nscorers:{cases}")
    result = project.run("--p2re-budget", "5", "-n", "2", subprocess=True)
    assert result.ret == 1
    result.assert_outcomes(skipped=10)
    result.stdout.fnmatch_lines(["not run   nobody knows the price of function/bot:answer*"])
    assert not (project.path / "called").exists()


def test_the_cache_costs_nothing(project: Any) -> None:
    """What was paid for before is not paid again: all ten run on no money at all."""
    _priced(project)
    project.run()
    project.run("--p2re-source", "cache", "--p2re-budget", "0").assert_outcomes(passed=10)


def test_the_ini_file_may_set_it(project: Any) -> None:
    """For everybody who works on the project; a wrong amount is a mistake, not no limit."""
    _priced(project)
    project.run("-o", "p2re_budget=0.5").assert_outcomes(skipped=10)
    result = project.run("-o", "p2re_budget=much")
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*the ini option p2re_budget: 'much' is no amount*"])
