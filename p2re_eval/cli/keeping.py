"""``p2re prune``, ``redact``, ``backup``, ``restore`` and ``unite``: the database as a whole."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import changing_store, database_path, existing_store, writing_store
from p2re_eval.cli.options import db_option, json_option
from p2re_eval.quantities import count_text

if TYPE_CHECKING:
    from p2re_eval.store.retention import PruneReport

_SIZES = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000, "t": 1_000_000_000_000}
_DAYS = {"h": 1 / 24, "d": 1, "w": 7, "y": 365}
_LONGEST_DAYS = 18_000.0
"""Before that nothing was recorded; nanoseconds still fit."""
_MOST_BYTES = 1e15


def _days(context: click.Context, option: click.Parameter, value: str | None) -> float | None:
    """``30d``, ``12h``, ``8w``, ``1y``."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([hdwy])", value.lower())
    if found is None:
        raise click.BadParameter(f"'{value}' is not like 12h, 30d, 8w or 1y", context, option)
    return min(float(found[1]) * _DAYS[found[2]], _LONGEST_DAYS)


def _bytes(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """``500MB``, ``2GB``."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)b?", value.lower())
    if found is None:
        raise click.BadParameter(f"'{value}' is not like 500MB or 2GB", context, option)
    return round(min(float(found[1]) * _SIZES[found[2]], _MOST_BYTES))


@click.command()
@click.option("--older-than", metavar="AGE", callback=_days, help="Delete traces older than: 90d.")
@click.option("--texts-after", metavar="AGE", callback=_days, help="Drop texts older than: 30d.")
@click.option("--raw-after", metavar="AGE", callback=_days, help="Drop raw answers older than: 7d.")
@click.option("--max-traces", type=click.IntRange(min=0), help="Keep no more traces than this.")
@click.option("--max-size", metavar="SIZE", callback=_bytes, help="Keep the file below: 2GB.")
@click.option(
    "--include-evaluated", is_flag=True, help="Also what only scorers have judged, not people."
)
@click.option("--dry-run", is_flag=True, help="Say what would go, and change nothing.")
@db_option
@json_option
def prune(
    older_than: float | None,
    texts_after: float | None,
    raw_after: float | None,
    max_traces: int | None,
    max_size: int | None,
    include_evaluated: bool,
    dry_run: bool,
    db: Path | None,
    as_json: bool,
) -> None:
    """Let go of old traces, texts or raw answers; statistics stay.

    Pinned traces and those that people have judged are always kept.
    """
    from p2re_eval.service import Service
    from p2re_eval.store.retention import RetentionPolicy

    policy = RetentionPolicy(
        raw_days=raw_after,
        text_days=texts_after,
        row_days=older_than,
        max_traces=max_traces,
        max_bytes=max_size,
        keep_evaluated=not include_evaluated,
    )
    with existing_store(db) as store:
        report = Service(store).keeping.prune(policy, dry_run=dry_run, progress=_progress())
    click.echo(report.json_text(indent=2) if as_json else _told(report))


def _progress() -> Callable[[str, int], None]:
    """A line on a terminal that counts; nothing in a pipe."""
    if not sys.stderr.isatty():
        return lambda what, count: None
    return lambda what, count: click.echo(f"\r{what}: {count:,}", err=True, nl=False)


def _told(report: PruneReport) -> str:
    would = "would be " if report.dry_run else ""
    about = "about " if report.dry_run else ""
    lines = [
        f"raw answers {would}dropped of {count_text(report.raw_dropped, 'trace')}",
        f"texts {would}dropped of {count_text(report.texts_dropped, 'trace')}",
        f"{count_text(report.rows_deleted, 'trace')} {would}deleted; their counts stay",
    ]
    if report.protected:
        lines.append(f"{count_text(report.protected, 'old trace')} kept: pinned, judged or running")
    sizes = f"{report.bytes_before / 1e6:.1f} MB -> {about}{report.bytes_after / 1e6:.1f} MB"
    return "\n".join([*lines, sizes])


@click.command()
@click.option("--dry-run", is_flag=True, help="Count what would be rewritten; change nothing.")
@db_option
def redact(dry_run: bool, db: Path | None) -> None:
    """Take secrets out of what was recorded before.

    What counts as a secret is what a new record would leave out: key shapes, headers, passwords in
    addresses, values of secret environment variables, and your own patterns (P2RE_REDACT,
    pyproject.toml, plug-ins).
    """
    from p2re_eval.service import Service

    with changing_store(db) as store:
        report = Service(store).keeping.redact(dry_run=dry_run)
    if not report.changed:
        click.echo("nothing to redact")
        return
    would = "would be rewritten" if dry_run else "rewritten"
    click.echo(f"{count_text(report.texts, 'text')} {would}")
    rows = {**report.rows, "prompts' variables": report.prompts, "versions": report.versions}
    for table, count in rows.items():
        if count:
            click.echo(f"{count_text(count, 'value')} in {table} {would}")


@click.command()
@click.argument("target", metavar="FILE", type=click.Path(path_type=Path))
@db_option
def backup(target: Path, db: Path | None) -> None:
    """Copy the database into FILE while others use it.

    The copy is checked before it counts.
    """
    from p2re_eval.service import Service

    with existing_store(db) as store:
        size = Service(store).transfer.back_up(target)
    click.echo(f"{target}: {size / 1e6:.1f} MB")


@click.command()
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
def restore(source: Path, yes: bool, db: Path | None) -> None:
    """Put the backup FILE in the database's place.

    What was there is kept beside it.
    """
    from p2re_eval.service import Service

    path = database_path(db)
    if not yes:
        click.confirm(f"Replace what is in {path}?", abort=True)
    with writing_store(path) as store:
        kept = Service(store).transfer.restore(source)
    click.echo(f"{path}: restored" + (f"; what was there is in {kept}" if kept else ""))


@click.command()
@click.argument("databases", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="The database to add to."
)
def unite(databases: tuple[Path, ...], out: Path) -> None:
    """Take everything of the DATABASES into OUT.

    The order does not matter, and doing it again changes nothing. For the shards of one run, whose
    gates are to be decided together, there is `p2re merge`.
    """
    from p2re_eval.service import Service

    with writing_store(out) as store:
        counts = Service(store).transfer.merge(databases)
    click.echo(f"{out}: {written_text(counts)}")


def written_text(counts: dict[str, int]) -> str:
    """What an import or a merge wrote, in words."""
    names = {
        "finish_trace": "trace",
        "save_evaluations": "judged trace",
        "save_prompt_version": "prompt version",
        "finish_experiment": "experiment",
        "save_result": "result",
        "start_session": "session",
    }
    told = [count_text(counts[key], name) for key, name in names.items() if counts.get(key)]
    return ", ".join(told) or "nothing new"
