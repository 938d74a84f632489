"""``p2re init``: a first prompt and a first suite that pass on the model that runs in process."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import click

_EXAMPLES = ("prompts/route_ticket.yaml", "suites/route_ticket.yaml")
_IGNORED = ".p2re/"


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False))
def init(folder: Path) -> None:
    """Write a first prompt and suite into FOLDER (default: here).

    Nothing that exists is overwritten: exit code 2 when an example file is there already.
    """
    from p2re_eval.errors import UsageError

    there = [name for name in _EXAMPLES if (folder / name).exists()]
    if there:
        verb = "exist" if len(there) > 1 else "exists"
        what = f"{' and '.join(there)} {verb} already, so nothing was written"
        raise UsageError(f"{what}; choose another folder: p2re init FOLDER")
    try:
        for line in _write(folder):
            click.echo(line)
    except OSError as error:
        what = f"cannot write {error.filename} ({error.strerror}); choose another folder"
        raise UsageError(what) from None
    click.echo(_next_steps(folder))


def _write(folder: Path) -> Iterator[str]:
    """Writes file by file; gives back a line to say for each."""
    from p2re_eval.cli.schema import SCHEMAS, write_schemas

    templates = files("p2re_eval.cli") / "templates"
    for name in _EXAMPLES:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("x", encoding="utf-8") as file:
            file.write((templates / name).read_text(encoding="utf-8"))
        yield f"wrote {target}"
    yield _ignore(folder / ".gitignore", (templates / "gitignore").read_text(encoding="utf-8"))
    write_schemas(folder / SCHEMAS)
    yield f"wrote {folder / SCHEMAS}: editors complete the files from these schemas"


def _ignore(file: Path, text: str) -> str:
    if not file.exists():
        file.write_text(text, encoding="utf-8")
        return f"wrote {file}"
    if _IGNORED in file.read_text(encoding="utf-8", errors="replace").split():
        return f"kept {file}"
    return f"kept {file}; add a line with {_IGNORED} to it"


def _next_steps(folder: Path) -> str:
    steps = ["pip install 'p2re-eval[local]'", "p2re models pull smollm2-135m", "pytest --p2re"]
    if folder != Path():
        steps.insert(0, f"cd {shlex.quote(str(folder))}")
    return "next:\n" + "\n".join(f"    {step}" for step in steps)
