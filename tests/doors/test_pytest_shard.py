"""Shards: equal shares of the cases, and merged the report that one machine would have made."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.pytest_plugin.options import shard
from p2re_eval.pytest_plugin.shards import dealt
from p2re_eval.store import open_store

CASES = {f"ticket {n}": "billing" for n in range(10)} | {"odd one": "technical"}
GATES = "repeat: 2\ngates:\n  - pass_rate >= 0.95\n  - total_tokens <= 10k\n  - p95_latency <= 60s"


def _p2re(*arguments: str) -> Any:
    return CliRunner().invoke(main, arguments)


def _stable(database: Path) -> str:
    shown = _p2re("experiments", "show", "--json", "--stable", "--db", str(database))
    assert shown.exit_code == 0, shown.output
    return str(shown.output)


def _ran(database: Path) -> set[tuple[str, str, int]]:
    with open_store(database) as store:
        experiment = store.read_experiment("latest")
        return {(r.suite, r.case_id, r.repeat) for r in store.results(experiment.experiment_id)}


@pytest.fixture
def two_suites(project: Any) -> Any:
    project.suite(CASES, more=GATES)
    project.suite({"one": "billing", "two": "technical"}, name="second", more="gates: [mean >= 0]")
    project.write(
        "test_tone.py",
        """\
        def test_tone(p2re):
            assert p2re.run("route", model="scripted/echo", ticket="hello").text == "hello"
        """,
    )
    return project


def _shards(project: Any, of: int, *arguments: str) -> list[Path]:
    databases = []
    for number in range(1, of + 1):
        databases.append(project.path / f"shard{number}.db")
        project.run("--p2re-db", str(databases[-1]), "--p2re-shard", f"{number}/{of}", *arguments)
    return [database for database in databases if database.exists()]


def test_merged_shards_report_what_one_machine_reports_to_the_byte(two_suites: Any) -> None:
    """The stable form of the JSON: everything but ids, clock times and durations."""
    assert two_suites.run().ret == 1
    databases = _shards(two_suites, 3)
    merged = _p2re("merge", *map(str, databases), "-o", "whole.db")
    assert merged.exit_code == 1
    assert "FAILED  1 of 4 gates missed, 22 of 25 runs passed" in merged.output
    assert _stable(two_suites.path / "whole.db") == _stable(two_suites.db)


def test_shares_are_whole_cases_and_none_is_left_out(two_suites: Any) -> None:
    """Each case with both repeats on one machine, eleven of them as 4, 4 and 3."""
    databases = _shards(two_suites, 3)
    ran = [_ran(database) for database in databases]
    assert sum(len(one) for one in ran) == len(set().union(*ran)) == 25
    of_support = [{case for suite, case, _ in one if "support" in suite} for one in ran]
    assert sorted(len(one) for one in of_support) == [3, 4, 4]


def test_a_selection_moves_no_case_to_another_machine(two_suites: Any) -> None:
    """What -k selects runs where it would have run without."""
    whole = [_ran(database) for database in _shards(two_suites, 3)]
    for database in two_suites.path.glob("shard*.db"):
        database.unlink()
    for number in (1, 2, 3):
        database = two_suites.path / f"shard{number}.db"
        two_suites.run(
            "--p2re-db", str(database), "--p2re-shard", f"{number}/3", "-k", "case-1 or case-7"
        )
        if database.exists():
            assert _ran(database) <= whole[number - 1]


def test_a_shard_leaves_its_gates_to_the_merge(two_suites: Any) -> None:
    """Its own report says so, a bad answer is only missed, and the exit code is 0."""
    results = [two_suites.run("--p2re-shard", f"{number}/3") for number in (1, 2, 3)]
    assert [result.ret for result in results] == [0, 0, 0]
    results[0].stdout.fnmatch_lines(["SHARD 1/3  *; 4 gates to merge", "*deselected*"])


def test_under_xdist_a_shard_is_the_same(two_suites: Any) -> None:
    """Workers share one share."""
    two_suites.run()
    databases = []
    for number in (1, 2):
        databases.append(str(two_suites.path / f"shard{number}.db"))
        arguments = ("--p2re-db", databases[-1], "--p2re-shard", f"{number}/2", "-n", "2")
        assert two_suites.run(*arguments, subprocess=True).ret == 0
    assert _p2re("merge", *databases, "-o", "whole.db").exit_code == 1
    assert _stable(two_suites.path / "whole.db") == _stable(two_suites.db)


def test_what_does_not_make_a_whole_is_refused(two_suites: Any) -> None:
    """A missing share, one twice, another selection, and a database without a shard."""
    first, second, third = map(str, _shards(two_suites, 3))
    refused = _p2re("merge", first, third, "-o", "whole.db")
    assert refused.exit_code == 2
    assert "share 2 of 3 is missing; name its database too" in refused.output
    refused = _p2re("merge", first, second, second, third, "-o", "whole.db")
    assert "hold the same share; leave one out" in refused.output
    two_suites.run("--p2re-db", second, "--p2re-shard", "2/3", "-k", "case-1 or gate")
    refused = _p2re("merge", first, second, third, "-o", "whole.db")
    assert "give every shard the same arguments and files" in refused.output
    two_suites.run()
    refused = _p2re("merge", str(two_suites.db), "-o", "whole.db")
    assert "holds no shard; run the suites with --p2re-shard K/N" in refused.output


def test_merged_traces_can_be_looked_at(two_suites: Any) -> None:
    """The whole database is as good as one that ran everything."""
    databases = _shards(two_suites, 2)
    _p2re("merge", *map(str, databases), "-o", "whole.db", "--report", "whole.html")
    with open_store(two_suites.path / "whole.db") as store:
        experiment = store.read_experiment("latest")
        traces = store.list_traces(limit=100, experiment_id=experiment.experiment_id)
    assert len(traces) == 25
    assert "The full texts could not be read" not in (two_suites.path / "whole.html").read_text()


@pytest.mark.parametrize("text", ["3", "0/2", "3/2", "a/b", "1/0", "-1/2"])
def test_a_share_is_k_of_n(text: str) -> None:
    """Counted from 1."""
    with pytest.raises(Exception, match="is no share; write K/N, such as 2/5"):
        shard(text)


def test_shares_differ_by_one_at_most_and_do_not_depend_on_order() -> None:
    """For any number of units and shares."""
    for number in (1, 2, 7, 100):
        units = [f"case-{n}" for n in range(number)]
        shares = dealt("suites/a.yaml", units, 5)
        assert dealt("suites/a.yaml", units[::-1], 5) == shares
        sizes = [list(shares.values()).count(share) for share in range(5)]
        assert max(sizes) - min(sizes) <= 1


def test_an_empty_share_is_a_share(project: Any) -> None:
    """One case on three machines: two have nothing to do, and the merge knows of them."""
    project.suite({"one": "billing"}, more="gates: [pass_rate >= 0.9]")
    project.run()
    databases = _shards(project, 3)
    assert len(databases) == 3
    results = [project.run("--p2re-shard", f"{number}/3") for number in (1, 2, 3)]
    assert [result.ret for result in results] == [0, 0, 0]
    assert _p2re("merge", *map(str, databases), "-o", "whole.db").exit_code == 0


def test_shards_that_looked_back_are_compared_as_a_whole(project: Any) -> None:
    """--p2re-against on each machine: the merge has both sides, and the gate its verdict."""
    project.suite(
        {f"ticket {n}": "billing" for n in range(10)},
        answers={"sharp": "technical", ".*": "billing"},
        more="gates: [no_regression]",
    )
    who = ["-c", "user.email=a@example.org", "-c", "user.name=a"]
    for command in (["init", "-q"], ["add", "-A"], [*who, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=project.path, check=True, capture_output=True)
    prompt = project.path / "prompts/route.yaml"
    prompt.write_text(prompt.read_text().replace('"{{ ticket }}"', '"sharp {{ ticket }}"'))
    databases = _shards(project, 2, "--p2re-against", "HEAD")
    merged = _p2re("merge", *map(str, databases), "-o", "whole.db", "--report", "whole.md")
    assert merged.exit_code == 1
    assert "10 worse, of 10 cases" in merged.output
    assert "regression: pass_rate" in " ".join(merged.output.split())
    assert "### Since HEAD" in (project.path / "whole.md").read_text()
