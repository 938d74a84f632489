"""``p2re open``: whatever an address names."""

from __future__ import annotations

from pathlib import Path

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.library import revisions_here
from p2re_eval.cli.options import db_option


@click.command("open")
@click.argument("address")
@db_option
def open_(address: str, db: Path | None) -> None:
    """Print what is at ADDRESS (trace:ID, session:ID) as JSON.

    The others are prompt:NAME@VERSION, evaluation:ID and experiment:ID.
    """
    from p2re_eval.service import Service

    with existing_store(db) as store:
        found = Service(store, revisions=revisions_here(db)).open(address)
    click.echo(found.model_dump_json(indent=2))
