"""The ini options: each does what its option does, from pytest's own file."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.store import open_store


def test_p2re_turns_the_plugin_on(project: Any) -> None:
    """As --p2re does."""
    project.pytester.makeini("[pytest]\np2re = true\n")
    project.suite({"x": "billing"})
    project.pytester.runpytest_inprocess("--p2re-db", str(project.db)).assert_outcomes(passed=1)


def test_p2re_db_is_relative_to_the_root_folder(project: Any) -> None:
    """Wherever pytest was started."""
    project.pytester.makeini("[pytest]\np2re_db = data/runs.db\n")
    project.suite({"x": "billing"})
    project.pytester.chdir()
    project.pytester.runpytest_inprocess("--p2re").assert_outcomes(passed=1)
    with open_store(project.path / "data" / "runs.db") as store:
        assert len(store.list_traces()) == 1


def test_p2re_prompts_names_the_folder_of_prompts(project: Any) -> None:
    """And a folder without any is named in the mistake."""
    project.suite({"x": "billing"})
    (project.path / "prompts").rename(project.path / "texts")
    project.pytester.makeini("[pytest]\np2re_prompts = texts\n")
    project.run().assert_outcomes(passed=1)
    project.pytester.makeini("[pytest]\np2re_prompts = nowhere\n")
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(["*no prompt is called 'route'; there are none in *nowhere"])


def test_p2re_suites_names_the_folders_of_suites(project: Any) -> None:
    """Several, and names with spaces in quotes."""
    project.pytester.makeini("[pytest]\np2re_suites = evals 'more evals'\n")
    project.suite({"x": "billing"}, name="ignored")
    for folder in ("evals", "more evals"):
        path = project.suite({"x": "billing"}, name="s")
        (project.path / folder).mkdir()
        path.rename(project.path / folder / "s.yaml")
    project.run().assert_outcomes(passed=2)
    assert [r.suite for r in project.results()] == ["evals/s.yaml", "more evals/s.yaml"]


@pytest.mark.parametrize("value", ["0", "many", "-1"])
def test_p2re_concurrency_must_be_a_number_of_at_least_one(project: Any, value: str) -> None:
    """One sentence on stderr, and nothing runs."""
    project.pytester.makeini(f"[pytest]\np2re_concurrency = {value}\n")
    project.suite({"x": "billing"})
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(
        [f"ERROR: the ini option p2re_concurrency = {value} must be a whole number of at least 1"]
    )


def test_p2re_concurrency_limits_the_calls_in_flight(project: Any) -> None:
    """One at a time, where the file says 1."""
    project.pytester.makeini("[pytest]\np2re_concurrency = 1\n")
    project.write(
        "bot.py",
        """\
        import asyncio

        busy = 0

        async def answer(ticket):
            global busy
            busy += 1
            most = busy
            await asyncio.sleep(0)
            busy -= 1
            return str(most)
        """,
    )
    suite = project.suite({f"t{n}": "1" for n in range(5)})
    _, _, rest = suite.read_text().partition("scorers:")
    suite.write_text(f"prompt: route\nmodels: ['function/bot:answer']\nscorers:{rest}")
    project.run().assert_outcomes(passed=5)
