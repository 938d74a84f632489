"""``p2re open`` and ``p2re delete``: whatever an address names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.library import revisions_here
from p2re_eval.cli.options import db_option

if TYPE_CHECKING:
    from p2re_eval.service.contracts import Artifact


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
    click.echo(found.json_text(indent=2))


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
    from p2re_eval.service.addresses import parse_address

    with existing_store(db) as store:
        service = Service(store, revisions=revisions_here(db))
        found = parse_address(address)
        if found.kind != "prompt":  # that is refused, so there is nothing to ask
            found = found.model_copy(update={"id": _whole_id(service.open(found))})
            if not yes:
                click.confirm(f"Delete {found} for good?", abort=True)
        service.delete(found)
    click.echo(f"deleted: {found}")


def _whole_id(found: Artifact) -> str:
    """Of what was opened by the beginning of its id, or as the latest: by the time of an answer
    that may be another one."""
    from p2re_eval.service.contracts import (
        ExperimentDetail,
        SessionDetail,
        TraceDetail,
        VersionDetail,
    )

    match found:
        case TraceDetail():
            return found.trace.trace_id
        case ExperimentDetail():
            return found.experiment.experiment_id
        case SessionDetail():
            return found.session.session_id
        case VersionDetail():
            return found.row.version
    return found.evaluation_id
