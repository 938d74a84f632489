"""``p2re open`` and ``p2re delete``: whatever an address names."""

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


@click.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
def delete(address: str, yes: bool, db: Path | None) -> None:
    """Delete what is at ADDRESS (trace:ID, session:ID), for good.

    The others are evaluation:ID and experiment:ID. Traces of a session or an experiment stay; a
    prompt's version never goes.
    """
    from p2re_eval.service import Service

    with existing_store(db) as store:
        service = Service(store, revisions=revisions_here(db))
        service.open(address)
        if not yes:
            click.confirm(f"Delete {address} for good?", abort=True)
        service.delete(address)
    click.echo(f"deleted: {address}")
