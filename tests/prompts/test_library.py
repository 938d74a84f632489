"""Names, reloading, and what is wrong with given inputs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from p2re_eval.errors import DuplicateKey, MissingValue, UnknownName, WrongType
from p2re_eval.prompts import InputProblem, PromptLibrary


def test_names_are_stems_unless_given(folder) -> None:
    """Every YAML file below the folder is a prompt; hidden ones and partials are not."""
    folder.write("b.yaml", "prompt: b\n")
    folder.write("sub/a.yml", "name: alpha\nprompt: a\n")
    folder.write("broken.yaml", "name: [\n")
    folder.write(".hidden.yaml", "prompt: x\n")
    folder.write("partials/p.jinja", "p")
    assert folder.library.names() == ["alpha", "b", "broken"]


def test_one_broken_file_hides_nothing(folder) -> None:
    """The good prompts load, and the others' mistakes come together."""
    folder.write("a.yaml", "prompt: a\n")
    folder.write("b.yaml", "prompt: '{{ x }}'\n")
    folder.write("c.yaml", "prompt: [\n")
    templates, mistakes = folder.library.load_all()
    assert list(templates) == ["a"]
    assert [Path(str(m.path)).name for m in mistakes] == ["b.yaml", "c.yaml"]


def test_a_mistake_in_a_shared_partial_is_told_once(folder) -> None:
    """Two prompts that include the same broken partial give one message."""
    folder.write("p.jinja", "{{ 1 | uper }}")
    folder.write("a.yaml", "prompt: '{% include \"p.jinja\" %}'\n")
    folder.write("b.yaml", "prompt: '{% include \"p.jinja\" %}'\n")
    assert len(folder.library.load_all()[1]) == 1


def test_two_files_of_one_name_are_refused(folder) -> None:
    """The message names both files."""
    folder.write("a.yaml", "prompt: a\n")
    folder.write("sub/a.yaml", "prompt: b\n")
    with pytest.raises(DuplicateKey) as caught:
        folder.library.get("a")
    assert str(caught.value) == (
        f"{folder.path}/sub/a.yaml: the name 'a' is already taken by {folder.path}/a.yaml; "
        "rename one of the two"
    )
    assert [type(mistake) for mistake in folder.library.load_all()[1]] == [DuplicateKey]


def test_an_unknown_name_suggests_a_near_one(folder) -> None:
    """And a missing folder is said to be missing."""
    folder.write("route_ticket.yaml", "prompt: a\n")
    with pytest.raises(UnknownName, match="'rout_ticket'; did you mean 'route_ticket'"):
        folder.library.get("rout_ticket")
    with pytest.raises(UnknownName, match="there is no folder"):
        PromptLibrary(folder.root / "nowhere").get("a")


def test_a_prompt_is_read_again_only_when_it_changed(folder) -> None:
    """A notebook sees an edited file or partial; an untouched one is the same object."""
    folder.write("p.jinja", "one")
    path = folder.write("a.yaml", "prompt: '{% include \"p.jinja\" %}'\n")
    first = folder.library.get("a")
    assert folder.library.get("a") is first
    folder.write("p.jinja", "two!")
    second = folder.library.get("a")
    assert folder.library.render(second, {}).messages[0].content == "two!"
    assert folder.library.render(first, {}).messages[0].content == "one"
    path.write_text("prompt: three\n")
    os.utime(path, ns=(1, 1))
    assert folder.library.get("a").messages[0].content == "three"


PROMPT = """\
inputs:
  country: string
  cities: {type: array, items: {type: string}, default: []}
  past: {type: array, required: false}
messages:
- history: past
- user: "{{ country }} {{ cities }}"
"""


@pytest.mark.parametrize(
    ("inputs", "problem"),
    [
        (
            {"contry": "x", "country": "x"},
            InputProblem(
                UnknownName, "unknown input 'contry'; did you mean 'country'?", ("contry",)
            ),
        ),
        (
            {"zzz": 1, "country": "x"},
            InputProblem(
                UnknownName,
                "unknown input 'zzz'; the prompt 'capital' takes 'country', 'cities', 'past'",
                ("zzz",),
            ),
        ),
        (
            {},
            InputProblem(
                MissingValue, "input 'country' is missing; the prompt 'capital' requires it"
            ),
        ),
        (
            {"country": 5},
            InputProblem(WrongType, "input 'country': 5 is not of type \"string\"", ("country",)),
        ),
        (
            {"country": "x", "cities": ["a", 2]},
            InputProblem(
                WrongType, "input 'cities'[1]: 2 is not of type \"string\"", ("cities", 1)
            ),
        ),
        (
            {"country": "x", "past": [{"role": "boss"}]},
            InputProblem(
                WrongType,
                "input 'past' must be a list of {role, content} messages; at 0.role: input should "
                "be 'system', 'developer', 'user', 'assistant' or 'tool'",
                ("past",),
            ),
        ),
    ],
)
def test_a_problem_with_inputs_says_kind_sentence_and_steps(
    folder, inputs: dict[str, object], problem: InputProblem
) -> None:
    """Unknown, missing and mistyped inputs are told apart, with the way to the value."""
    folder.write("capital.yaml", PROMPT)
    template = folder.library.get("capital")
    assert folder.library.check_inputs(template, inputs) == [problem]


def test_good_inputs_have_no_problems(folder) -> None:
    """Defaults and optional inputs may be left out."""
    folder.write("capital.yaml", PROMPT)
    assert folder.library.check_inputs(folder.library.get("capital"), {"country": "x"}) == []


def test_values_that_are_not_json_are_a_problem(folder) -> None:
    """A notebook may pass any object; the sentence names the input."""
    folder.write("capital.yaml", PROMPT)
    template = folder.library.get("capital")
    (problem,) = folder.library.check_inputs(template, {"country": object()})
    assert problem.kind is WrongType
    assert problem.what.startswith("input 'country' is not JSON")
