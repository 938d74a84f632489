"""``p2re experiments start``, ``stop`` and ``promote``: A/B experiments on live traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import changing_store, existing_store, writing_store
from p2re_eval.cli.library import revisions_here
from p2re_eval.cli.options import HOW_MANY
from p2re_eval.cli.trace_text import plain
from p2re_eval.errors import UsageError

if TYPE_CHECKING:
    from p2re_eval.records import Variant
    from p2re_eval.store import Store

_db = click.option("--db", type=click.Path(path_type=Path), help="The database.")


@click.command()
@click.argument("name")
@click.option(
    "--variant",
    "variants",
    multiple=True,
    required=True,
    metavar="NAME=...",
    help="NAME=PROMPT@VERSION,model=M,weight=2,KEY=VALUE; the first is the control (repeatable).",
)
@click.option("--outcome", required=True, help="The evaluations that are compared, by name.")
@click.option(
    "--effect", default=0.05, show_default=True, help="The smallest difference worth knowing."
)
@click.option("--confidence", default=0.95, show_default=True, help="Of every comparison together.")
@click.option("--description", help="For people.")
@_db
def start(
    name: str,
    variants: tuple[str, ...],
    outcome: str,
    effect: float,
    confidence: float,
    description: str | None,
    db: Path | None,
) -> None:
    """Begin the A/B experiment NAME on live traffic.

    Your code asks assign(NAME, unit) which variant a user gets.
    """
    from pydantic import ValidationError

    from p2re_eval.online import Online

    given = [_variant(text) for text in variants]
    with writing_store(db) as store:
        try:
            made = Online(store).start(
                name,
                given,
                outcome=outcome,
                effect=effect,
                confidence=confidence,
                description=description,
            )
        except ValidationError as error:
            raise UsageError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    click.echo(f"{made.name}: running; ask p2re_eval.assign({made.name!r}, unit) in your code")


@click.command()
@click.argument("name")
@click.option("--winner", metavar="VARIANT", help="What everybody gets (default: the control).")
@_db
def stop(name: str, winner: str | None, db: Path | None) -> None:
    """End the A/B experiment NAME; one variant for everybody."""
    from p2re_eval.online import Online

    with changing_store(db) as store:
        stopped = Online(store).stop(name, winner=winner)
    click.echo(f"{name}: stopped; everybody gets {stopped.winner or stopped.variants[0].name}")


@click.command()
@click.argument("name")
@click.argument("variant")
@click.option("--label", default="production", show_default=True, help="The label to move.")
@_db
def promote(name: str, variant: str, label: str, db: Path | None) -> None:
    """End the A/B experiment NAME; label its winner VARIANT."""
    from p2re_eval.online import Online
    from p2re_eval.service.prompts import Prompts

    with changing_store(db) as store:
        online = Online(store, prompts=Prompts(store, revisions_here(db)))
        row = online.promote(name, variant, label=label)
    click.echo(f"{name}: stopped; '{label}' of {row.name} is {row.shown}")


@click.command()
@click.argument("name")
@click.option("--limit", default=100, show_default=True, type=HOW_MANY, help="How many.")
@_db
def units(name: str, limit: int, db: Path | None) -> None:
    """Who got which variant of the A/B experiment NAME."""
    from p2re_eval.online import Online

    with existing_store(db) as store:
        online, cursor = Online(store), None
        while limit > 0:
            page = online.units(name, limit=limit, cursor=cursor)
            for one in page.items:
                click.echo(f"{plain(' '.join(one.unit.split()))}\t{one.variant}")
            limit, cursor = limit - len(page.items), page.next_cursor
            if cursor is None:
                return


def online_shown(store: Store, name: str, *, as_json: bool) -> bool:
    """Whether NAME is an A/B experiment; then it has been printed."""
    from p2re_eval.online import Online

    online = Online(store)
    if name not in {one.name for one in online.list()}:
        return False
    from p2re_eval.report.online import online_report

    found = online.findings(name)
    click.echo(found.json_text(indent=2) if as_json else online_report(found))
    return True


def list_online(store: Store, *, as_json: bool) -> None:
    """Print the A/B experiments, the newest first; nothing where there are none."""
    from tabulate import tabulate

    from p2re_eval.online import Online

    found = Online(store).list()
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    rows = [
        (
            one.name,
            one.status.lower(),
            one.outcome,
            ", ".join(variant.name for variant in one.variants),
            one.winner or "",
        )
        for one in found
    ]
    if rows:
        click.echo()
        click.echo(
            tabulate(rows, headers=["A/B experiment", "status", "outcome", "variants", "winner"])
        )


def _variant(text: str) -> Variant:
    from p2re_eval.records import Variant

    name, equals, rest = text.partition("=")
    known: dict[str, object] = {"name": name.strip(), "settings": {}}
    settings: dict[str, object] = {}
    for part in filter(None, (piece.strip() for piece in rest.split(","))):
        key, given, value = part.partition("=")
        if not given:
            known["prompt"] = part
        elif key in ("model", "prompt"):
            known[key] = value
        elif key == "weight":
            known[key] = _weight(value, text)
        else:
            settings[key] = _value(value)
    if not equals or not known["name"] or not rest.strip():
        raise UsageError(f"--variant '{text}': write NAME=PROMPT@VERSION, or NAME=model=M")
    return Variant.model_validate({**known, "settings": settings})


def _weight(value: str, text: str) -> float:
    try:
        weight = float(value)
    except ValueError:
        weight = 0.0
    if not 0 < weight < float("inf"):
        raise UsageError(f"--variant '{text}': weight must be a number above 0, not '{value}'")
    return weight


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text
