"""``p2re schema``: the JSON Schemas of prompt and suite files, and of JSON reports."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p2re_eval.records import JSON

SCHEMAS = Path(".p2re/schemas")
_KINDS = {"prompt": "prompts", "suite": "suites"}
"""Each kind of file that people write, with the folder it usually lies in."""
REPORT = "report"


@click.command()
@click.argument("kind", type=click.Choice([*_KINDS, REPORT]), required=False)
@click.option(
    "--out",
    default=str(SCHEMAS),
    show_default=True,
    metavar="FOLDER",
    help="Where to write; - prints the schema of KIND instead.",
)
def schema(kind: str | None, out: str) -> None:
    """Write JSON Schemas, with which editors check YAML files.

    Of prompts and suites, or of the kind that is named; the line printed for each ties a file to
    its schema. `report` describes what --p2re-report X.json writes.
    """
    kinds = [kind] if kind else list(_KINDS)
    if out == "-":
        if kind is None:
            raise click.UsageError("`--out -` prints one schema; say `prompt`, `suite`, `report`.")
        click.echo(schema_text(kind), nl=False)
        return
    for file, kind in zip(write_schemas(Path(out), kinds), kinds, strict=True):
        if kind == REPORT:
            click.echo(f"wrote {file}")
            continue
        click.echo(f"wrote {file}; the first line of a file in {_KINDS[kind]}/:")
        click.echo(f"    {modeline(file, Path(_KINDS[kind]))}")


def write_schemas(folder: Path, kinds: list[str] | None = None) -> list[Path]:
    """Write ``prompt.schema.json`` and ``suite.schema.json``; gives back their paths.

    Raises UsageError when the folder cannot be written.
    """
    from p2re_eval.errors import UsageError

    files = {folder / f"{kind}.schema.json": kind for kind in kinds or _KINDS}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, kind in files.items():
            file.write_text(schema_text(kind), encoding="utf-8")
    except OSError as error:
        what = f"cannot write to {folder} ({error.strerror}); choose another --out"
        raise UsageError(what) from None
    return list(files)


def modeline(file: Path, folder: Path) -> str:
    """The comment that ties YAML files in a folder to a schema file."""
    address = file.absolute().as_uri()
    if not file.is_absolute():
        address = os.path.relpath(file, folder).replace(os.sep, "/")
    return f"# yaml-language-server: $schema={address}"


def schema_text(kind: str) -> str:
    """The JSON Schema (draft 2020-12) of one kind of file."""
    return json.dumps(_schema(kind), indent=2, ensure_ascii=False) + "\n"


def _schema(kind: str) -> dict[str, JSON]:
    # the formats bring pydantic and Jinja with them, which `p2re --help` can do without
    if kind == REPORT:
        from p2re_eval.report.json_file import report_schema

        return report_schema()
    if kind == "prompt":
        from p2re_eval.prompts.format import PromptFile as Format
    else:
        from p2re_eval.suites.format import SuiteFile as Format  # type: ignore[assignment]
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:p2re_eval:schema:{kind}",
        "title": f"p2re_eval {kind}",
    }
    body = Format.model_json_schema()
    return {**head, **{key: value for key, value in body.items() if key != "title"}}
