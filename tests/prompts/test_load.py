"""Mistakes in prompt files: each found before any model is called, each at its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from p2re_eval.errors import DefinitionErrors, OutsideFolder
from p2re_eval.prompts import PromptLibrary
from p2re_eval.prompts.format import PromptFile


def test_the_message_says_file_line_and_column(folder) -> None:
    """Inside a block scalar it is the template's own line, at the very word."""
    said = folder.mistakes(
        """\
        inputs: {ticket: string}
        messages:
        - system: |
            Route {{ ticket }}.

            To {{ tikcet }}
        """
    )
    assert said == [
        "greet.yaml:6:11: 'tikcet' is not an input of the prompt 'greet'; did you mean 'ticket'?"
    ]


@pytest.mark.parametrize(
    ("scalar", "place"),
    [
        ("'a {{ nam }}'", "3:15"),
        ('"a {{ nam }}"', "3:15"),
        ("a {{ nam }}", "3:14"),
        (">\n    a\n    b {{ nam }}", "5:10"),
        ("|-\n    a\n\n    b {{ nam }}", "6:10"),
        ("|+\n    b {{ nam }}\n", "4:10"),
        ('"a\\n\\\n    b {{ nam }}"', "4:10"),
    ],
)
def test_every_style_of_scalar_finds_its_place(folder, scalar: str, place: str) -> None:
    """Exact for blocks; for folded and quoted text, the word is searched where it stands."""
    said = folder.mistakes(f"inputs: {{name: string}}\nmessages:\n- user: {scalar}\n")
    assert said == [
        f"greet.yaml:{place}: 'nam' is not an input of the prompt 'greet'; did you mean 'name'?"
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1:1: a prompt file is a mapping"),
        ("- a", "1:1: a prompt file is a mapping"),
        ("name: x", "1:1: a prompt needs 'messages'"),
        ("messages: []", "1:11: a prompt needs 'messages'"),
        ("mesages: []\nprompt: a", "1:1: unknown key 'mesages'; did you mean 'messages'?"),
        ("messages:\n- sytem: a", "2:3: unknown key 'sytem'; did you mean 'system'?"),
        ("messages:\n- tool: a", "2:3: unknown key 'tool'"),
        ("messages:\n- user: a\n  system: b", "2:3: one message a list item, found 'user' and"),
        ("messages:\n- {}", "2:3: a message is 'ROLE: text'; add it"),
        ("messages:\n- user: 5", "2:9: a message must be text (put it in quotes)"),
        ("messages:\n- user:", "2:8: a message must be text"),
        ("messages:\n- user: ''", "2:9: this message is empty"),
        ("messages:\n- user: ' '", "2:9: this message is empty"),
        ("messages:\n- user: []", "2:9: this message is empty"),
        ("messages:\n- user: [{text: ''}]", "2:17: this message is empty"),
        ("messages:\n- user: [{text: a, image: b}]", "2:10: a part is either 'text' or 'image'"),
        ("messages:\n- user: [{text: a, detail: low}]", "2:10: 'detail' belongs to an image"),
        ("messages:\n- user: [{image: gone.png}]", "2:18: no image 'gone.png'"),
        ("messages:\n- user: [{image: ../a.png}]", "2:18: the image '../a.png' is outside"),
        ("prompt: a\nmessages:\n- user: b", "1:1: 'prompt' is short for one user message"),
        ("name: a@b\nprompt: a", "1:7: 'a@b' cannot name a prompt"),
        ("model: gpt\nprompt: a", "1:8: the model 'gpt' must be written PROVIDER/NAME"),
        ("model: {nam: x}\nprompt: a", "1:9: unknown key 'nam'; did you mean 'name'?"),
        ("prompt: '{{ a'", "1:9: not a Jinja template: unexpected end of template"),
        ("prompt: '{% fro x in y %}'", "1:13: not a Jinja template: encountered unknown tag 'fro'"),
        ("prompt: '{{ 1 | uper }}'", "1:17: unknown filter 'uper'; did you mean 'upper'?"),
        ("prompt: '{{ 1 is evne }}'", "1:18: unknown test 'evne'; did you mean 'even'?"),
        ("inputs: {n: }\nprompt: '{% include n %}'", "2:9: a partial's name must be written out"),
        ("prompt: '{% include \"no.jinja\" %}'", "1:22: no partial 'no.jinja' below the prompts"),
        ("prompt: '{% include \"../x\" %}'", "1:9: the partial '../x' leaves the prompts folder"),
        ("prompt: '{% include \"/etc/x\" %}'", "1:9: the partial '/etc/x' leaves the prompts"),
        ("inputs: {a: strin}\nprompt: '{{ a }}'", "1:13: 'strin' is no JSON Schema type"),
        (
            "inputs: {a: {type: strin}}\nprompt: '{{ a }}'",
            "1:20: not a JSON Schema: 'strin' is no type; did you mean 'string'?",
        ),
        (
            "inputs: {a: {type: [strin, number]}}\nprompt: '{{ a }}'",
            "1:20: not a JSON Schema: 'strin' is no type; did you mean 'string'?",
        ),
        (
            "prompt: a\nmodel: {provider: x, name: y, max_tokens: '5'}",
            "2:43: 'max_tokens' must be a whole number, found the text '5'",
        ),
        ("inputs: {a: {defualt: 1}}\nprompt: '{{ a }}'", "1:14: 'defualt' is no JSON Schema k"),
        ("inputs: {a: {type: string, default: 1}}\nprompt: '{{ a }}'", "1:37: the default of inp"),
        ("inputs: {a: {$ref: 'http://127.0.0.1:9/x'}}\nprompt: '{{ a }}'", "not a JSON Schema"),
        ("inputs: {a-b: string}\nprompt: a", "'a-b' cannot name an input"),
        ("inputs: {loop: string}\nprompt: a", "'loop' cannot name an input"),
        ("inputs: {a: string}\nprompt: b", "1:10: no message uses the input 'a'"),
        ("output: {schema: {type: 5}}\nprompt: a", "1:25: not a JSON Schema"),
        ("output: {schema: {}, shema: {}}\nprompt: a", "1:22: unknown key 'shema'; did you"),
        ("tools: [{name: a, parameters: {type: 5}}]\nprompt: a", "1:38: not a JSON Schema"),
        ("tools: [{name: a}, {name: a}]\nprompt: a", "1:27: a second tool 'a'; rename"),
        ("messages:\n- history: past\n- user: a", "2:12: 'past' is not an input"),
        ("messages:\n- system: a\nexamples:\n- {output: b}", "3:1: examples stand before"),
        ("prompt: a\nexamples:\n- {inputs: {b: 1}, output: b}", "3:13: unknown input 'b'; the"),
        ("prompt: a\nexamples:\n- {inputs: {}}", "3:3: 'output' is required; add it"),
        (
            "inputs: {a: string}\nprompt: '{{ a }}'\nexamples:\n- {inputs: {a: 1}, output: b}",
            "4:16: input 'a': 1 is not of type \"string\"",
        ),
        (
            "inputs: {a: string}\nprompt: '{{ a }}'\nexamples:\n- {inputs: {}, output: b}",
            "4:12: input 'a' is missing",
        ),
    ],
)
def test_a_mistake_is_found_at_load(folder, text: str, says: str) -> None:
    """Structure, templates, names, schemas and examples are all checked without a model."""
    said = folder.mistakes(text + "\n")
    assert len(said) == 1, said
    assert says in said[0]


