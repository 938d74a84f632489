"""A/B experiments from the command line: start, look, stop, promote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.online import assign, outcome
from p2re_eval.records import PromptTemplate, TemplateMessage
from p2re_eval.store import open_store


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """With two versions of a prompt."""
    path = tmp_path / "p2re.db"
    with open_store(path) as store:
        for number, text in enumerate(("calm", "brisk")):
            message = TemplateMessage(role="user", content=text)
            template = PromptTemplate(name="route", version=f"{number}" * 64, messages=(message,))
            store.save_prompt_version(template).result()
    return path


def p2re(database: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["experiments", *arguments, "--db", str(database)])


def started(database: Path) -> None:
    variants = ("--variant", "calm=route", "--variant", 'brisk=route@1111111,weight=1,tone="b"')
    result = p2re(database, "start", "tone", *variants, "--outcome", "solved")
    assert result.exit_code == 0, result.output
    assert "tone: running; ask p2re_eval.assign('tone', unit)" in result.output


def test_from_start_to_promotion(database: Path) -> None:
    """Outcomes come in, the difference is shown, the label moves."""
    started(database)
    for number in range(300):
        given = assign("tone", f"user-{number}", db=database)
        solved = number % 10 < (9 if given.variant.name == "brisk" else 4)
        outcome("tone", f"user-{number}", solved, db=database)
    shown = p2re(database, "show", "tone").output
    assert "tone: running; brisk is better in 'solved' than calm" in shown
    assert "always-valid" in shown
    assert "needs" in shown
    assert "reached" not in shown
    found = json.loads(p2re(database, "show", "tone", "--json").output)
    assert [one["verdict"] for one in found["variants"]] == [None, "better"]
    assert found["experiment"]["variants"][1]["settings"] == {"tone": "b"}
    promoted = p2re(database, "promote", "tone", "brisk")
    assert "tone: stopped; 'production' of route is 111111111111" in promoted.output
    assert "everybody gets brisk" in p2re(database, "show", "tone").output


def test_the_list_has_both_kinds(database: Path) -> None:
    """Passes over suites, then experiments on live traffic."""
    started(database)
    listed = p2re(database, "list").output
    assert "A/B experiment" in listed
    assert "calm, brisk" in listed
    [row] = json.loads(p2re(database, "list", "--ab", "--json").output)
    assert (row["name"], row["status"]) == ("tone", "RUNNING")
    assert json.loads(p2re(database, "list", "--json").output) == []


def test_nothing_is_shown_before_outcomes_come(database: Path) -> None:
    """Said in words, not in zeros."""
    started(database)
    shown = p2re(database, "show", "tone").output
    assert "no difference in 'solved' is shown yet" in shown
    assert "is known once outcomes come in" in shown


def test_a_broken_assignment_comes_first(database: Path) -> None:
    """A warning above everything, and no verdict."""
    import sqlite3
    from contextlib import closing

    started(database)
    with closing(sqlite3.connect(database)) as other, other:
        other.executemany(
            "INSERT INTO unit_assignments VALUES ('tone', ?, ?, 1)",
            [(f"u{number}", "calm" if number % 3 else "brisk") for number in range(300)],
        )
    shown = p2re(database, "show", "tone").output
    assert shown.startswith("SAMPLE RATIO MISMATCH")
    assert "no verdict, the assignment is broken" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("start", "x", "--variant", "a=route@v1", "--outcome", "o"), "two or more variants"),
        (("start", "x", "--variant", "a", "--outcome", "o"), "write NAME=PROMPT@VERSION"),
        (("start", "x", "--variant", "a=p,weight=x", "--outcome", "o"), "must be a number"),
        (("stop", "nothing"), "no A/B experiment 'nothing'"),
        (("promote", "nothing", "a"), "no A/B experiment 'nothing'"),
    ],
)
def test_mistakes_are_sentences(database: Path, arguments: tuple[str, ...], said: str) -> None:
    """What happened and what to do, exit code 2."""
    result = p2re(database, *arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_stopping_without_a_winner_gives_the_control(database: Path) -> None:
    """And says so."""
    started(database)
    assert "everybody gets calm" in p2re(database, "stop", "tone").output


def test_a_unit_with_escape_codes_keeps_its_line(database: Path) -> None:
    """A unit is what an application says; a terminal must not obey it."""
    started(database)
    unit = "red\x1b[31m\nink"
    assign("tone", unit, db=database)
    outcome("tone", unit, 1, db=database)
    (line,) = p2re(database, "units", "tone").output.splitlines()
    assert line.split("\t")[0] == "red�[31m ink"
