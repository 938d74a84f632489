"""The p2re fixture in hand-written tests."""

from __future__ import annotations

from typing import Any

TEST = """
import pytest
from p2re_eval.scorers import contains, equals

MODEL = "scripted/router"


def test_tone(p2re):
    answer = p2re.run("route", model=MODEL, ticket="I was charged twice.")
    p2re.check(answer, contains("ill"), equals("billing"))
    assert answer.text == "billing"


def test_fails(p2re):
    answer = p2re.run("route", model=MODEL, ticket="I was charged twice.")
    p2re.check(answer, contains("technical"))


def test_unknown_input(p2re):
    p2re.run("route", model=MODEL, tickt="x")
"""

PLUGIN = """
from p2re_eval import hookimpl
from p2re_eval.providers.scripted import ScriptedProvider


class Always:
    @hookimpl
    def register_providers(self, register):
        register("always", lambda context: ScriptedProvider(lambda prompt: "billing"))


@hookimpl
def register_providers(register):
    register("always", lambda context: ScriptedProvider(lambda prompt: "billing"))
"""


def _prepare(project: Any, text: str = TEST) -> None:
    project.write("conftest.py", PLUGIN)
    project.write("test_hand.py", text.replace("scripted/router", "always/router"))


def test_runs_and_checks_are_recorded_and_fail_like_asserts(project: Any) -> None:
    """run, check, and a mistake in the inputs as a sentence with a did-you-mean."""
    _prepare(project)
    result = project.run("test_hand.py")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*CheckFailed: contains:*technical*"])
    result.stdout.fnmatch_lines(["*unknown input 'tickt'; did you mean 'ticket'*"])
    stored = {r.case_id: r for r in project.results()}
    assert stored["test_tone"].outcome == "passed"
    assert [e.name for e in stored["test_tone"].evaluations] == ["contains", "equals"]
    assert stored["test_fails"].outcome == "failed"


def test_a_plain_assert_decides_too(project: Any) -> None:
    """A run without checks takes the test's own outcome."""
    _prepare(
        project,
        "def test_it(p2re):\n"
        "    assert p2re.run('route', model='always/router', ticket='x').text == 'technical'\n",
    )
    project.run("test_hand.py").assert_outcomes(failed=1)
    assert [r.outcome for r in project.results()] == ["failed"]


def test_async_tests_await_the_same_calls(project: Any) -> None:
    """run_async and check_async in a running loop."""
    _prepare(
        project,
        """
        import asyncio
        from p2re_eval.scorers import contains

        async def scenario(p2re):
            answers = await asyncio.gather(
                *(p2re.run_async("route", model="always/r", ticket=str(n)) for n in range(5))
            )
            for answer in answers:
                await p2re.check_async(answer, contains("billing"))

        def test_it(p2re):
            asyncio.run(scenario(p2re))
        """,
    )
    project.run("test_hand.py").assert_outcomes(passed=1)
    assert len(project.results()) == 5


def test_a_session_groups_runs(project: Any) -> None:
    """Traces of one conversation share its id."""
    from p2re_eval.store import open_store

    _prepare(
        project,
        """
        def test_it(p2re):
            with p2re.session("chat-42"):
                p2re.run("route", model="always/r", ticket="x")
                p2re.run("route", model="always/r", ticket="y")
            p2re.run("route", model="always/r", ticket="z")
        """,
    )
    project.run("test_hand.py").assert_outcomes(passed=1)
    with open_store(project.db) as store:
        assert len(store.list_traces(session_id="chat-42")) == 2
        assert len(store.list_traces()) == 3


def test_without_the_option_the_fixture_skips(project: Any) -> None:
    """A test that needs models is skipped in an ordinary run, with the reason."""
    _prepare(project)
    result = project.pytester.runpytest_inprocess("-p", "no:cacheprovider", "-rs", "test_hand.py")
    result.assert_outcomes(skipped=3)
    result.stdout.fnmatch_lines(["*needs --p2re*"])


def test_methods_of_one_name_in_two_classes_keep_their_own_results(project: Any) -> None:
    """The class belongs to the case's id; neither result overwrites the other."""
    call = "p2re.run('route', model='always/router', ticket='x')"
    body = f"    def test_it(self, p2re):\n        {call}\n"
    project.write("test_two.py", f"class TestA:\n{body}\nclass TestB:\n{body}")
    project.write("conftest.py", PLUGIN)
    project.run("test_two.py").assert_outcomes(passed=2)
    assert [r.case_id for r in project.results()] == ["TestA.test_it", "TestB.test_it"]
