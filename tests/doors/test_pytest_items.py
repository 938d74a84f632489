"""Suites are native pytest items: selection, ids, letters and exit codes."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

TWO = {"I was charged twice": "billing", "The app crashes": "technical"}


def test_a_suite_that_is_answered_well_passes(project: Any) -> None:
    """The plainest run: two cases, two dots, exit code 0, two results on disk."""
    project.suite(TWO, answers={"charged": "billing", "crashes": "technical"})
    result = project.run()
    result.assert_outcomes(passed=2)
    assert result.ret == 0
    assert [r.outcome for r in project.results()] == ["passed", "passed"]


def test_a_bad_answer_is_a_failure_that_shows_everything(project: Any) -> None:
    """F shows where, the input, the output, what was expected and the scorer's word."""
    project.suite(TWO, answers={".*": "billing"})
    result = project.run()
    result.assert_outcomes(passed=1, failed=1)
    assert result.ret == 1
    result.stdout.fnmatch_lines(
        [
            "*suites/support.yaml:*: the model answered badly",
            "*input:*The app crashes*",
            "*output:*billing",
            "*expected:*technical",
            "*FAILED equals*",
            "FAILED suites/support.yaml::route::case-1?scripted/router#0?*",
        ]
    )


def test_a_broken_provider_is_an_error_and_not_a_failure(project: Any) -> None:
    """E: the machine broke; the prompt is not to blame."""
    project.suite({"x": "billing"}, extra={"error": "authentication"})
    result = project.run()
    result.assert_outcomes(errors=1)
    assert [r.outcome for r in project.results()] == ["error"]


def test_a_crashed_scorer_is_an_error_and_leaves_the_others_alone(project: Any) -> None:
    """The crash is recorded beside the other scorer's verdict."""
    project.write("judges.py", "def crash(completion, case):\n    raise RuntimeError('boom')\n")
    suite = project.suite({"x": "billing"})
    suite.write_text(suite.read_text().replace("[equals]", "[equals, 'judges:crash']"))
    result = project.run()
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*a scorer broke*", "*passed equals*", "*BROKE*boom*"])
    (stored,) = project.results()
    assert stored.outcome == "unscored"
    assert [e.score is None for e in stored.evaluations] == [False, True]


def test_without_the_option_nothing_happens(project: Any) -> None:
    """Inert: no items, no database, no files."""
    project.suite(TWO)
    before = sorted(p for p in project.path.rglob("*"))
    result = project.pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes()
    assert result.ret == 5
    after = [p for p in sorted(project.path.rglob("*")) if "__pycache__" not in p.parts]
    made = {p.name for p in after if p not in before and "runpytest" not in p.name}
    assert made == {"stderr", "stdout"}  # pytester's own


def test_ids_are_prompt_model_case_and_repeat(project: Any) -> None:
    """The ids that -k, ::id, --lf and JUnit use."""
    project.suite({"x": "billing"}, more="repeat: 2")
    result = project.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "suites/support.yaml::route::case-0?scripted/router#0?",
            "suites/support.yaml::route::case-0?scripted/router#1?",
        ]
    )
    assert not project.db.exists()


@pytest.mark.parametrize(
    ("selection", "count"),
    [
        ("suites/support.yaml::route::case-1[scripted/router#0]", 1),
        ("suites/support.yaml::route::case-0", 1),
        ("suites/support.yaml::route", 2),
        ("suites/support.yaml", 2),
    ],
)
def test_items_are_selected_by_id(project: Any, selection: str, count: int) -> None:
    """A whole id, all runs of a case, of a prompt, or of a file."""
    project.suite(TWO, answers={"charged": "billing", "crashes": "technical"})
    project.run(selection).assert_outcomes(passed=count)
    assert len(project.results()) == count


def test_k_and_m_select_and_only_the_selected_are_run(project: Any) -> None:
    """Tags are keywords and marks; what is deselected costs nothing."""
    suite = project.suite(TWO, answers={"charged": "billing", "crashes": "technical"})
    suite.write_text(suite.read_text() + "    tags: [crash]\n")
    project.run("-k", "case-0").assert_outcomes(passed=1, deselected=1)
    assert [r.case_id for r in project.results()] == ["case-0"]
    project.run("-m", "crash", "--strict-markers").assert_outcomes(passed=1, deselected=1)
    assert [r.case_id for r in project.results()] == ["case-1"]


def test_lf_runs_what_failed_last(project: Any) -> None:
    """--lf and --ff know the items."""
    project.pytester.makeini("[pytest]\n")
    project.suite(TWO, answers={".*": "billing"})
    project.run().assert_outcomes(passed=1, failed=1)
    project.run("--lf").assert_outcomes(failed=1)
    assert [r.case_id for r in project.results()] == ["case-1"]
    result = project.run("--ff", "-v")
    result.stdout.fnmatch_lines(
        ["*case-1?scripted/router#0? FAILED*", "*case-0?scripted/router#0? PASSED*"]
    )


def test_x_stops_new_calls(project: Any) -> None:
    """The first five answers, and the five calls that were made before the first was reported."""
    tickets = {f"ticket {n}": "technical" for n in range(200)}
    project.suite(tickets, extra={"latency_s": 0.5})
    result = project.run("-x", "--p2re-concurrency", "5")
    result.assert_outcomes(failed=1)
    assert len(project.results()) <= 10


def test_maxfail_counts_like_pytest(project: Any) -> None:
    """--maxfail 2 stops after two."""
    project.suite({f"t{n}": "technical" for n in range(50)})
    result = project.run("--maxfail", "2")
    result.assert_outcomes(failed=2)


