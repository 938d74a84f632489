"""``p2re traces``: recorded calls to models, listed, shown and followed."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.options import HOW_MANY, db_option, json_option, moment_of
from p2re_eval.cli.trace_edits import delete, pin, tag
from p2re_eval.cli.trace_search import search
from p2re_eval.cli.trace_text import conversation, ending, head, line, table
from p2re_eval.cli.trace_transfer import export, import_

if TYPE_CHECKING:
    from p2re_eval.store import Store, TraceFilter, TraceRow

_POLL_S = 0.3

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _filters(command: _Command) -> _Command:
    """The options that narrow a list, in the order of the help."""
    statuses = click.Choice(["RUNNING", "OK", "ERROR", "ABANDONED"], case_sensitive=False)
    for option in reversed(
        [
            click.option("--model", help="Only of this model: provider/name."),
            click.option("--prompt", help="Only of this prompt."),
            click.option("--status", type=statuses, help="Only with this status."),
            click.option("--suite", help="Only of this suite file."),
            click.option("--experiment", help="Only of this experiment: an id or its beginning."),
            click.option("--session", help="Only of this session."),
            click.option(
                "--since",
                metavar="TIME",
                callback=moment_of,
                help="Only begun since: 30m, 2h, 7d, 2026-01-31T09:00.",
            ),
        ]
    ):
        command = option(command)
    return command


@click.group()
def traces() -> None:
    """Recorded calls to models: list, search, show, tail, pin."""


@traces.command("list")
@_filters
@click.option("--limit", default=20, show_default=True, type=HOW_MANY, help="How many.")
@click.option("--before", type=int, help="Only older ones: the number that ended the last page.")
@db_option
@json_option
def list_(limit: int, before: int | None, db: Path | None, as_json: bool, **wanted: Any) -> None:
    """The newest traces first."""
    with existing_store(db) as store:
        narrowed = _filter(store, wanted)
        rows = store.list_traces(limit=limit, before=before, **narrowed.model_dump())
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    if not rows:
        click.echo("no traces" if before is None else "no older traces")
        return
    click.echo(table(rows))
    if len(rows) == limit:
        click.echo(f"\nolder ones: --before {rows[-1].id}")


@traces.command()
@click.argument("trace_id", metavar="ID")
@db_option
@json_option
def show(trace_id: str, db: Path | None, as_json: bool) -> None:
    """One trace, by its ID or the beginning of it."""
    with existing_store(db) as store:
        trace = store.read_trace(trace_id)
        evaluations = store.evaluations(trace.trace_id)
    if as_json:
        shown = trace.model_dump(mode="json")
        shown["evaluations"] = [one.model_dump(mode="json") for one in evaluations]
        click.echo(json.dumps(shown, indent=2))
        return
    for text in (*head(trace), *conversation(trace), *ending(trace, evaluations)):
        click.echo(text)


@traces.command()
@_filters
@click.option(
    "--lines",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many to begin with.",
)
@db_option
@json_option
def tail(lines: int, db: Path | None, as_json: bool, **wanted: Any) -> None:
    """Traces as they end, of any process, one line each, until Ctrl-C."""
    try:
        with existing_store(db) as store:
            for row in _followed(store, _filter(store, wanted), lines):
                click.echo(row.json_text() if as_json else line(row))
    except KeyboardInterrupt:
        return  # how a tail is meant to end


def _filter(store: Store, wanted: dict[str, Any]) -> TraceFilter:
    from p2re_eval.store import TraceFilter

    experiment = wanted["experiment"]
    if experiment is not None:
        experiment = store.read_experiment(experiment).experiment_id
    return TraceFilter(
        model=wanted["model"],
        prompt=wanted["prompt"],
        status=wanted["status"],
        suite=wanted["suite"],
        experiment_id=experiment,
        session_id=wanted["session"],
        since_ns=wanted["since"],
    )


def _followed(store: Store, wanted: TraceFilter, lines: int) -> Iterator[TraceRow]:
    cursor = store.newest_end()
    recent = store.list_traces(limit=lines, **wanted.model_dump()) if lines else []
    ended = [row for row in reversed(recent) if row.status != "RUNNING"]
    yield from ended
    shown = {row.id for row in ended}  # some may have ended after the cursor was taken
    while True:
        rows, cursor = store.ended_after(cursor, wanted)
        yield from (row for row in rows if row.id not in shown)
        shown.clear()
        if not rows:
            time.sleep(_POLL_S)


for _command in (search, pin, tag, delete, export, import_):
    traces.add_command(_command)
