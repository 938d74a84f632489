"""`prompt: route@production` in a suite: the version that the label is on, out of the database."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from p2re_eval.cli import main
from p2re_eval.notebook.bench import Workbench
from p2re_eval.pipeline import Harness, Settings
from p2re_eval.store import open_store

ANSWERS = '{"answers": {"OLD": "billing", ".*": "technical"}}'
SUITE = f"""\
prompt: route@production
models:
  - {{provider: scripted, name: router, extra: {ANSWERS}}}
scorers: [equals]
cases:
  - {{id: one, inputs: {{ticket: I was charged twice}}, expected: billing}}
"""
PROMPT = """\
model: {provider: scripted, name: router}
inputs:
  ticket: {type: string}
messages:
  - user: "OLD words {{ ticket }}"
"""


def label(project: Any, *arguments: str) -> None:
    folder = str(project.path / "prompts")
    command = ["prompts", "label", *arguments, "--folder", folder, "--db", str(project.db)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output


@pytest.fixture
def labelled(project: Any) -> Any:
    """The old words are in production and nowhere else: no git, and the file has moved on."""
    project.write("prompts/route.yaml", PROMPT)
    project.write("suites/support.yaml", SUITE)
    label(project, "route", "production")
    project.write("prompts/route.yaml", PROMPT.replace("OLD", "NEW"))
    return project


def test_a_suite_asks_for_a_label(labelled: Any) -> None:
    """The recorded text is what is sent, and the experiment says which version that was."""
    labelled.run().assert_outcomes(passed=1)
    [result] = labelled.results()
    with open_store(labelled.db) as store:
        trace = store.read_trace(result.trace_id)
        experiment = store.read_experiment("latest")
    assert trace.prompt.messages[0].text.startswith("OLD words I was")
    assert experiment.settings["prompt_versions"] == {"route@production": trace.prompt.version}


def test_workers_and_their_experiment_know_the_label(labelled: Any) -> None:
    """With xdist the controller finishes an experiment that its workers planned."""
    labelled.run("-n", "2", subprocess=True).assert_outcomes(passed=1)
    with open_store(labelled.db) as store:
        experiment = store.read_experiment("latest")
    assert list(experiment.settings["prompt_versions"]) == ["route@production"]


def test_a_label_that_moves_changes_the_next_run(labelled: Any) -> None:
    """Nothing in the suite changes."""
    label(labelled, "route", "production")
    labelled.run().assert_outcomes(failed=1)


def test_an_unknown_label_is_said_with_a_near_one(labelled: Any) -> None:
    """At the line of the suite that names it."""
    labelled.write("suites/support.yaml", SUITE.replace("@production", "@prodution"))
    result = labelled.run()
    result.stdout.fnmatch_lines(["*suites/support.yaml:1*did you mean 'production'?*"])


def test_without_a_database_the_error_says_where_labels_are(labelled: Any) -> None:
    """A fresh checkout, a CI job."""
    labelled.db = labelled.path / "elsewhere.db"
    result = labelled.run()
    result.stdout.fnmatch_lines(
        ["*labels are kept in the database, and there is none at *elsewhere.db: point P2RE_DB at*"]
    )
    assert not labelled.db.exists()


def test_code_and_commands_take_a_label_too(labelled: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A harness in Python, `p2re prompts show`, and a label put where another one is."""
    settings = Settings(root=labelled.path, db_path=labelled.db, prompts=labelled.path / "prompts")
    library = Harness(settings).library
    assert library.get("route@production").messages[0].content == "OLD words {{ ticket }}"
    monkeypatch.setenv("P2RE_DB", str(labelled.db))
    folder = str(labelled.path / "prompts")
    shown = CliRunner().invoke(main, ["prompts", "show", "route@production", "--folder", folder])
    assert "OLD words" in shown.output
    label(labelled, "route", "canary", "production")
    assert library.get("route@canary").version == library.get("route@production").version


def test_a_recorded_version_is_found_by_its_digits(labelled: Any) -> None:
    """Even where git never saw it."""
    settings = Settings(root=labelled.path, db_path=labelled.db, prompts=labelled.path / "prompts")
    library = Harness(settings).library
    version = library.get("route@production").version
    assert library.get(f"route@{version[:9]}").version == version


def test_a_notebook_takes_a_label(labelled: Any) -> None:
    """What a cell renders is what is in production."""
    bench = Workbench(root=labelled.path, db=labelled.db)
    assert bench.render("route@production", ticket="x").messages[0].content == "OLD words x"
