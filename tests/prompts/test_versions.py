"""The version of a prompt: what changes it, what does not, and its history in git."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest

from p2re_eval.errors import DefinitionErrors, GitError, UnknownName
from p2re_eval.prompts import PromptLibrary

BASE = """\
name: greet
description: Says hello.
model: {provider: local, name: m, temperature: 0}
inputs:
  name: {type: string}
  tone: {type: string, default: kind}
messages:
- system: |
    Be {{ tone }}.
    {% include "p.jinja" %}
- user: "{{ name }}"
examples: [{inputs: {name: Ann}, output: Hello}]
output: {schema: {type: object}}
tools: [{name: look, parameters: {type: object}}]
"""


def version(folder, text: str, partial: str = "Be brief.\n", name: str = "greet.yaml") -> str:
    for old in folder.path.rglob("*.yaml"):
        old.unlink()
    (folder.path / "p.jinja").write_bytes(partial.encode())
    (folder.path / name).write_bytes(text.encode())
    library = PromptLibrary(folder.path)
    return library.get(library.names()[0]).version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Be {{ tone }}.", "Be  {{ tone }}."),
        ("- system:", "- developer:"),
        ("temperature: 0", "temperature: 1"),
        ("name: m,", "name: n,"),
        ("default: kind", "default: curt"),
        ("output: Hello}", "output: Hallo}"),
        ("{name: Ann}", "{name: Bob}"),
        ("{schema: {type: object}}", "{schema: {type: array}}"),
        ("name: look,", "name: see,"),
        ('- user: "{{ name }}"', '- user: "{{ name }}"\n- assistant: "Well,"'),
    ],
)
def test_what_is_sent_changes_the_version(folder, old: str, new: str) -> None:
    """Any part of the prompt that the model can see."""
    assert old in BASE
    assert version(folder, BASE) != version(folder, BASE.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: greet\n", "name: welcome\n"),
        ("description: Says hello.\n", ""),
        ("{type: string}", "{type: string, description: Who.}"),
        ('- user: "{{ name }}"', "- user: |\n    {{ name }}"),
        ('- user: "{{ name }}"', "# a comment\n- user: '{{ name }}'   # another"),
        ("\n", "\r\n"),
        ("temperature: 0", "temperature: 0.0"),
        ("name: m,", "name: m, timeout_s: 5,"),
    ],
)
def test_what_is_not_sent_keeps_the_version(folder, old: str, new: str) -> None:
    """Names, descriptions, comments, YAML formatting, line ends and time limits."""
    assert old in BASE
    assert version(folder, BASE) == version(folder, BASE.replace(old, new))


def test_the_file_name_keeps_the_version(folder) -> None:
    """The same text always has the same version, wherever it lives."""
    assert version(folder, BASE) == version(folder, BASE, name="other.yaml")


def test_a_partial_is_part_of_the_version(folder) -> None:
    """Its words count; its line ends and last newline do not."""
    assert version(folder, BASE) != version(folder, BASE, partial="Be long.\n")
    assert version(folder, BASE, partial="a\nb\n") == version(folder, BASE, partial="a\r\nb")


def test_the_short_form_is_the_same_prompt(folder) -> None:
    """`prompt:` is one user message."""
    short = version(folder, "prompt: Hi\n")
    assert short == version(folder, "messages:\n- user: Hi\n")


# --- git ---


def test_a_prompt_at_a_revision_is_as_it_was(folder, git) -> None:
    """File, partials and images come from git; the working tree is not touched."""
    (folder.root / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nold")
    folder.write("p.jinja", "old partial")
    folder.write(
        "greet.yaml",
        "messages:\n- system: Old {% include 'p.jinja' %}\n- user: [{image: a.png}]\n",
    )
    first = git.commit("First")
    git("tag", "production")
    folder.write("p.jinja", "new partial")
    folder.write("greet.yaml", "messages:\n- system: New {% include 'p.jinja' %}\n- user: b\n")
    (folder.root / "a.png").unlink()
    git.commit("Second")
    folder.write("p.jinja", "dirty partial")

    library = folder.library
    old = library.get("greet@production")
    assert old.commit == first
    assert old.path == f"{first[:7]}:prompts/greet.yaml"
    messages = library.render(old, {}).messages
    assert messages[0].content == "Old old partial"
    assert messages[1].content[0].url == "data:image/png;base64,iVBORw0KGgpvbGQ="
    assert library.render(library.get("greet@main"), {}).messages[0].content == "New new partial"
    assert library.render(library.get("greet"), {}).messages[0].content == "New dirty partial"
    assert library.get(f"greet@{first[:8]}").version == old.version
    assert git("status", "--porcelain") == "M prompts/p.jinja"


def test_a_mistake_at_a_revision_names_the_revision(folder, git) -> None:
    """Git's own notation leads to the line."""
    folder.write("greet.yaml", "prompt: '{{ x }}'\n")
    commit = git.commit("Broken")
    folder.write("greet.yaml", "prompt: x\n")
    with pytest.raises(DefinitionErrors, match=f"{commit[:7]}:prompts/greet.yaml:1:13: 'x' is not"):
        folder.library.get("greet@HEAD")