def test_repeats_come_from_the_suite_or_the_option(project: Any) -> None:
    """--p2re-repeat overrides the suite."""
    project.suite({"x": "billing"}, more="repeat: 3")
    project.run().assert_outcomes(passed=3)
    project.run("--p2re-repeat", "5").assert_outcomes(passed=5)
    assert [r.repeat for r in project.results()] == [0, 1, 2, 3, 4]


def test_the_model_option_replaces_the_matrix(project: Any) -> None:
    """Every suite runs on the models named, instead of its own."""
    project.suite({"x": "billing"})
    result = project.run(
        "--collect-only", "-q", "--p2re-model", "scripted/a", "--p2re-model", "scripted/b"
    )
    result.stdout.fnmatch_lines(
        ["*::route::case-0?scripted/a#0?", "*::route::case-0?scripted/b#0?"]
    )


def test_a_mistake_in_a_suite_stops_before_any_call(project: Any) -> None:
    """Both broken files are reported with FILE:LINE:COLUMN; nothing is called."""
    project.suite({"x": "billing"}, name="good")
    project.write("suites/bad.yaml", "prompt: route\nscorrers: [equals]\ncases: [{id: a}]\n")
    project.write(
        "suites/worse.yaml", "prompt: rout\nscorers: [equls]\ncases: [{inputs: {tickt: x}}]\n"
    )
    result = project.run()
    assert result.ret == 2
    result.stdout.fnmatch_lines(
        [
            "*suites/bad.yaml:2:1: unknown key 'scorrers'; did you mean 'scorers'?*",
            "*suites/worse.yaml:1:*'rout'; did you mean 'route'*",
            "*suites/worse.yaml:2:*'equls'; did you mean 'equals'*",
        ]
    )
    assert not project.db.exists()


def test_junit_carries_outcome_and_scores(project: Any) -> None:
    """--junitxml has the numbers as properties."""
    project.suite({"x": "billing"})
    project.run("--junitxml", "out.xml")
    xml = (project.path / "out.xml").read_text()
    assert '<property name="p2re_outcome" value="passed"' in xml
    assert '<property name="score:equals" value="1.0"' in xml


def test_a_test_file_beside_the_suites_runs_too(project: Any) -> None:
    """Ordinary tests are untouched by the option."""
    project.suite({"x": "billing"})
    project.write("test_plain.py", "def test_one():\n    assert True\n")
    project.run().assert_outcomes(passed=2)
    assert [r.case_id for r in project.results()] == ["case-0"]


def test_testpaths_do_not_hide_the_suites(project: Any) -> None:
    """With the ini file's testpaths and no path given, the suites are collected as well."""
    project.pytester.makeini("[pytest]\ntestpaths = tests\n")
    project.write("tests/test_plain.py", "def test_one():\n    assert True\n")
    project.suite({"x": "billing"})
    project.run().assert_outcomes(passed=2)


def test_datasets_beside_suites_are_not_suites(project: Any) -> None:
    """A YAML list is data; a suite that reads it runs it."""
    project.write("suites/tickets.yaml", "- {id: a, inputs: {ticket: x}, expected: billing}\n")
    project.write(
        "suites/s.yaml",
        """\
        prompt: route
        models: [{provider: scripted, name: router, extra: {answers: {".*": billing}}}]
        dataset: tickets.yaml
        scorers: [equals]
        """,
    )
    project.run().assert_outcomes(passed=1)


def test_versions_of_one_prompt_are_kept_and_shown_apart(project: Any) -> None:
    """`prompts: [route, route@HEAD]` are two columns of results, not one that overwrites the other:
    four runs leave four results, and each version has a row in the table."""
    path = project.suite(TWO, answers={"charged": "billing", "crashes": "technical"})
    for command in (
        ["git", "init", "-q"],
        ["git", "add", "."],
        ["git", "-c", "user.name=A", "-c", "user.email=a@b.c", "commit", "-qm", "one"],
    ):
        subprocess.run(command, cwd=project.path, check=True)
    prompt = project.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text().replace("Route the", "Please route the"))
    path.write_text(path.read_text().replace("prompt: route", "prompts: [route, route@HEAD]"))
    result = project.run()
    result.assert_outcomes(passed=4)
    stored = project.results()
    assert [r.prompt for r in stored] == ["route", "route", "route@HEAD", "route@HEAD"]
    assert len({r.prompt_version for r in stored}) == 2
    result.stdout.fnmatch_lines(["PASSED*4 of 4 runs passed*", "*route *", "*route@HEAD *"])


def test_the_heading_of_a_failure_names_the_prompt(project: Any) -> None:
    """With several prompts, one case fails under several headings; each says which prompt."""
    project.suite({"x": "technical"})
    result = project.run()
    result.stdout.fnmatch_lines(["*_ route: case-0?scripted/router#0? _*"])


def test_the_trace_command_of_a_failure_finds_that_trace(project: Any) -> None:
    """Runs of the same millisecond begin alike: the failure gives the whole id."""
    project.suite({"x": "technical", "y": "technical"})
    result = project.run()
    for stored in project.results():
        result.stdout.fnmatch_lines([f"trace: p2re traces show {stored.trace_id}"])


def test_the_short_summary_says_why(project: Any) -> None:
    """The one line that CI shows of a failure names the scorer and its reason."""
    project.suite({"x": "technical"})
    result = project.run()
    result.stdout.fnmatch_lines(["FAILED *case-0* - equals: the *"])