def test_all_mistakes_come_together_in_order(folder) -> None:
    """One load tells everything that is wrong with the file."""
    said = folder.mistakes(
        """\
        inputs: {a: {type: array, default: 1}}
        messages:
        - system: "{{ b }}"
        - user: ""
        - user: "{{ a | jion }}"
        """
    )
    assert [line.split(": ")[0] for line in said] == [
        "greet.yaml:1:36",
        "greet.yaml:3:15",
        "greet.yaml:4:9",
        "greet.yaml:5:17",
    ]


def test_a_text_is_read_though_the_file_has_other_mistakes(folder) -> None:
    """An unknown key hides no broken Jinja: both are told at once."""
    said = folder.mistakes(
        """\
        modle: local/smollm2-135m
        messages:
        - usr: hello
        - system: "{{ a "
        - user: |
            {% if a %}
        """
    )
    assert [line.split(";")[0].split(": unexpected")[0] for line in said] == [
        "greet.yaml:1:1: unknown key 'modle'",
        "greet.yaml:3:3: unknown key 'usr'",
        "greet.yaml:4:11: not a Jinja template",
        "greet.yaml:6:5: not a Jinja template",
    ]


def test_a_mistake_in_a_partial_points_into_the_partial(folder) -> None:
    """Through several includes, at the line of the partial itself."""
    folder.write("a.jinja", 'A\n{% include "sub/b.jinja" %}\n')
    folder.write("sub/b.jinja", "B\n\n{{ tikcet | uper }}\n")
    said = folder.mistakes(
        "inputs: {ticket: string}\nprompt: '{{ ticket }}{% include \"a.jinja\" %}'\n"
    )
    assert said == [
        "sub/b.jinja:3:4: 'tikcet' is not an input of the prompt 'greet'; did you mean 'ticket'?",
        "sub/b.jinja:3:13: unknown filter 'uper'; did you mean 'upper'?",
    ]


def test_an_import_does_not_see_inputs(folder) -> None:
    """A macro gets what it needs as an argument, or the import says `with context`."""
    folder.write("m.jinja", "{% macro card() %}{{ name }}{% endmacro %}\n")
    text = (
        "inputs: {name: string}\nprompt: '{% import \"m.jinja\" as m %}{{ m.card() }}{{ name }}'\n"
    )
    assert folder.mistakes(text) == [
        "m.jinja:1:22: an imported partial does not see the input 'name'; hand it to the macro, or "
        "import the partial `with context`"
    ]
    folder.write("greet.yaml", text.replace(" as m", " as m with context"))
    assert folder.library.get("greet").name == "greet"


