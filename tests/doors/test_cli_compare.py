"""``p2re experiments compare|gate|bless|rescore``: judged again without a single model call."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.store import open_store

TWENTY = {f"ticket {n}": "billing" for n in range(20)}
BAD = {"ticket [0-7]$": "technical", ".*": "billing"}


@pytest.fixture
def two(project: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Two experiments: all twenty cases pass, then eight of them fail."""
    monkeypatch.chdir(project.path)
    project.suite(TWENTY)
    project.run()
    project.suite(TWENTY, answers=BAD)
    project.run()
    return project


def experiments(project: Any, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["experiments", *arguments, "--db", str(project.db)])


def ids(project: Any) -> list[str]:
    with open_store(project.db) as store:
        return [one.experiment_id for one in store.list_experiments()]


def calls(project: Any) -> int:
    with open_store(project.db) as store:
        return len(store.list_traces(limit=1000))


def test_compare_shows_flips_differences_and_changes(two: Any) -> None:
    """The newest experiment beside the one before it."""
    output = experiments(two, "compare", "latest").output
    lines = [line.rstrip() for line in output.splitlines()]
    assert lines[0] == "Flips since latest: 8 worse, of 20 cases"
    assert "  ✗ case-0  passed -> failed by equals" in lines
    row = next(line for line in lines if line.startswith("  pass_rate"))
    assert row.split()[:6] == ["pass_rate", "100", "%", "60.0", "%", "-40.0"]
    assert row.split()[-2:] == ["0.008", "20"]


def test_compare_as_json(two: Any) -> None:
    """The same numbers for other programs, exactly."""
    after, before = ids(two)
    told = json.loads(experiments(two, "compare", before, after, "--json").output)
    assert (told["cases"], told["broke"], told["fixed"]) == (20, 8, 0)
    assert told["deltas"][0]["p_value"] == pytest.approx(2 / 2**8)
    assert told["before"]["experiment_id"] == before


def test_gates_are_decided_again_without_a_run(two: Any) -> None:
    """A threshold may be tried on what is recorded; the exit code says whether it holds."""
    before = calls(two)
    met = experiments(two, "gate", "--gate", "pass_rate >= 0.6")
    assert (met.exit_code, met.output.splitlines()[0]) == (
        0,
        "met        suites/support.yaml  pass_rate >= 0.6",
    )
    missed = experiments(two, "gate", "--gate", "pass_rate >= 0.7", "--gate", "pass_rate >= 0.5")
    assert missed.exit_code == 1
    assert missed.output.splitlines()[0].startswith("MISSED")
    relative = experiments(two, "gate", "--gate", "no_regression", "--baseline", "latest")
    assert (relative.exit_code, relative.output.split()[0]) == (1, "MISSED")
    assert "regression: pass_rate went from 100 % to 60.0 %" in relative.output
    assert calls(two) == before


def test_gates_come_from_the_suite_files_as_they_are_now(two: Any) -> None:
    """A suite that gained a gate is judged by it."""
    assert experiments(two, "gate").exit_code == 1  # there are none: nothing was decided
    two.suite(TWENTY, answers=BAD, more="gates: ['pass_rate[case=case-1*] >= 0.9']")
    told = json.loads(experiments(two, "gate", "--json").output)
    assert [(one["passed"], one["value"]) for one in told] == [(True, 10 / 11)]


def test_rescoring_judges_recorded_answers_by_new_scorers(two: Any) -> None:
    """A looser scorer: the eight wrong answers pass, and no model is called."""
    before = calls(two)
    suite = two.suite(TWENTY, answers=BAD, more="gates: [pass_rate >= 0.99]")
    text = suite.read_text().replace("scorers: [equals]", "scorers: [{regex: '[a-z]+'}]")
    suite.write_text(text)
    result = experiments(two, "rescore")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("PASSED  1 gate met, 20 of 20 runs passed")
    assert calls(two) == before
    assert [r.outcome for r in two.results()] == ["passed"] * 20
    with open_store(two.db) as store:
        assert store.read_experiment("latest").settings["rescored_from"] == ids(two)[1]


def test_rescoring_leaves_out_answers_to_other_inputs(two: Any) -> None:
    """What the case asks now was never answered."""
    two.suite({"another": "billing", **dict(list(TWENTY.items())[1:15])}, answers=BAD)
    result = experiments(two, "rescore")
    assert "left out  1 result: the case has other inputs now" in result.output
    assert "left out  5 results: not in the suite any more" in result.output
    assert len(two.results()) == 14


def test_blessing_writes_a_file_that_compares_as_the_experiment_does(two: Any) -> None:
    """Sorted, one line a case; the same verdict, to the digit."""
    after, before = ids(two)
    result = experiments(two, "bless", before)
    assert result.output == f"baselines/p2re.jsonl: 20 cases of experiment {before[:12]}\n"
    lines = [
        json.loads(line) for line in (two.path / "baselines/p2re.jsonl").read_text().splitlines()
    ]
    names = [line["case"] for line in lines[2:]]
    assert names == sorted(names)
    assert len(names) == 20
    by_file = json.loads(
        experiments(two, "compare", "baselines/p2re.jsonl", after, "--json").output
    )
    by_id = json.loads(experiments(two, "compare", before, after, "--json").output)
    assert by_file["deltas"] == by_id["deltas"]
    assert by_file["broke"] == 8
    assert by_file["flips"][0]["scorers"] == ["equals"]


def test_blessing_twice_changes_only_what_changed(two: Any) -> None:
    """A diff of the file is a diff of the outcomes."""
    after, before = ids(two)
    experiments(two, "bless", before)
    first = (two.path / "baselines/p2re.jsonl").read_text().splitlines()
    experiments(two, "bless", after)
    second = (two.path / "baselines/p2re.jsonl").read_text().splitlines()
    changed = [json.loads(b) for a, b in zip(first[2:], second[2:], strict=True) if a != b]
    flipped = [line["case"] for line in changed if line["ran"] == "F"]
    assert len(flipped) == 8


def test_a_blessed_file_serves_as_baseline_in_pytest(two: Any) -> None:
    """Without the database that it came from."""
    experiments(two, "bless", ids(two)[1])
    two.suite(TWENTY, answers=BAD, more="gates: [no_regression]")
    two.db.unlink()
    result = two.run("--p2re-baseline", "baselines/p2re.jsonl")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["Flips since baselines/p2re.jsonl: 8 worse, of 20 cases"])


def test_an_unfinished_experiment_is_not_blessed(two: Any) -> None:
    """Half an experiment is no baseline."""
    from p2re_eval.records import Experiment

    with open_store(two.db) as store:
        store.start_experiment(Experiment(experiment_id="f" * 32, name="x", started_ns=1))
        result = experiments(two, "bless", "ffff")
    assert result.exit_code == 2
    assert "is running; bless one that is complete" in result.output


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"baseline": 2, "experiment": "e", "started_ns": 1}', "a newer p2re_eval wrote"),
        ("[1]", "baseline.jsonl:1: this is no line of a baseline"),
        ("not json", "baseline.jsonl:1: this is no line of a baseline"),
        ("", "baseline.jsonl:1: this is no baseline file"),
    ],
)
def test_a_damaged_baseline_file_is_named_with_its_line(two: Any, text: str, told: str) -> None:
    """As every file that a user may edit."""
    (two.path / "baseline.jsonl").write_text(text)
    result = experiments(two, "compare", "baseline.jsonl")
    assert result.exit_code == 2
    assert told in result.output