def test_a_prompt_is_found_where_it_was_then(folder, git) -> None:
    """A file that has moved, or was deleted, is found by its name at that revision."""
    folder.write("old/greet.yaml", "prompt: a\n")
    folder.write("gone.yaml", "name: left\nprompt: b\n")
    git.commit("First")
    (folder.path / "old/greet.yaml").rename(folder.path / "greet.yaml")
    (folder.path / "gone.yaml").unlink()
    git.commit("Second")
    assert folder.library.get("greet@HEAD~1").messages[0].content == "a"
    assert folder.library.get("left@HEAD~1").messages[0].content == "b"
    with pytest.raises(UnknownName, match="no prompt is called 'left' at"):
        folder.library.get("left@HEAD")


def test_history_lists_versions_not_commits(folder, git) -> None:
    """Partials count, descriptions and other prompts do not, a broken state is passed over, and a
    version that comes back keeps its number."""
    folder.write("p.jinja", "one")
    folder.write("greet.yaml", "prompt: A {% include 'p.jinja' %}\n")
    git.commit("First")
    folder.write("greet.yaml", "description: x\nprompt: A {% include 'p.jinja' %}\n")
    git.commit("Describe")
    folder.write("p.jinja", "two")
    git.commit("Partial")
    folder.write("other.yaml", "prompt: B\n")
    git.commit("Other")
    folder.write("greet.yaml", "prompt: A {% include 'p.jinja' \n")
    git.commit("Break")
    folder.write("greet.yaml", "prompt: A {% include 'p.jinja' %}\n")
    folder.write("p.jinja", "one")
    last = git.commit("Back")

    entries = folder.library.history("greet")
    assert [(e.number, e.subject) for e in entries] == [(1, "Back"), (2, "Partial"), (1, "First")]
    assert entries[0].version == entries[2].version != entries[1].version
    assert entries[0].commit == last
    assert (entries[0].author, entries[0].date) == ("Ann", "2026-01-02T03:04:05+01:00")


def test_versions_are_references(folder, git) -> None:
    """`@v2` and the first digits of a version name the same prompt as its commit."""
    for text in ("one", "two", "three"):
        folder.write("greet.yaml", f"prompt: {text}\n")
        git.commit(text)
    library = folder.library
    second = library.get("greet@HEAD~1")
    assert second.messages[0].content == "two"
    assert library.get("greet@v2").version == second.version
    assert library.get(f"greet@{second.short_version}").commit == second.commit
    with pytest.raises(GitError, match="'greet' has 3 committed versions, so there is no v4"):
        library.get("greet@v4")
    with pytest.raises(GitError, match="'0000000' is neither a commit nor a version of 'greet'"):
        library.get("greet@0000000")
    with pytest.raises(GitError, match=r"'mian' in .*; did you mean 'main'"):
        library.get("greet@mian")


def test_history_follows_renames(folder, git) -> None:
    """A renamed file keeps its past."""
    folder.write("greet.yaml", "prompt: a fairly long text that git recognises\n")
    git.commit("First")
    (folder.path / "greet.yaml").rename(folder.path / "welcome.yaml")
    git.commit("Rename")
    folder.write("welcome.yaml", "prompt: b\n")
    git.commit("Change")
    subjects = [entry.subject for entry in folder.library.history("welcome")]
    assert subjects == ["Change", "First"]


