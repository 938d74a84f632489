"""``p2re sessions``: conversations with their totals and turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.options import db_option, json_option
from p2re_eval.cli.trace_text import moment, plain, short
from p2re_eval.quantities import count_text, duration_text, money_text

if TYPE_CHECKING:
    from p2re_eval.service import Turn
    from p2re_eval.store.session_queries import SessionRow


@click.group()
def sessions() -> None:
    """Conversations: list them, read them."""


@sessions.command("list")
@click.option("--user", help="Only of this user.")
@click.option("--text", help="Only with this in name, id or user.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
@db_option
@json_option
def list_(user: str | None, text: str | None, limit: int, db: Path | None, as_json: bool) -> None:
    """The newest conversations first."""
    from tabulate import tabulate

    from p2re_eval.service import Service

    with existing_store(db) as store:
        rows = Service(store).sessions.list(user=user, text=text, limit=limit).items
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    if not rows:
        click.echo("no sessions")
        return
    headers = ["session", "begun", "user", "turns", "errors", "cost", "first words"]
    cells = [
        (
            row.session_id,
            moment(row.started_ns),
            row.user or "",
            row.traces,
            row.errors or "",
            _cost(row),
            short(row.name or row.first_input or "", 48),
        )
        for row in rows
    ]
    click.echo(tabulate(cells, headers=headers, disable_numparse=True))


@sessions.command()
@click.argument("session_id", metavar="ID")
@db_option
@json_option
def show(session_id: str, db: Path | None, as_json: bool) -> None:
    """A conversation from its first word to its last, each turn once."""
    from p2re_eval.service import Service

    with existing_store(db) as store:
        service = Service(store)
        detail = service.sessions.get(session_id)
        turns = list(service.sessions.transcript(detail.session.session_id))
    if as_json:
        shown = detail.model_dump(mode="json")
        shown["turns"] = [turn.model_dump(mode="json") for turn in turns]
        click.echo(json.dumps(shown, indent=2))
        return
    totals = detail.totals
    told = [totals.session_id, totals.name or "", totals.user or ""]
    told += [count_text(totals.traces, "turn"), _cost(totals)]
    click.echo(plain("  ".join(part for part in told if part)))
    for turn in turns:
        for text in _turn(turn):
            click.echo(text)


def _turn(turn: Turn) -> Iterator[str]:
    yield ""
    facts = (turn.trace_id[:18], turn.model, duration_text(turn.duration_ns))
    yield click.style(f"#{turn.number}  {'  '.join(facts)}", dim=True)
    for message in turn.messages:
        yield f"{click.style(message.role, bold=True)}: {plain(message.text)}"
    if turn.answer is not None:
        calls = [f"{call.name}({call.arguments})" for call in turn.answer.tool_calls]
        said = "\n".join(part for part in (turn.answer.text, *calls) if part)
        yield f"{click.style('assistant', bold=True)}: {plain(said)}"
    if turn.fault is not None:
        yield f"{click.style(turn.fault.kind, fg='red')}: {plain(turn.fault.message)}"


def _cost(row: SessionRow) -> str:
    if row.cost_usd is None:
        return ""
    more = f" + {row.unpriced} unpriced" if row.unpriced else ""
    return money_text(row.cost_usd) + more
