"""``p2re sync``: keep other systems in step with the database, and see how they stand."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import changing_store, existing_store
from p2re_eval.cli.options import db_option, json_option
from p2re_eval.quantities import count_text, duration_text

if TYPE_CHECKING:
    from p2re_eval.bridges.outcome import Outcome, Progress
    from p2re_eval.bridges.standing import Standing
    from p2re_eval.errors import BridgeError

_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
_watch = click.option("--watch", is_flag=True, help="Go on until Ctrl-C.")


@click.group()
def sync() -> None:
    """Other systems, kept in step with the database."""


@sync.command()
@click.option("--url", default="", help="Phoenix's address (default: $PHOENIX_COLLECTOR_ENDPOINT).")
@click.option("--project", default="", help="The project there (default: $PHOENIX_PROJECT_NAME).")
@click.option("--pull", is_flag=True, help="Only take over what is there.")
@click.option("--push", is_flag=True, help="Only send what is here.")
@click.option("--full", is_flag=True, help="Look at everything, and for what was deleted.")
@click.option(
    "--datasets",
    metavar="FOLDER",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write the datasets there into this folder, for suites.",
)
@_watch
@_dry_run
@db_option
@json_option
def phoenix(
    url: str,
    project: str,
    pull: bool,
    push: bool,
    full: bool,
    datasets: Path | None,
    watch: bool,
    dry_run: bool,
    db: Path | None,
    as_json: bool,
) -> None:
    """Keep in step with Phoenix, both ways.

    A key is read from PHOENIX_API_KEY. Needs the extra 'phoenix'.
    """
    from p2re_eval.bridges.phoenix.sync import PhoenixSettings, sync_phoenix, watch_phoenix

    settings = PhoenixSettings(
        address=url,
        project=project,
        pull=pull,
        push=push,
        full=full,
        dry=dry_run,
        datasets=datasets,
    )
    with changing_store(db) as store:
        if watch:
            _follow(watch_phoenix(store, settings), as_json)
            return
        _once(lambda told: sync_phoenix(store, settings, progress=told), as_json)


@sync.command()
@click.option("--url", default="", help="The collector (default: $OTEL_EXPORTER_OTLP_ENDPOINT).")
@_watch
@_dry_run
@db_option
@json_option
def otlp(url: str, watch: bool, dry_run: bool, db: Path | None, as_json: bool) -> None:
    """Recorded traces to an OpenTelemetry collector (OTLP/HTTP).

    Headers are read from OTEL_EXPORTER_OTLP_HEADERS. Needs the extra 'otlp'.
    """
    from p2re_eval.bridges.otlp import OtlpSettings, sync_otlp, watch_otlp

    settings = OtlpSettings(address=url, dry=dry_run)
    with changing_store(db) as store:
        if watch:
            _follow(watch_otlp(store, settings), as_json)
            return
        _once(lambda told: sync_otlp(store, settings, progress=told), as_json)


@sync.command()
@db_option
@json_option
def status(db: Path | None, as_json: bool) -> None:
    """How far behind each system is, and what failed."""
    from p2re_eval.bridges.standing import standings

    with existing_store(db) as store:
        standing = standings(store)
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in standing], indent=2))
        return
    if not standing:
        click.echo("nothing was ever synced; see p2re sync -h")
        return
    click.echo(_table(standing))
    for one in standing:
        for why in one.failures:
            click.echo(f"failed: {one.target}: {why}")


def _table(standing: list[Standing]) -> str:
    from tabulate import tabulate

    headers = ["target", "last sync", "runs behind", "evaluations behind", "on the way"]
    headers += ["synced", "deleted there", "conflicts", "failed"]
    rows = [
        (
            one.target,
            _moment(one.last_sync_ns),
            one.runs_behind,
            one.evaluations_behind,
            one.on_the_way,
            one.synced,
            one.deleted_there,
            one.conflicts,
            one.failed,
        )
        for one in standing
    ]
    return tabulate(rows, headers=headers, disable_numparse=True)


def _moment(ns: int | None) -> str:
    if ns is None:
        return "never"
    return datetime.fromtimestamp(ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _once(run: Callable[[Progress], Awaitable[Outcome]], as_json: bool) -> None:
    """One sync with a line of progress on a terminal; exit code 1 when something failed."""

    async def awaited() -> Outcome:
        return await run(_told)

    outcome = asyncio.run(awaited())
    if sys.stderr.isatty():
        click.echo("\r\033[K", nl=False, err=True)
    _print(outcome, as_json)
    if outcome.failures:
        raise click.exceptions.Exit(1)


def _follow(outcomes: AsyncIterator[Outcome | BridgeError], as_json: bool) -> None:
    """One line for each sync that did something, until Ctrl-C; a server that stays away is told
    of once."""
    from p2re_eval.bridges.outcome import Outcome

    async def follow() -> None:
        told = ""
        async for one in outcomes:
            if isinstance(one, Outcome):
                told = ""
                if one.changed:
                    _print(one, as_json)
            elif str(one) != told:
                told = str(one)
                click.echo(told, err=True)

    try:
        asyncio.run(follow())
    except KeyboardInterrupt:
        return  # how watching is meant to end


def _print(outcome: Outcome, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(outcome)))
        return
    took = duration_text(outcome.duration_ns)
    click.echo(f"{outcome.target} ({count_text(outcome.requests, 'request')}, {took})")
    for line in outcome.lines():
        click.echo(f"  {line}")


def _told(what: str, done: int, total: int | None) -> None:
    if sys.stderr.isatty():
        of = "" if total is None else f" of {total:,}"
        click.echo(f"\r\033[K{what}: {done:,}{of}", nl=False, err=True)
