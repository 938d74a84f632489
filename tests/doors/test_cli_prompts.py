"""`p2re prompts`: what each command prints, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.cli import main
from p2re_eval.records import (
    Completion,
    Evaluation,
    ModelSettings,
    RenderedPrompt,
    Score,
    Trace,
)
from p2re_eval.store import default_path, open_store

PROMPT = """\
name: route_ticket
description: Route a ticket.
model: local/tiny
inputs:
  ticket: string
  teams: {type: array, default: [billing]}
messages:
- system: |
    You route tickets to {{ teams | join(", ") }}.
    {% include "tone.jinja" %}
- user: "{{ ticket }}"
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/route.yaml").write_text(PROMPT)
    (tmp_path / "prompts/tone.jinja").write_text("Be kind.\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def repository(project: Path) -> Path:
    git("init", "--quiet", "--initial-branch", "main")
    commit("Add the prompt")
    (project / "prompts/tone.jinja").write_text("Be very kind.\n")
    return project


def git(*arguments: str) -> None:
    author = {"NAME": "Ann", "EMAIL": "ann@example.org", "DATE": "2026-01-02T03:04:05+01:00"}
    names = {f"GIT_{who}_{k}": v for who in ("AUTHOR", "COMMITTER") for k, v in author.items()}
    subprocess.run(["git", *arguments], env={**os.environ, **names}, check=True)


def commit(subject: str) -> None:
    git("add", "--all")
    git("commit", "--quiet", "-m", subject)


def p2re(*arguments: str, color: bool = False) -> Result:
    return CliRunner().invoke(main, ["prompts", *arguments], color=color)


def test_list_is_a_table(project: Path) -> None:
    """One line a prompt, aligned under its head."""
    result = p2re("list")
    head, line = result.stdout.splitlines()
    assert result.exit_code == 0
    assert head.split() == ["NAME", "VERSION", "MODEL", "INPUTS", "FILE"]
    assert line.startswith("route_ticket  ")
    assert line.endswith("  local/tiny  ticket, teams  prompts/route.yaml")
    assert head.index("MODEL") == line.index("local/tiny")


def test_list_as_json(project: Path) -> None:
    """The same for programs, with the full version."""
    (row,) = json.loads(p2re("list", "--json").stdout)
    assert (row["name"], row["path"], len(row["version"])) == (
        "route_ticket",
        "prompts/route.yaml",
        64,
    )


def test_list_shows_the_good_and_tells_the_bad(project: Path) -> None:
    """A broken file costs exit code 2, not the table."""
    (project / "prompts/bad.yaml").write_text("prompt: '{{ x }}'\n")
    result = p2re("list")
    assert result.exit_code == 2
    assert "route_ticket" in result.stdout
    assert result.stderr.startswith("prompts/bad.yaml:1:13: 'x' is not an input")


def test_list_of_an_empty_folder_says_where_it_looked(project: Path) -> None:
    """Nothing found is a mistake to correct."""
    result = p2re("list", "--folder", "elsewhere")
    assert (result.exit_code, result.stderr) == (
        2,
        "no prompt in the folder 'elsewhere'; write one with `p2re init`, "
        "or name another folder with --folder\n",
    )
    assert json.loads(p2re("list", "--json", "--folder", "elsewhere").stdout) == []


def test_show_prints_the_template(project: Path) -> None:
    """Settings first, then each message under its role."""
    out = p2re("show", "route_ticket").stdout
    assert "model:       local/tiny\n" in out
    assert '\nsystem\nYou route tickets to {{ teams | join(", ") }}.\n' in out
    assert out.endswith("\nuser\n{{ ticket }}\n")


def test_show_as_json(project: Path) -> None:
    """The whole record."""
    shown = json.loads(p2re("show", "route_ticket", "--json").stdout)
    assert shown["partials"] == {"tone.jinja": "Be kind."}


def test_render_prints_the_messages(project: Path) -> None:
    """A text input is text; others are read as JSON."""
    result = p2re("render", "route_ticket", "-i", "ticket=17", "-i", 'teams=["a", "b"]')
    assert result.exit_code == 0
    assert result.stdout == "system\nYou route tickets to a, b.\nBe kind.\n\nuser\n17\n"


def test_render_reads_inputs_from_files(project: Path) -> None:
    """`@file` for one input, `--inputs` for all, `-i` wins; `@@` is an at sign."""
    (project / "ticket.txt").write_text("From a file")
    (project / "inputs.json").write_text('{"ticket": "From JSON", "teams": ["x"]}')
    assert (
        "user\nFrom a file\n" in p2re("render", "route_ticket", "-i", "ticket=@ticket.txt").stdout
    )
    out = p2re("render", "route_ticket", "--inputs", "inputs.json").stdout
    assert "tickets to x." in out
    assert "From JSON" in out
    out = p2re("render", "route_ticket", "--inputs", "inputs.json", "-i", "ticket=@@ann").stdout
    assert out.endswith("user\n@ann\n")


def test_render_as_json(project: Path) -> None:
    """What a provider would be given."""
    shown = json.loads(p2re("render", "route_ticket", "-i", "ticket=x", "--json").stdout)
    assert shown["messages"][1] == {"role": "user", "content": "x", "tool_calls": []}
    assert shown["variables"] == {"ticket": "x", "teams": ["billing"]}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["render", "rout_ticket"],
            "no prompt is called 'rout_ticket'; did you mean 'route_ticket'?",
        ),
        (
            ["render", "route_ticket"],
            "input 'ticket' is missing; the prompt 'route_ticket' requires",
        ),
        (
            ["render", "route_ticket", "-i", "tikcet=x"],
            "unknown input 'tikcet'; did you mean 'ticket'",
        ),
        (["render", "route_ticket", "-i", "ticket"], "-i ticket: write it KEY=VALUE"),
        (
            ["render", "route_ticket", "-i", "teams=a"],
            "input 'teams' takes array, and this is not JSON",
        ),
        (
            ["render", "route_ticket", "-i", "ticket=@no"],
            "cannot read no: No such file or directory",
        ),
        (["render", "route_ticket", "--inputs", "no.json"], "cannot read no.json"),
        (["render", "route_ticket", "--inputs", "list.json"], "list.json must hold a JSON object"),
        (["show", "route_ticket@main"], "is not in a git repository"),
        (["log", "route_ticket"], "is not in a git repository"),
        (["diff", "route_ticket"], "is not in a git repository"),
        (["log", "nothing"], "no prompt is called 'nothing'"),
    ],
)
def test_a_mistake_is_a_sentence_and_exit_code_2(
    project: Path, arguments: list[str], says: str
) -> None:
    """On stderr, with nothing on stdout and no traceback."""
    (project / "list.json").write_text("[]")
    if arguments == ["log", "nothing"]:
        git("init", "--quiet")
        commit("First")
    result = p2re(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_diff_compares_with_head(repository: Path) -> None:
    """A changed partial shows under its own name, plain in a pipe."""
    result = p2re("diff", "route_ticket")
    head, *rest = result.stdout.splitlines()
    assert head.startswith("--- route_ticket@HEAD ")
    assert rest[0].startswith("+++ route_ticket ")
    assert rest[1:] == ["tone.jinja", "@@ -1 +1 @@", "-Be kind.", "+Be very kind."]


def test_diff_marks_the_changed_words_on_a_terminal(repository: Path) -> None:
    """Only the new word is reversed."""
    out = p2re("diff", "route_ticket", color=True).stdout
    assert "\x1b[32mBe\x1b[0m\x1b[32m\x1b[7m very\x1b[0m\x1b[32m kind.\x1b[0m" in out


def test_diff_of_rendered_messages(repository: Path) -> None:
    """With inputs it shows what the model would see."""
    lines = p2re("diff", "route_ticket", "-i", "ticket=x").stdout.splitlines()[2:]
    assert lines == [
        "system",
        "@@ -1,2 +1,2 @@",
        " You route tickets to billing.",
        "-Be kind.",
        "+Be very kind.",
    ]


def test_diff_of_two_revisions_and_of_messages(repository: Path) -> None:
    """Added and removed messages stand alone; settings are compared too."""
    path = repository / "prompts/route.yaml"
    changed = PROMPT.replace("- system", "- assistant: Hello.\n- system").replace("tiny", "small")
    path.write_text(changed.replace('- user: "{{ ticket }}"', "- developer: '{{ ticket }}'"))
    commit("Change")
    out = p2re("diff", "route_ticket", "v1", "v2").stdout
    assert "assistant (added)\n@@ -1 +1 @@\n+Hello.\n" in out
    assert "user (removed)\n@@ -1 +1 @@\n-{{ ticket }}\n" in out
    assert "developer (added)\n" in out
    assert '-  "name": "tiny"\n+  "name": "small"\n' in out
    assert "\nsystem" not in out


def test_diff_without_difference_says_so(repository: Path) -> None:
    """One line, with the version."""
    commit("Kinder")
    out = p2re("diff", "route_ticket").stdout
    assert out.startswith("no difference: both are version ")


def test_log_lists_versions(repository: Path) -> None:
    """Newest first; the number is what `@vN` takes."""
    commit("Kinder")
    head, *lines = p2re("log", "route_ticket").stdout.splitlines()
    assert head.split() == ["VERSION", "COMMIT", "DATE", "AUTHOR", "SUBJECT"]
    assert [(line.split()[0], line.split(maxsplit=5)[5]) for line in lines] == [
        ("v2", "Kinder"),
        ("v1", "Add the prompt"),
    ]
    assert "  2026-01-02  Ann  " in lines[0]


def test_log_as_json(repository: Path) -> None:
    """With full ids."""
    (entry,) = json.loads(p2re("log", "route_ticket", "--json").stdout)
    assert (entry["number"], entry["subject"], len(entry["commit"])) == (1, "Add the prompt", 40)


def test_log_of_an_uncommitted_prompt_says_so(repository: Path) -> None:
    """Nothing to list is said, and is no failure."""
    (repository / "prompts/new.yaml").write_text("prompt: a\n")
    result = p2re("log", "new")
    assert (result.exit_code, result.stderr) == (0, "'new' is in no commit yet; commit it\n")


def test_an_old_version_can_be_shown_and_rendered(repository: Path) -> None:
    """References work wherever a name does."""
    assert "Be kind." in p2re("render", "route_ticket@v1", "-i", "ticket=x").stdout
    assert "commit:" in p2re("show", "route_ticket@main").stdout


def test_every_command_explains_itself() -> None:
    """`--help` of the group and of each command."""
    listed = p2re("--help").stdout
    for name in ("list", "show", "render", "diff", "log", "label"):
        assert f"  {name} " in listed
        assert p2re(name, "--help").stdout.count("\n") > 5


def test_labels_move_and_log_shows_what_was_recorded(repository: Path) -> None:
    """A label goes on the file as it is or on an older version; `log` has it and the calls beside
    the version."""
    commit("Kinder")
    entries = json.loads(p2re("log", "route_ticket", "--json").stdout)
    versions = {entry["number"]: entry["version"] for entry in entries}
    assert p2re("label", "route_ticket", "staging").stdout == (
        f"route_ticket: 'staging' is on v2 ({versions[2][:12]})\n"
    )
    p2re("label", "route_ticket", "production", "v2")
    moved = p2re("label", "route_ticket", "production", "v1").stdout
    assert moved == f"route_ticket: 'production' is on v1 ({versions[1][:12]})\n"
    with open_store(default_path()) as store:
        store.finish_trace(
            Trace(
                trace_id="1" * 32, span_id="1" * 16, name="n", status="OK", start_ns=1, end_ns=2,
                prompt=RenderedPrompt(
                    name="route_ticket", version=versions[1], messages=(), model=ModelSettings()
                ),
                completion=Completion(cost_usd=0.5),
            )
        ).result()  # fmt: skip
        score = Score(passed=True)
        store.save_evaluations(
            [Evaluation(evaluation_id="e", trace_id="1" * 32, name="polite", scorer="polite",
                        scorer_version="1", score=score)]
        ).result()  # fmt: skip
    head, second, first = p2re("log", "route_ticket").stdout.splitlines()
    assert head.split()[4:] == ["CALLS", "PASSED", "COST", "P50", "LABELS", "SUBJECT"]
    assert second.split()[5:] == ["staging", "Kinder"]
    assert first.split()[5:11] == ["1", "100", "%", "$0.500", "0", "ms"]
    assert "production  Add the prompt" in first
    (newest, oldest) = json.loads(p2re("log", "route_ticket", "--json").stdout)
    assert oldest["recorded"]["mean_cost_usd"] == 0.5
    assert newest["recorded"]["labels"] == ["staging"]
    history = p2re("label", "route_ticket").stdout.splitlines()
    assert [line.split()[2] for line in history] == ["production", "production", "staging"]
    taken = p2re("label", "route_ticket", "production", "--remove").stdout
    assert taken == "route_ticket: 'production' is taken away\n"


def test_a_search_by_the_number_that_log_shows(repository: Path) -> None:
    """Though the record learned of that version first; every door opens the same."""
    commit("Kinder")
    versions = {
        one["number"]: one["version"]
        for one in json.loads(p2re("log", "route_ticket", "--json").stdout)
    }
    with open_store(default_path()) as store:
        store.finish_trace(
            Trace(
                trace_id="1" * 32, span_id="1" * 16, name="n", status="OK", start_ns=1, end_ns=2,
                prompt=RenderedPrompt(
                    name="route_ticket", version=versions[2], messages=(), model=ModelSettings()
                ),
                completion=Completion(),
            )
        ).result()  # fmt: skip
    p2re("label", "route_ticket", "production")
    search = ["traces", "search", "--json"]
    for version, found in (("v2", 1), ('"v2"', 1), ("v1", 0)):
        asked = f"prompt == route_ticket and version == {version}"
        done = CliRunner().invoke(main, [*search, asked])
        assert len(json.loads(done.stdout)) == found
    opened = json.loads(CliRunner().invoke(main, ["open", "prompt:route_ticket@v2"]).stdout)
    assert (opened["row"]["version"], opened["row"]["number"]) == (versions[2], 2)
    missing = CliRunner().invoke(main, ["open", "prompt:route_ticket@v1"])
    assert f"has no version or label '{versions[1]}'" in missing.stderr
    unknown = CliRunner().invoke(main, ["open", "prompt:route_ticket@v3"])
    assert "has 2 committed versions, so there is no v3" in unknown.stderr
