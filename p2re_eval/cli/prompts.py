"""``p2re prompts``: look at prompts, render them, compare and trace their versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.library import library_of
from p2re_eval.cli.options import db_option
from p2re_eval.errors import DefinitionErrors, UsageError
from p2re_eval.project import nearest_layout

if TYPE_CHECKING:
    from p2re_eval.cli.prompt_diff import Section
    from p2re_eval.prompts import PromptLibrary
    from p2re_eval.records import JSON, Message, ModelSettings, PromptTemplate, TemplateMessage


def _usual_folder() -> Path:
    here = Path.cwd()
    folder = nearest_layout(here).prompts
    return folder.relative_to(here) if folder.is_relative_to(here) else folder


_folder = click.option(
    "--folder",
    callback=lambda _context, _option, folder: folder or _usual_folder(),
    type=click.Path(path_type=Path),
    help="The prompts folder (default: the project's).",
)
_json = click.option("--json", "as_json", is_flag=True, help="JSON instead of text.")
_inputs = (
    click.option(
        "-i",
        "--input",
        "pairs",
        multiple=True,
        metavar="KEY=VALUE",
        help="An input; KEY=@FILE reads a file, KEY=@@TEXT is '@TEXT' itself. Repeatable.",
    ),
    click.option(
        "--inputs",
        "file",
        type=click.Path(path_type=Path),
        help="A JSON file with all inputs; -i overrides.",
    ),
)


@click.group()
def prompts() -> None:
    """Prompts as files: list, show, render, diff, log."""


@prompts.command("list")
@_folder
@_json
def list_(folder: Path, as_json: bool) -> None:
    """Every prompt with its version, model and inputs."""
    templates, mistakes = library_of(folder).load_all()
    if as_json:
        click.echo(_as_json([_summary(template) for template in templates.values()]))
    elif templates:
        rows = [
            (t.name, t.short_version, _model(t), ", ".join(t.inputs) or "-", t.path or "-")
            for t in templates.values()
        ]
        click.echo(_columns(("NAME", "VERSION", "MODEL", "INPUTS", "FILE"), rows))
    elif not mistakes:
        raise UsageError(
            f"no prompt in the folder '{folder}'; write one with `p2re init`, "
            "or name another folder with --folder"
        )
    if mistakes:
        raise DefinitionErrors(mistakes)


@prompts.command()
@click.argument("reference", metavar="NAME[@REV]")
@_folder
@_json
def show(reference: str, folder: Path, as_json: bool) -> None:
    """One prompt before rendering: settings, inputs, messages."""
    template = library_of(folder).get(reference)
    if as_json:
        click.echo(_as_json(template.model_dump(mode="json")))
        return
    facts = {
        "version": template.version,
        "file": template.path,
        "commit": template.commit,
        "description": template.description,
        "model": _settings(template.model) or None,
        "inputs": "\n".join(_input(*pair) for pair in template.inputs.items()) or None,
        "output": template.output_schema,
        "tools": ", ".join(tool.name for tool in template.tools) or None,
        "examples": len(template.examples) or None,
        "partials": ", ".join(template.partials) or None,
    }
    click.echo(click.style(template.name, bold=True))
    for name, value in facts.items():
        if value is not None:
            told = value if isinstance(value, str) else _line(value)
            click.echo(f"{name + ':':12} {told.replace(chr(10), chr(10) + ' ' * 13)}")
    for message in template.messages:
        click.echo()
        click.echo(click.style(_heading(message), bold=True))
        click.echo(_template_text(message))


def _settings(model: ModelSettings) -> str:
    settings = model.asked()
    rest = [f"{key} {_plain(settings[key])}" for key in settings if key not in {"provider", "name"}]
    return ", ".join([model.id, *rest] if settings.get("name") else rest)


def _input(name: str, schema: Mapping[str, JSON]) -> str:
    """``ticket: string, the customer's words``: its type and what else its schema says."""
    kind = _plain(schema.get("type", "anything"))
    said = [f"{key} {_plain(schema[key])}" for key in schema if key not in {"type", "description"}]
    description = schema.get("description")
    told = f"  {description}" if description else ""
    return f"{name}: {', '.join([kind, *said])}{told}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else _line(value)


