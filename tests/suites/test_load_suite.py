"""A suite file as a record, and everything that can be wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import (
    DefinitionErrors,
    DuplicateKey,
    MissingFile,
    MissingValue,
    OutsideFolder,
    SyntaxMistake,
    UnknownName,
    WrongType,
)
from p2re_eval.records import GateSpec, ModelSettings, Place, Price
from p2re_eval.suites import is_suite, is_suite_text, load_suite

FULL = """\
name: support
description: Tickets reach the right team.
prompts: [route_ticket, route_ticket@main]
models:
  - local/smollm2-135m
  - openrouter/meta-llama/llama-3.1:free
  - {provider: openai, name: gpt-5-mini, temperature: 1, stop: [END], price: {input: 1, output: 2}}
settings: {max_tokens: 16, timeout_s: 5}
repeat: 3
source: replay
recordings: suites/recordings/support.jsonl
tags: [smoke, fast]
threshold: 0.5
scorers: [equals]
gates:
  - pass_rate >= 0.9
  - no_regression: {margin: 0.02}
  - no_regression:
cases:
  - id: double-charge
    inputs: {ticket: I was charged twice.}
    expected: billing
    tags: [refund]
    cluster: 7
    threshold: 1
    metadata: {source: mail}
"""


def test_a_suite_file_is_one_record(project: Any) -> None:
    """Every key of the format ends where the rest of the program looks for it."""
    suite = project.load(FULL)
    assert (suite.name, suite.path) == ("support", "suites/s.yaml")
    assert suite.description == "Tickets reach the right team."
    assert suite.prompts == ("route_ticket", "route_ticket@main")
    assert suite.models == (
        ModelSettings(provider="local", name="smollm2-135m"),
        ModelSettings(provider="openrouter", name="meta-llama/llama-3.1:free"),
        ModelSettings(
            provider="openai",
            name="gpt-5-mini",
            temperature=1.0,
            stop=("END",),
            price=Price(input=1.0, output=2.0),
        ),
    )
    assert suite.settings == ModelSettings(max_tokens=16, timeout_s=5.0)
    assert (suite.repeat, suite.threshold, suite.source) == (3, 0.5, "replay")
    assert suite.recordings == "suites/recordings/support.jsonl"
    assert suite.tags == ("smoke", "fast")
    (case,) = suite.cases
    assert (case.id, case.inputs) == ("double-charge", {"ticket": "I was charged twice."})
    assert (case.expected, case.tags, case.cluster) == ("billing", ("refund",), "7")
    assert (case.threshold, case.metadata) == (1.0, {"source": "mail"})
    assert str(case.place) == "suites/s.yaml:20:5"


def test_gates_keep_their_words_and_options(project: Any) -> None:
    """What a gate means is not the loader's business; where it stands is."""
    first, second, third = project.load(FULL).gates
    assert first == GateSpec(
        text="pass_rate >= 0.9", place=Place(path="suites/s.yaml", line=16, column=5)
    )
    assert (second.text, second.options) == ("no_regression", {"margin": 0.02})
    assert (third.text, third.options, third.place.line) == ("no_regression", {}, 18)


def test_places_of_keys_prompts_and_models(project: Any) -> None:
    """Whoever finds a mistake later can still point at the line."""
    places = project.load(FULL).places
    assert str(places["models"]) == "suites/s.yaml:4:1"
    assert str(places["prompt:route_ticket@main"]) == "suites/s.yaml:3:25"
    assert str(places["model:local/smollm2-135m"]) == "suites/s.yaml:5:5"
    assert str(places["model:openai/gpt-5-mini"]) == "suites/s.yaml:7:5"
    assert "dataset" not in places


def test_the_least_a_suite_can_say(project: Any) -> None:
    """A prompt and a case; everything else has a default."""
    suite = project.load("prompt: p\ncases: [{}]")
    assert (suite.name, suite.prompts, suite.models) == ("s", ("p",), ())
    assert (suite.repeat, suite.threshold, suite.source) == (1, None, None)
    assert suite.recordings is None
    assert [case.id for case in suite.cases] == ["case-001"]
    assert str(suite.places["prompt:p"]) == "suites/s.yaml:1:9"


