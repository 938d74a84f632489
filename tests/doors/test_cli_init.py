"""``p2re init``: a project that runs, and nothing of the user's touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.suites import load_suite


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["init", *arguments])


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def files() -> list[str]:
    return sorted(str(path) for path in Path().rglob("*") if path.is_file())


def test_an_empty_folder_becomes_a_project() -> None:
    """One prompt, one suite, what git should ignore, and what to do next."""
    result = run()
    assert result.exit_code == 0
    assert result.output == (
        "wrote prompts/route_ticket.yaml\n"
        "wrote suites/route_ticket.yaml\n"
        "wrote .gitignore\n"
        "wrote .p2re/schemas: editors complete the files from these schemas\n"
        "next:\n"
        "    pip install 'p2re-eval[local]'\n"
        "    p2re models pull smollm2-135m\n"
        "    pytest --p2re\n"
    )
    assert files() == [
        ".gitignore",
        ".p2re/schemas/prompt.schema.json",
        ".p2re/schemas/suite.schema.json",
        "prompts/route_ticket.yaml",
        "suites/route_ticket.yaml",
    ]
    assert Path(".gitignore").read_text() == ".p2re/\n"


def test_the_example_loads_and_renders() -> None:
    """The prompt takes what each case of the suite gives."""
    run()
    suite = load_suite(Path("suites/route_ticket.yaml"), root=Path())
    library = PromptLibrary(Path("prompts"))
    template = library.get("route_ticket")
    assert suite.prompts == ("route_ticket",)
    assert len(suite.cases) == 6
    teams = template.output_schema["properties"]["team"]["enum"]  # type: ignore[index]
    for case in suite.cases:
        assert library.check_inputs(template, case.inputs) == []
        assert case.expected["team"] in teams
        rendered = library.render(template, dict(case.inputs))
        assert rendered.model.id == "local/smollm2-135m"
        assert rendered.messages[-1].text == case.inputs["ticket"]


def test_another_folder_is_made() -> None:
    """With the step into it."""
    result = run("a/new one")
    assert result.exit_code == 0
    assert "wrote a/new one/prompts/route_ticket.yaml\n" in result.output
    assert "next:\n    cd 'a/new one'\n    pip install" in result.output
    assert Path("a/new one/suites/route_ticket.yaml").is_file()


def test_nothing_is_overwritten() -> None:
    """When an example file exists, nothing at all is written: exit code 2."""
    Path("suites").mkdir()
    Path("suites/route_ticket.yaml").write_text("mine")
    result = run()
    assert result.exit_code == 2
    assert result.output == (
        "suites/route_ticket.yaml exists already, so nothing was written; "
        "choose another folder: p2re init FOLDER\n"
    )
    assert files() == ["suites/route_ticket.yaml"]
    assert Path("suites/route_ticket.yaml").read_text() == "mine"


def test_a_second_time_changes_nothing() -> None:
    """Both files are named."""
    run()
    Path("prompts/route_ticket.yaml").write_text("changed")
    result = run()
    assert result.exit_code == 2
    assert result.output.startswith(
        "prompts/route_ticket.yaml and suites/route_ticket.yaml exist already, so nothing"
    )
    assert Path("prompts/route_ticket.yaml").read_text() == "changed"


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("build/\n", "kept .gitignore; add a line with .p2re/ to it\n"),
        ("build/\n.p2re/\n", "kept .gitignore\n"),
    ],
)
def test_a_gitignore_is_kept(before: str, line: str) -> None:
    """Most projects have one: that is no reason to refuse, nor to write into it."""
    Path(".gitignore").write_text(before)
    result = run()
    assert result.exit_code == 0
    assert line in result.output
    assert Path(".gitignore").read_text() == before


def test_a_folder_that_cannot_be_written_is_a_sentence() -> None:
    """A file stands where a folder should be."""
    Path("prompts").write_text("a file")
    result = run()
    assert result.exit_code == 2
    assert result.output == "cannot write prompts (File exists); choose another folder\n"