@prompts.command()
@click.argument("reference", metavar="NAME[@REV]")
@_inputs[0]
@_inputs[1]
@_folder
@_json
def render(
    reference: str, pairs: tuple[str, ...], file: Path | None, folder: Path, as_json: bool
) -> None:
    """The messages that would be sent for these inputs (-i NAME=VALUE)."""
    library = library_of(folder)
    template = library.get(reference)
    given = _read_inputs(template, pairs, file)
    _refuse_problems(library, template, given)
    rendered = library.render(template, given)
    if as_json:
        click.echo(_as_json(rendered.model_dump(mode="json", exclude_none=True)))
        return
    for number, message in enumerate(rendered.messages):
        if number:
            click.echo()
        click.echo(click.style(message.role, bold=True))
        click.echo(_message_text(message))


@prompts.command()
@click.argument("name")
@click.argument("before", metavar="[A]", default="HEAD")
@click.argument("after", metavar="[B]", default="")
@_inputs[0]
@_inputs[1]
@_folder
def diff(
    name: str,
    before: str,
    after: str,
    pairs: tuple[str, ...],
    file: Path | None,
    folder: Path,
) -> None:
    """What changed in NAME from A (HEAD) to B (the working tree).

    With inputs, the rendered messages are compared instead of the templates.
    """
    from p2re_eval.cli.prompt_diff import Section, difference

    library = library_of(folder)
    old = library.get(f"{name}@{before}")
    new = library.get(f"{name}@{after}" if after else name)
    sections: list[list[Section]] = []
    for template in (old, new):
        if pairs or file:
            given = _read_inputs(template, pairs, file)
            _refuse_problems(library, template, given)
            messages = library.render(template, given).messages
            sections.append([Section(m.role, _message_text(m)) for m in messages])
        else:
            sections.append(_sections(template))
    lines = difference(sections[0], sections[1])
    if not lines:
        same = f"both are version {new.short_version}"
        differ = f"versions {old.short_version} and {new.short_version} read the same here"
        click.echo(f"no difference: {same if old.version == new.version else differ}")
        return
    click.echo(click.style(f"--- {name}@{before} {old.short_version}", bold=True))
    shown = f"{name}@{after}" if after else name
    click.echo(click.style(f"+++ {shown} {new.short_version}", bold=True))
    for line in lines:
        click.echo(line)


@prompts.command()
@click.argument("name")
@_folder
@db_option
@_json
def log(name: str, folder: Path, db: Path | None, as_json: bool) -> None:
    """The versions of NAME in git, and what was recorded of each."""
    from p2re_eval.cli.prompt_labels import recorded_cells, recorded_versions

    entries = library_of(folder).history(name)
    recorded = recorded_versions(name, db)
    if as_json:
        shown = [e.model_dump(mode="json") | {"recorded": recorded.get(e.version)} for e in entries]
        click.echo(_as_json(shown))
        return
    if not entries:
        click.echo(f"'{name}' is in no commit yet; commit it", err=True)
        return
    heads: tuple[str, ...] = ("", "VERSION", "COMMIT", "DATE", "AUTHOR")
    rows: list[tuple[str, ...]] = [
        (f"v{e.number}", e.short_version, e.commit[:7], e.date[:10], e.author) for e in entries
    ]
    if recorded:
        heads += ("CALLS", "PASSED", "COST", "P50", "LABELS")
        rows = [
            (*row, *recorded_cells(recorded.get(e.version)))
            for row, e in zip(rows, entries, strict=True)
        ]
    whole = [(*row, e.subject) for row, e in zip(rows, entries, strict=True)]
    click.echo(_columns((*heads, "SUBJECT"), whole))