def test_partials_see_loop_variables_and_sets(folder) -> None:
    """What the including template sets is there, so it is no mistake."""
    folder.write("row.jinja", "({{ t }}{{ sep }})")
    template = '{% set sep = "," %}{% for t in v %}{% include "row.jinja" %}{% endfor %}\n'
    assert folder.text(template, v=[1, 2]) == "(1,)(2,)"


def test_a_partial_that_may_be_missing_may_be_missing(folder) -> None:
    """`ignore missing`, and a list where one exists, are Jinja's own ways to say so."""
    folder.write("b.jinja", "B")
    template = '{% include "a.jinja" ignore missing %}{% include ["a.jinja", "b.jinja"] %}\n'
    assert folder.text(template) == "B"


def test_a_partial_behind_a_link_out_of_the_folder_is_refused(folder, tmp_path: Path) -> None:
    """A symlink does not open the rest of the disk."""
    (tmp_path / "secret.txt").write_text("x")
    (folder.path / "s.jinja").symlink_to(tmp_path / "secret.txt")
    assert folder.mistakes("prompt: '{% include \"s.jinja\" %}'\n") == [
        "greet.yaml:1:9: the partial 's.jinja' leads outside prompts; keep the file inside"
    ]


def test_a_prompt_behind_a_link_out_of_the_folder_is_refused(folder, tmp_path: Path) -> None:
    """The same holds for the prompt file itself."""
    (tmp_path / "x.yaml").write_text("prompt: a\n")
    (folder.path / "x.yaml").symlink_to(tmp_path / "x.yaml")
    with pytest.raises(OutsideFolder, match="leads outside"):
        folder.library.get("x")


def test_a_recursive_partial_ends(folder) -> None:
    """A partial that includes itself under a condition is followed once."""
    folder.write(
        "tree.jinja", "{{ n }}{% if n %}{% set n = n - 1 %}{% include 'tree.jinja' %}{% endif %}"
    )
    assert folder.text("{% include 'tree.jinja' %}\n", n=2) == "210"


def test_an_example_needs_only_what_its_message_uses(folder) -> None:
    """Inputs of the system message are the case's business."""
    prompt = folder.rendered(
        """\
        inputs: {name: string, ask: string}
        messages:
        - system: "{{ name }}"
        - user: "{{ ask }}"
        examples: [{inputs: {ask: a}, output: b}]
        """,
        name="Ann",
        ask="c",
    )
    assert [m.content for m in prompt.messages] == ["Ann", "a", "b", "c"]


def test_the_short_forms_of_an_input(folder) -> None:
    """A bare type, or nothing at all for any JSON."""
    folder.write("greet.yaml", "inputs:\n  a: string\n  b:\nprompt: '{{ a }}{{ b }}'\n")
    assert folder.library.get("greet").inputs == {"a": {"type": "string"}, "b": {}}


def test_a_file_that_is_not_utf8_is_one_sentence(folder) -> None:
    """Encoding mistakes carry the file's name like all others."""
    (folder.path / "greet.yaml").write_bytes(b"prompt: caf\xe9\n")
    with pytest.raises(DefinitionErrors, match="byte 0xe9 is not UTF-8"):
        folder.library.get("greet")


def test_editors_get_a_schema_with_titles_and_descriptions() -> None:
    """Every key of a prompt file explains itself; short forms are part of it."""
    schema = PromptFile.model_json_schema()
    for name, entry in schema["properties"].items():
        assert entry["title"], name
        assert entry["description"], name
    assert schema["additionalProperties"] is False
    message = schema["$defs"]["MessageEntry"]
    assert list(message["properties"]) == ["system", "developer", "user", "assistant", "history"]
    assert message["maxProperties"] == 1
    assert '"default"' in json.dumps(schema["properties"]["inputs"])


def test_the_schema_accepts_what_the_loader_accepts(folder, tmp_path: Path) -> None:
    """The example of the documentation passes both, and a wrong role neither."""
    import jsonschema_rs

    value = {
        "name": "route_ticket",
        "model": {"provider": "local", "name": "m", "temperature": 0, "stop": ["."]},
        "inputs": {"ticket": {"type": "string"}, "n": "integer", "x": None},
        "messages": [{"system": "{{ n }}{{ x }}"}, {"user": [{"text": "{{ ticket }}"}]}],
        "examples": [{"inputs": {"ticket": "a"}, "output": "b"}],
        "output": {"schema": {"type": "object"}},
        "tools": [{"name": "look", "parameters": {"type": "object"}}],
    }
    validator = jsonschema_rs.validator_for(PromptFile.model_json_schema())
    assert [error.message for error in validator.iter_errors(value)] == []
    folder.write("route.yaml", json.dumps(value))
    assert PromptLibrary(folder.path).get("route_ticket").name == "route_ticket"
    assert not validator.is_valid({**value, "messages": [{"boss": "x"}]})
    assert not validator.is_valid({**value, "messages": [{"user": "x", "system": "y"}]})
