"""``p2re traces pin``, ``tag`` and ``delete``."""

from __future__ import annotations

from pathlib import Path

import click

from p2re_eval.cli.database import changing_store, existing_store
from p2re_eval.cli.options import db_option
from p2re_eval.quantities import count_text


@click.command()
@click.argument("trace_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--off", is_flag=True, help="Take the pins off.")
@db_option
def pin(trace_ids: tuple[str, ...], off: bool, db: Path | None) -> None:
    """Keep traces from retention (`p2re prune`)."""
    from p2re_eval.service import Service

    with existing_store(db) as store:
        service = Service(store)
        for trace_id in trace_ids:
            service.traces.pin(trace_id, pinned=not off)
    click.echo(f"{'no longer pinned' if off else 'pinned'}: {count_text(len(trace_ids), 'trace')}")


@click.command()
@click.argument("trace_id", metavar="ID")
@click.argument("tags", nargs=-1)
@click.option("--remove", multiple=True, metavar="TAG", help="A tag to take off. Repeatable.")
@db_option
def tag(trace_id: str, tags: tuple[str, ...], remove: tuple[str, ...], db: Path | None) -> None:
    """Put TAGS on a trace, or take them off; prints those it has then."""
    from p2re_eval.service import Service

    with changing_store(db) as store:
        found = Service(store).traces.tag(trace_id, add=tags, remove=remove)
    click.echo(", ".join(found) or "no tags")


@click.command()
@click.argument("trace_ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@db_option
def delete(trace_ids: tuple[str, ...], yes: bool, db: Path | None) -> None:
    """Delete traces with their texts and judgements, for good."""
    from p2re_eval.service import Service

    if not yes:
        what = count_text(len(trace_ids), "trace")
        click.confirm(f"Delete {what} for good?", abort=True)
    with existing_store(db) as store:
        gone = Service(store).traces.delete(trace_ids)
    click.echo(f"deleted: {count_text(gone, 'trace')}")