@prompts.command()
@click.argument("name")
@click.argument("label", required=False)
@click.argument("version", default="")
@click.option("--remove", is_flag=True, help="Take the label away.")
@_folder
@db_option
def label(
    name: str, label: str | None, version: str, remove: bool, folder: Path, db: Path | None
) -> None:
    """Put LABEL on a version of NAME (default: the file as it is now).

    VERSION is v3 (as `log` numbers it), a label, a git revision, or the beginning of a version.
    Without LABEL: where the labels of NAME have been.
    """
    from p2re_eval.cli.prompt_labels import label_history, move_label

    if label is None and remove:
        raise click.UsageError("--remove takes a label away; name the LABEL")
    if label is None:
        label_history(name, db)
    else:
        move_label(
            library_of(folder, db), f"{name}@{version}".rstrip("@"), label, db, remove=remove
        )


def _read_inputs(
    template: PromptTemplate, pairs: Sequence[str], file: Path | None
) -> dict[str, JSON]:
    given: dict[str, JSON] = {}
    if file is not None:
        content = _parsed(_read(file), str(file))
        if not isinstance(content, dict):
            raise UsageError(f"{file} must hold a JSON object: {{input: value}}")
        given |= content
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"-i {pair}: write it KEY=VALUE")
        if text.startswith("@@"):
            text = text[1:]
        elif text.startswith("@"):
            text = _read(Path(text[1:]))
        given[name] = _typed(text, template.inputs.get(name, {}).get("type"), name)
    return given


def _typed(text: str, wanted: JSON, name: str) -> JSON:
    """Text stays text unless the input's JSON Schema wants something else."""
    kinds = wanted if isinstance(wanted, list) else [wanted]
    if wanted is None or "string" in kinds:
        return text
    return _parsed(text, f"input '{name}' takes {' or '.join(kinds)}, and this")


def _parsed(text: str, what: str) -> JSON:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is not JSON: {error}") from None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        raise UsageError(f"cannot read {file}: {reason}") from None


def _refuse_problems(
    library: PromptLibrary, template: PromptTemplate, given: Mapping[str, JSON]
) -> None:
    problems = library.check_inputs(template, given)
    if problems:
        raise UsageError("\n".join(problem.what for problem in problems))


def _sections(template: PromptTemplate) -> list[Section]:
    from p2re_eval.cli.prompt_diff import Section

    sections = [Section(_heading(m), _template_text(m)) for m in template.messages]
    settings = {
        "model": template.model.asked(),
        "inputs": template.inputs,
        "examples": [example.model_dump(mode="json") for example in template.examples],
        "output": template.output_schema,
        "tools": [tool.model_dump(mode="json") for tool in template.tools],
    }
    sections += [Section(name, _as_json(value)) for name, value in settings.items() if value]
    sections += [Section(path, text) for path, text in template.partials.items()]
    return sections


def _heading(message: TemplateMessage) -> str:
    return "history" if message.history is not None else str(message.role)


def _template_text(message: TemplateMessage) -> str:
    if message.history is not None:
        return message.history
    if isinstance(message.content, str):
        return message.content
    return "\n".join(
        f"[image {part.image}]" if part.text is None else part.text for part in message.content
    )


def _message_text(message: Message) -> str:
    if isinstance(message.content, str):
        return message.content
    shown = []
    for part in message.content:
        if part.type == "text":
            shown.append(part.text)
        else:
            length = f"... {len(part.url)} characters" if len(part.url) > 80 else ""
            shown.append(f"[image {part.url[:80]}{length}]")
    return "\n".join(shown)


def _summary(template: PromptTemplate) -> dict[str, JSON]:
    return {
        "name": template.name,
        "version": template.version,
        "description": template.description,
        "model": template.model.asked(),
        "inputs": template.inputs,
        "path": template.path,
    }


def _model(template: PromptTemplate) -> str:
    return template.model.id if template.model.provider and template.model.name else "-"


def _line(value: JSON) -> str:
    return str(value) if isinstance(value, int) else json.dumps(value, ensure_ascii=False)


def _as_json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2)


def _columns(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    table = [head, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(head) - 1)]
    lines = []
    for row in table:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    return "\n".join(lines)