def test_a_suite_elsewhere_keeps_its_path(project: Any, tmp_path: Path) -> None:
    """Outside the root folder the path is the given one, and datasets stay beside the suite."""
    path = project.write("elsewhere/s.yaml", "prompt: p\ndataset: d.jsonl")
    project.write("elsewhere/d.jsonl", '{"ticket": "x"}')
    suite = load_suite(path, root=tmp_path / "suites")
    assert suite.path == path.as_posix()
    assert suite.cases[0].place.path == (tmp_path / "elsewhere/d.jsonl").as_posix()


def test_a_relative_path_is_shown_from_the_root(
    project: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the command was started."""
    project.write("suites/deep/er/s.yaml", "prompt: p\ncases: [{}]")
    monkeypatch.chdir(tmp_path / "suites" / "deep")
    assert load_suite(Path("er/../er/s.yaml"), root=tmp_path).path == "suites/deep/er/s.yaml"


@pytest.mark.parametrize(
    ("suite", "sentence", "kind"),
    [
        ("", "s.yaml:1:1: this file is empty; a suite needs `prompt:` and `cases:`", MissingValue),
        ("- a", "s.yaml:1:1: a list at the top is a dataset; name it in the", WrongType),
        ("hello", "s.yaml:1:1: this is only text; a suite needs `prompt:`", WrongType),
        ("cases: [{}]", "s.yaml:1:1: a suite needs `prompt: NAME` (or `prompts:`)", MissingValue),
        ("prompt: p", "s.yaml:1:1: this suite has no cases; add `cases:`", MissingValue),
        ("prompt: p\ncases: []", "s.yaml:1:1: this suite has no cases; add", MissingValue),
        ("prompt: p\ncases:", "s.yaml:2:7: 'cases' must be a list, found nothing", WrongType),
        ("promt: p\ncases: [{}]", "s.yaml:1:1: unknown key 'promt'; did you mean", UnknownName),
        ("prompt: 3\ncases: [{}]", "s.yaml:1:9: 'prompt' must be text", WrongType),
        ("prompt: a b\ncases: [{}]", "s.yaml:1:9: a prompt is named by one word", WrongType),
        ("prompts: []\ncases: [{}]", "s.yaml:1:10: ", WrongType),
        ("prompts: [a, a]\ncases: [{}]", "s.yaml:1:14: the prompt 'a' is listed", DuplicateKey),
        ("prompts: [a, 3]\ncases: [{}]", "s.yaml:1:14: a prompt is named by one", WrongType),
        ("prompt: a\nprompts: [b]\ncases: [{}]", "s.yaml:2:1: give either `prompt:`", DuplicateKey),
        ("prompt: p\nrepeat: 0\ncases: [{}]", "s.yaml:2:9: ", WrongType),
        ("prompt: p\nrepeat: 1001\ncases: [{}]", "s.yaml:2:9: ", WrongType),
        ("prompt: p\nrepeat: '3'\ncases: [{}]", "s.yaml:2:9: 'repeat' must be a whole", WrongType),
        ("prompt: p\nsource: taped\ncases: [{}]", "s.yaml:2:9: ", WrongType),
        ("prompt: p\nmodels: [gpt]\ncases: [{}]", "s.yaml:2:10: the model 'gpt' must", WrongType),
        ("prompt: p\nmodels: [a/]\ncases: [{}]", "s.yaml:2:10: the model 'a/' must", WrongType),
        ("prompt: p\nmodels: [a /b]\ncases: [{}]", "s.yaml:2:10: the model 'a /b'", WrongType),
        ("prompt: p\nmodels: [3]\ncases: [{}]", "s.yaml:2:10: a model must be", WrongType),
        ("prompt: p\nmodels: a/b\ncases: [{}]", "s.yaml:2:9: 'models' must be a list", WrongType),
        (
            "prompt: p\nmodels: [{provider: a}]\ncases: [{}]",
            "s.yaml:2:10: this model has no `name:`; add it",
            MissingValue,
        ),
        (
            "prompt: p\nmodels: [{provider: a, name: b, temprature: 1}]\ncases: [{}]",
            "s.yaml:2:33: unknown key 'temprature'; did you mean 'temperature'?",
            UnknownName,
        ),
        (
            "prompt: p\nmodels: [{provider: a, name: b, max_tokens: '5'}]\ncases: [{}]",
            "s.yaml:2:45: 'max_tokens' must be a whole number, found the text '5'",
            WrongType,
        ),
        (
            "prompt: p\nsettings: {name: b}\ncases: [{}]",
            "s.yaml:2:12: 'name' stands in `models:`, not in `settings:`; move it",
            WrongType,
        ),
        ("prompt: p\nsettings: 3\ncases: [{}]", "s.yaml:2:11: ", WrongType),
        (
            "prompt: p\nrecordings: ../r.jsonl\ncases: [{}]",
            "s.yaml:2:13: recordings lie below the root folder; give a path relative",
            OutsideFolder,
        ),
        ("prompt: p\nrecordings: /r\ncases: [{}]", "s.yaml:2:13: recordings", OutsideFolder),
        ("prompt: p\ngates: [{}]\ncases: [{}]", "s.yaml:2:9: a gate is missing its", WrongType),
        (
            "prompt: p\ngates: [{pass_rate: 0.9}]\ncases: [{}]",
            "s.yaml:2:9: the gate 'pass_rate' takes options, not a value; write it like",
            WrongType,
        ),
        (
            "prompt: p\ngates: [{a: {}, b: {}}]\ncases: [{}]",
            "s.yaml:2:9: a gate is one name, found 'a' and 'b' together",
            WrongType,
        ),
        ("prompt: p\ncases: [{input: {}}]", "s.yaml:2:10: unknown key 'input'", UnknownName),
        ("prompt: p\ncases: [3]", "s.yaml:2:9: ", WrongType),
        ("prompt: p\ncases: [{inputs: [a]}]", "s.yaml:2:18: 'inputs' must be a map", WrongType),
        ("prompt: p\ncases: [{tags: a}]", "s.yaml:2:16: 'tags' must be a list", WrongType),
        ("prompt: p\ncases: [{threshold: x}]", "s.yaml:2:21: 'threshold' must be", WrongType),
        ("prompt: p\ndefaults: {expected: 1}\ncases: [{}]", "s.yaml:2:12: unknown", UnknownName),
        ("a: b: c", "s.yaml:1:5: a ':' where no key can be", SyntaxMistake),
        ("prompt: p\ndataset: 3", "s.yaml:2:10: a dataset is a file's path", WrongType),
        ("prompt: p\ndataset: {limit: 3}", "s.yaml:2:1: 'path' is required", MissingValue),
        (
            "prompt: p\ndataset: {path: d.jsonl, limt: 3}\ncases: [{}]",
            "s.yaml:2:26: unknown key 'limt'; did you mean 'limit'?",
            UnknownName,
        ),
        ("prompt: p\ndataset: {path: d.jsonl, limit: 0}", "s.yaml:2:33: ", WrongType),
        (
            "prompt: p\ndataset: d.tsv",
            "s.yaml:2:10: 'd.tsv' is no dataset; use one of .csv, .jsonl, .yaml, .yml",
            WrongType,
        ),
        (
            "prompt: p\ndataset: /etc/d.csv",
            "s.yaml:2:10: the dataset '/etc/d",
            OutsideFolder,
        ),
        ("prompt: p\ndataset: ../../d.csv", "s.yaml:2:10: the dataset '../../d.", OutsideFolder),
    ],
)
def test_a_mistake_is_one_sentence_at_its_place(
    project: Any, suite: str, sentence: str, kind: type
) -> None:
    """And nothing else is said: no second message that follows from the first."""
    project.write("suites/d.jsonl", '{"ticket": "x"}')
    (mistake,) = project.errors(suite)
    assert str(mistake).startswith(f"suites/{sentence}"), str(mistake)
    assert type(mistake) is kind


def test_all_mistakes_of_a_suite_are_reported_together(project: Any) -> None:
    """In line order, and the datasets' after the suite's."""
    project.write("suites/d.jsonl", '{"ticket": 1\n{"id": 5, "inputs": {}, "input": 1}\n')
    assert project.mistakes(
        """\
        prompt: p
        repeat: many
        models: [gpt, local/x, {provider: a}]
        dataset: d.jsonl
        scorers:
          - {contains: a, weight: 2}
          - equals: {weight: heavy}
        gates: [{}]
        cases:
          - inputs: []
          - {id: "a::b"}
          - {scorers: [3]}
        """
    ) == [
        "suites/s.yaml:2:9: 'repeat' must be a whole number, found the text 'many'",
        "suites/s.yaml:3:10: the model 'gpt' must be PROVIDER/NAME, such as local/smollm2-135m",
        "suites/s.yaml:3:24: this model has no `name:`; add it",
        "suites/s.yaml:6:5: a scorer is one name, found 'contains' and 'weight' together; "
        "write NAME, {NAME: VALUE} or {NAME: {OPTION: VALUE}}",
        "suites/s.yaml:7:22: 'weight' must be a number",
        "suites/s.yaml:8:9: a gate is missing its name; write it like `pass_rate >= 0.9`, "
        "or as {NAME: {OPTION: VALUE}}",
        "suites/s.yaml:10:13: 'inputs' must be a mapping, found a list",
        "suites/s.yaml:11:10: the case id 'a::b' may not hold '::', brackets or control "
        "characters; change it",
        "suites/s.yaml:12:16: a scorer is missing its name; "
        "write NAME, {NAME: VALUE} or {NAME: {OPTION: VALUE}}",
        "suites/d.jsonl:1:13: not JSON: expecting ',' delimiter; write one object a line",
        "suites/d.jsonl:2: unknown key 'input'; did you mean 'inputs'?",
    ]


def test_a_missing_dataset_names_its_neighbours(project: Any) -> None:
    """The file that was probably meant."""
    project.write("suites/tickets.jsonl", "{}")
    project.write("suites/data/more.csv", "a\n1\n")
    (mistake,) = project.errors("prompt: p\ndataset: ticket.jsonl")
    assert isinstance(mistake, MissingFile)
    assert str(mistake) == (
        "suites/s.yaml:2:10: there is no dataset 'ticket.jsonl' beside this file; "
        "did you mean 'tickets.jsonl'?"
    )
    (mistake,) = project.errors("prompt: p\ndataset: {path: data/mor.csv}")
    assert str(mistake) == (
        "suites/s.yaml:2:17: there is no dataset 'data/mor.csv' beside this file; "
        "did you mean 'data/more.csv'?"
    )
    (mistake,) = project.errors("prompt: p\ndataset: nowhere/x.csv")
    assert "'nowhere/x.csv'" in str(mistake)


def test_a_dataset_may_lie_anywhere_below_the_root(project: Any) -> None:
    """Several suites can share one folder of data."""
    project.write("data/d.jsonl", '{"ticket": "x"}')
    suite = project.load("prompt: p\ndataset: ../data/d.jsonl")
    assert str(suite.cases[0].place) == "data/d.jsonl:1"


def test_a_link_that_leaves_the_root_is_refused(
    project: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """What a repository brings cannot read files beside it."""
    secret = tmp_path_factory.mktemp("outside") / "d.jsonl"
    secret.write_text("{}")
    (project.root / "suites" / "d.jsonl").symlink_to(secret)
    (mistake,) = project.errors("prompt: p\ndataset: d.jsonl")
    assert isinstance(mistake, OutsideFolder)


def test_a_suite_that_cannot_be_read_is_a_sentence(project: Any) -> None:
    """With the path as everything else shows it."""
    with pytest.raises(DefinitionErrors, match=r"^suites/none\.yaml: cannot read this file"):
        load_suite(project.root / "suites" / "none.yaml", root=project.root)


# --- what is a suite -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prompt: p", True),
        ("# cases\n\n---\nprompt: p", True),
        ("- inputs: {}", False),
        ("-\n  inputs: {}", False),
        ("\ufeff# rows\r\n- inputs: {}\r\n", False),
        ("%YAML 1.2\n---\n- a", False),
        ("--- # rows\n- a", False),
        ("--- - a", False),
        ("[{inputs: {}}]", False),
        ("&all\n- a", False),
        ("--- !!seq\n- a", False),
        ("  - a", False),
        ("-1", True),
        ("--", True),
        ("", True),
        ("# nothing", True),
        ("key: [a]", True),
        ("{prompt: p}", True),
    ],
)
def test_a_list_at_the_top_is_a_dataset(text: str, expected: bool) -> None:
    """Seen from the first words, without reading the file as YAML."""
    assert is_suite_text(text) is expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("s.yaml", b"prompt: p", True),
        ("s.yml", b"prompt: p", True),
        ("rows.yaml", b"- a: 1", False),
        ("_shared.yaml", b"prompt: p", False),
        (".hidden.yaml", b"prompt: p", False),
        ("s.json", b"{}", False),
        ("notes.md", b"prompt: p", False),
        ("broken.yaml", b"\xff\xfe", True),
    ],
)
def test_which_files_are_suites(tmp_path: Path, name: str, content: bytes, expected: bool) -> None:
    """A file that cannot be read counts as one: loading it says what is wrong."""
    (tmp_path / name).write_bytes(content)
    assert is_suite(tmp_path / name) is expected
