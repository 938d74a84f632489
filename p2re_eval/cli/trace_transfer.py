"""``p2re traces export`` and ``import``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from p2re_eval.cli.database import database_path, existing_store, writing_store
from p2re_eval.cli.keeping import written_text
from p2re_eval.cli.options import db_option
from p2re_eval.errors import UsageError
from p2re_eval.quantities import count_text

if TYPE_CHECKING:
    from p2re_eval.service import Service

_ONE_TRACE = (".md", ".html", ".json")


@click.command("export")
@click.argument("expression", nargs=-1, metavar="[ID|EXPRESSION]")
@click.option(
    "-o",
    "--out",
    type=click.Path(),
    help="A .jsonl file (default: standard output), a folder for Parquet (with a final /), or for "
    "one trace a .md, .html or .json file.",
)
@db_option
def export(expression: tuple[str, ...], out: str | None, db: Path | None) -> None:
    """Write traces as JSON lines or Parquet.

    All of them, or those of an expression. JSON lines come back whole with `p2re traces
    import`. With -o NAME.md, .html or .json the one trace with that ID is written as a document.
    """
    from p2re_eval.service import Service

    asked = " ".join(expression)
    with existing_store(db) as store:
        service = Service(store)
        target = None if out is None else Path(out)
        if target is None or out is None:
            _lines(service, asked, None)
        elif out.endswith("/") or target.is_dir() or not target.suffix:
            _parquet(service, asked, target)
        elif target.suffix in _ONE_TRACE:
            _document(service, asked, target)
        else:
            _lines(service, asked, target)


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@db_option
def import_(file: Path, db: Path | None) -> None:
    """Read an export (.jsonl; - is standard input). What is here already stays once."""
    from p2re_eval.service import Service

    path = database_path(db)
    with writing_store(path) as store:
        transfer = Service(store).transfer
        if str(file) == "-":
            counts = transfer.import_lines(sys.stdin.buffer, source="standard input")
        else:
            try:
                with file.open("rb") as lines:
                    counts = transfer.import_lines(lines, source=str(file))
            except OSError as error:
                raise UsageError(f"cannot read {file}: {error.strerror}") from None
    click.echo(f"{path}: {written_text(counts)}")


def _lines(service: Service, asked: str, out: Path | None) -> None:
    lines = service.transfer.export_lines(asked or None)
    if out is None:
        for line in lines:
            click.echo(line)
        return
    count = -1  # the header is no record
    with _opened(out) as file:
        for line in lines:
            file.write(f"{line}\n")
            count += 1
    click.echo(f"{out}: {count_text(count, 'record')}")


def _opened(out: Path) -> TextIO:
    try:
        return out.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {out}: {error.strerror}") from None


def _parquet(service: Service, asked: str, out: Path) -> None:
    if asked:
        what = "Parquet holds the whole database; filter it there, or write .jsonl"
        raise UsageError(what)
    try:
        written = service.transfer.write_parquet(out)
    except (FileExistsError, NotADirectoryError):
        what = f"{out} is a file, or lies below one, and Parquet needs a folder; give another name"
        raise UsageError(what) from None
    except OSError as error:
        raise UsageError(f"cannot write into {out}: {error.strerror or error}") from None
    for path, rows in written.items():
        click.echo(f"{path}: {count_text(rows, 'row')}")


def _document(service: Service, asked: str, out: Path) -> None:
    from p2re_eval.report.trace_document import trace_document

    if not asked:
        raise UsageError(f"{out.suffix} holds one trace; give its ID")
    detail = service.traces.get(asked)
    text = trace_document(detail.trace, detail.evaluations, out.suffix.removeprefix("."))
    with _opened(out) as file:
        file.write(text)
    click.echo(f"{out}: trace {detail.trace.trace_id[:18]}")
