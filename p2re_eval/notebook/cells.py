"""What a ``%%prompt`` cell says: YAML as a prompt file has it, or plain Jinja text."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

import yaml

from p2re_eval.errors import UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.prompts.sandbox import new_environment

CELL = "cell"
_OPTIONS = ("--model", "--session")
_SWITCHES = ("--define", "--save", "--overwrite")


@dataclass(frozen=True)
class CellPrompt:
    """A prompt's YAML text, and what the magic's own line asked for."""

    name: str
    text: str
    model: str | None = None
    session: str | None = None
    define_only: bool = False
    save: bool = False
    overwrite: bool = False


def words_of(line: str) -> list[str]:
    """A magic's line as a shell reads it. Raises UsageError for a quote that is not closed."""
    try:
        return shlex.split(line)
    except ValueError as error:
        what = f"the line of the magic cannot be read ({error}); close the quote, or escape it"
        raise UsageError(what) from None


def read_cell(line: str, cell: str) -> CellPrompt:
    """The prompt of a cell. Raises UsageError for an option that does not exist."""
    words = words_of(line)
    names: list[str] = []
    options: dict[str, str] = {}
    switches: set[str] = set()
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        if word in _SWITCHES:
            switches.add(word)
        elif name in _OPTIONS:
            if not equals and not words:
                raise UsageError(f"%%prompt: {name} needs a value")
            options[name] = value if equals else words.pop(0)
        elif word.startswith("-"):
            raise UsageError(
                f"%%prompt: unknown option '{word}'{did_you_mean(word, (*_OPTIONS, *_SWITCHES))}"
            )
        else:
            names.append(word)
    if len(names) > 1:
        raise UsageError(f"%%prompt: one name is enough, found {' and '.join(names)}")
    return CellPrompt(
        name=names[0] if names else CELL,
        text=_as_yaml(cell, options.get("--model")),
        model=options.get("--model"),
        session=options.get("--session"),
        define_only="--define" in switches,
        save="--save" in switches,
        overwrite="--overwrite" in switches,
    )


def _as_yaml(cell: str, model: str | None) -> str:
    """Text that is no prompt file becomes one user message; its variables become inputs, and the
    model that is asked becomes its own."""
    if _is_prompt_file(cell):
        return cell
    from jinja2 import TemplateSyntaxError, meta

    environment = new_environment(None)
    text = cell.strip("\n")
    try:
        found = sorted(meta.find_undeclared_variables(environment.parse(text)))
    except TemplateSyntaxError:
        found = []  # the loader says where it is wrong
    variables = [name for name in found if name not in environment.globals]
    body: dict[str, object] = {"inputs": {name: {} for name in variables}}
    if model is not None:
        provider, _, name = model.partition("/")
        body = {"model": {"provider": provider, "name": name}, **body}
    body["messages"] = [{"user": text}]
    return yaml.safe_dump(body, allow_unicode=True, sort_keys=False)


def _is_prompt_file(cell: str) -> bool:
    """A mapping with a prompt file's own keys, even where the YAML below is broken."""
    keys = ("messages:", "prompt:", "model:", "inputs:", "description:", "name:", "output:")
    return any(line.startswith(keys) for line in cell.splitlines()) and (
        "messages:" in cell or "prompt:" in cell
    )