def test_history_of_an_uncommitted_prompt_is_empty(folder, git) -> None:
    """Nothing is invented for a file that git does not know yet."""
    folder.write("a.yaml", "prompt: a\n")
    git.commit("First")
    folder.write("b.yaml", "prompt: b\n")
    assert folder.library.history("b") == []


def test_a_shallow_clone_refuses_numbers(folder, git, make_git, tmp_path: Path) -> None:
    """`v2` needs the whole history; the message says how to fetch it."""
    for text in ("one", "two"):
        folder.write("greet.yaml", f"prompt: {text}\n")
        git.commit(text)
    clone = tmp_path / "clone"
    git("clone", "--quiet", "--depth", "1", f"file://{folder.root}", str(clone))
    library = PromptLibrary(clone / "prompts")
    assert library.get("greet@HEAD").messages[0].content == "two"
    with pytest.raises(GitError, match="git fetch --unshallow"):
        library.get("greet@v1")
    with pytest.raises(GitError, match="git fetch --unshallow"):
        library.get("greet@HEAD~1")


def test_outside_git_the_message_says_so(tmp_path: Path) -> None:
    """Revisions need a repository; plain prompts do not."""
    (tmp_path / "a.yaml").write_text("prompt: a\n")
    library = PromptLibrary(tmp_path)
    assert library.get("a").messages[0].content == "a"
    with pytest.raises(GitError, match="is not in a git repository"):
        library.get("a@main")


def _chains(data: Path) -> list[list[str]]:
    """Real prompt files, each with its contents commit after commit until it was deleted."""
    chains: dict[str, list[str]] = defaultdict(list)
    with (data / "prompt_version_chains_dev.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["content"] is not None:
                chains[row["repo"] + ":" + row["path"]].append(row["content"])
    return list(chains.values())


def test_real_histories_change_version_exactly_with_their_content(
    folder, git, shared_data: Path
) -> None:
    """151 states of 23 files from four public repositories, replayed as user messages, each
    followed by a commit that only reformats the YAML: a new version for every change of the text,
    none for the others."""
    chains = _chains(shared_data)
    steps, expected = [], {}
    for number, contents in enumerate(chains):
        subjects = []
        for step, content in enumerate(contents):
            path, text = f"prompts/chain{number}.yaml", "{% raw %}" + content + "{% endraw %}"
            if step == 0 or content != contents[step - 1]:
                subjects.append(f"content {step}")
            short = json.dumps({"prompt": text})
            long = json.dumps({"description": "x", "messages": [{"user": text}]}, indent=1)
            steps += [(path, short, f"content {step}"), (path, long, f"reformat {step}")]
        expected[f"chain{number}"] = subjects
    git.replay(steps)
    found = {name: folder.library.history(name)[::-1] for name in folder.library.names()}
    assert {n: [e.subject for e in entries] for n, entries in found.items()} == expected
    assert sum(map(len, expected.values())) == 151
    for number, contents in enumerate(chains):
        versions = {entry.version for entry in found[f"chain{number}"]}
        assert len(versions) == len(set(contents))


@pytest.mark.parametrize("undefined", ["strict", "lenient"])
def test_real_chat_templates_render_as_their_models_expect(
    shared_data: Path, undefined: str
) -> None:
    """Published chat templates with their published outputs. Strict rendering does the seven that
    define what they use, lenient ten of eleven; the last has a tag that only its library knows."""
    import jinja2

    from p2re_eval.prompts.sandbox import new_environment

    def refuse(message: str) -> None:
        raise ValueError(message)

    def prepare(environment: jinja2.Environment) -> None:
        environment.globals["raise_exception"] = refuse
        if undefined == "lenient":
            environment.undefined = jinja2.Undefined

    environment = new_environment(prepare)
    same = []
    with (shared_data / "chat_template_vectors_dev.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            try:
                text = environment.from_string(row["template"]).render(row["data"])
            except (jinja2.UndefinedError, jinja2.TemplateSyntaxError):
                continue
            assert text == row["expected"], row["name"]
            same.append(row["name"])
    assert len(same) == {"strict": 7, "lenient": 10}[undefined]
