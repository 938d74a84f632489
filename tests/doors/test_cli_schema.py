"""``p2re schema``: editors complete and check prompt and suite files from what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.documents import read_document
from p2re_eval.records import JSON

REPOSITORY = Path(__file__).parents[2]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["schema", *arguments])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def written(kind: str) -> JSON:
    assert run(kind).exit_code == 0
    return json.loads(Path(f".p2re/schemas/{kind}.schema.json").read_text(encoding="utf-8"))


def accepts(kind: str, text: str) -> bool:
    validator = jsonschema_rs.Draft202012Validator(written(kind))
    return validator.is_valid(read_document("f.yaml", text).value)


def test_both_schemas_are_written() -> None:
    """Into the folder git ignores, with the line that ties a file to its schema."""
    result = run()
    assert result.exit_code == 0
    assert result.output == (
        "wrote .p2re/schemas/prompt.schema.json; the first line of a file in prompts/:\n"
        "    # yaml-language-server: $schema=../.p2re/schemas/prompt.schema.json\n"
        "wrote .p2re/schemas/suite.schema.json; the first line of a file in suites/:\n"
        "    # yaml-language-server: $schema=../.p2re/schemas/suite.schema.json\n"
    )
    assert sorted(path.name for path in Path(".p2re/schemas").iterdir()) == [
        "prompt.schema.json",
        "suite.schema.json",
    ]


def test_one_schema_is_written_when_one_is_named() -> None:
    """`p2re schema prompt` leaves the other alone."""
    assert run("prompt").exit_code == 0
    assert [path.name for path in Path(".p2re/schemas").iterdir()] == ["prompt.schema.json"]


@pytest.mark.parametrize("kind", ["prompt", "suite"])
def test_a_schema_says_what_it_is(kind: str) -> None:
    """Draft 2020-12, an id and a title, and the same bytes every time."""
    schema = written(kind)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"urn:p2re_eval:schema:{kind}"
    assert schema["title"] == f"p2re_eval {kind}"
    jsonschema_rs.meta.validate(schema)
    assert run(kind, "--out", "-").output == run(kind, "--out", "-").output


def test_out_chooses_the_folder() -> None:
    """The line to paste follows; an absolute folder gives an absolute address."""
    assert "$schema=../docs/suite.schema.json" in run("suite", "--out", "docs").output
    there = Path.cwd() / "else where"
    assert "$schema=file:///" in run("suite", "--out", str(there)).output
    assert (there / "suite.schema.json").is_file()


def test_a_schema_can_be_printed() -> None:
    """`--out -` writes no file; it prints one schema and so needs to know which."""
    result = run("suite", "--out", "-")
    assert json.loads(result.output)["title"] == "p2re_eval suite"
    assert not Path(".p2re").exists()
    refused = run("--out", "-")
    assert refused.exit_code == 2
    assert "say `prompt`, `suite`, `report`" in refused.output


def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    """Exit code 2, no traceback."""
    Path("taken").write_text("a file")
    result = run("--out", "taken")
    assert result.exit_code == 2
    assert result.output == "cannot write to taken (File exists); choose another --out\n"


SUITE = """\
name: s
description: d
prompts: [a, b@main]
models: [local/x, {provider: openai, name: gpt, temperature: 0, stop: [a]}]
settings: {max_tokens: 5}
repeat: 3
source: replay
recordings: r.jsonl
dataset: [a.csv, {path: b.jsonl, limit: 3, inputs: {ticket: body}, metadata: [lang]}]
defaults: {inputs: {tone: calm}, tags: [x], scorers: [equals]}
tags: [smoke]
threshold: 0.5
scorers: [equals, max_latency: 2s, not-contains: {text: x, weight: 2}]
gates: [pass_rate >= 0.9, no_regression: {margin: 0.02}, no_regression: null]
cases:
  - {id: 17, inputs: {t: [1]}, expected: {a: b}, tags: [x], cluster: c, threshold: 1}
  - {scorers: [contains: x], metadata: {a: 1}}
"""


def test_a_suite_with_everything_is_accepted() -> None:
    """Each key of the format, in each of its forms."""
    assert accepts("suite", SUITE)


def test_the_least_suites_are_accepted() -> None:
    """Inline cases or a dataset."""
    assert accepts("suite", "prompt: p\ncases: [{}]")
    assert accepts("suite", "prompt: p\ndataset: d.csv")


@pytest.mark.parametrize(
    "text",
    [
        "promt: p\ncases: [{}]",
        "cases: [{}]",
        "prompt: p",
        "prompt: p\nprompts: [q]\ncases: [{}]",
        "prompt: p\ncases: {}",
        "prompt: p\ncases: [{input: {}}]",
        "prompt: p\ncases: [{tags: a}]",
        "prompt: p\ncases: [{}]\nrepeat: 0",
        "prompt: p\ncases: [{}]\nrepeat: 1001",
        "prompt: p\ncases: [{}]\nsource: taped",
        "prompt: p\ncases: [{}]\nscorers: equals",
        "prompt: p\ncases: [{}]\nscorers: [{a: 1, b: 2}]",
        "prompt: p\ncases: [{}]\nscorers: [3]",
        "prompt: p\ncases: [{}]\ngates: [{pass_rate: 0.9}]",
        "prompt: p\ncases: [{}]\nmodels: [3]",
        "prompt: p\ncases: [{}]\nmodels: [gpt]",
        "prompt: p\ncases: [{}]\nmodels: [{provider: a, name: b, temprature: 1}]",
        "prompt: p\ndataset: {limit: 3}",
        "prompt: p\ndataset: {path: a.csv, limt: 3}",
        "- prompt: p",
    ],
)
def test_a_broken_suite_is_refused(text: str) -> None:
    """What the loader refuses, the editor underlines."""
    assert not accepts("suite", text)


def test_a_prompt_is_accepted() -> None:
    """The example of `p2re init`."""
    template = REPOSITORY / "p2re_eval/cli/templates/prompts/route_ticket.yaml"
    assert accepts("prompt", template.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "text",
    [
        "messages: [{user: hi}]\nmodle: {}",
        "messages: [{robot: hi}]",
        "messages: hi",
        "messages: [{user: hi, system: ho}]",
        "messages: [{user: hi}]\nmodel: {temperature: warm}",
        "messages: [{user: hi}]\noutput: {schma: {}}",
    ],
)
def test_a_broken_prompt_is_refused(text: str) -> None:
    """Unknown keys and roles, and values of a wrong type."""
    assert not accepts("prompt", text)


@pytest.mark.parametrize(("kind", "folder"), [("prompt", "prompts"), ("suite", "suites")])
def test_this_repositorys_own_files_are_accepted(kind: str, folder: str) -> None:
    """Schemas and loaders agree about real files."""
    validator = jsonschema_rs.Draft202012Validator(written(kind))
    files = sorted((REPOSITORY / folder).glob("*.yaml"))
    assert files
    for file in files:
        errors = [error.message for error in validator.iter_errors(read_document(file).value)]
        assert errors == [], file


def test_a_report_fits_its_schema(project: Any) -> None:
    """What --p2re-report X.json writes, checked by another program's reading of the schema."""
    project.suite({"a": "billing", "b": "technical"}, more="gates: [pass_rate >= 0.5]")
    project.run("--p2re-report", "report.json")
    schema = CliRunner().invoke(main, ["schema", "report", "--out", "-"])
    validator = jsonschema_rs.validator_for(json.loads(schema.output))
    report = json.loads((project.path / "report.json").read_text())
    assert [str(error) for error in validator.iter_errors(report)] == []
    assert not validator.is_valid({**report, "surprise": 1})
