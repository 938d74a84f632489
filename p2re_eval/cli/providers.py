"""``p2re providers``: who can be asked, where, and which variables are set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from p2re_eval.interfaces import Requirements
    from p2re_eval.records import JSON


@click.command()
@click.option("--root", default=".", type=click.Path(path_type=Path), help="The project's folder.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def providers(root: Path, as_json: bool) -> None:
    """Every provider, its address and the variables it reads."""
    rows = list(_rows(root.resolve()))
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    from tabulate import tabulate

    cells = [
        (row["name"], _ready(row), row["base_url"] or "-", _variables(row), row["note"])
        for row in rows
    ]
    headers = ("provider", "ready", "address", "variables (* set)", "")
    click.echo(tabulate(cells, headers=headers, tablefmt="plain"))


def _rows(root: Path) -> Iterator[dict[str, JSON]]:
    import asyncio

    from p2re_eval.clock import SystemClock
    from p2re_eval.interfaces import ProviderContext, Requirements
    from p2re_eval.plugins import Plugins

    context = ProviderContext(root=root, clock=SystemClock())
    plugins = Plugins()
    plugins.add_project(root)
    for name, factory in sorted(plugins.providers.items()):
        provider = factory(context)
        told = getattr(provider, "requirements", Requirements)()
        asyncio.run(provider.close())
        yield _row(name, told)


def _row(name: str, told: Requirements) -> dict[str, JSON]:
    from p2re_eval.providers.http_faults import without_userinfo
    from p2re_eval.providers.keys import is_set

    return {
        "name": name,
        "ready": _is_ready(told),
        "base_url": without_userinfo(told.base_url),
        "variables": {variable: is_set(variable) for variable in told.variables},
        "note": told.note,
    }


def _is_ready(told: Requirements) -> bool:
    from p2re_eval.providers.keys import is_set

    reachable = bool(told.base_url or not told.variables)
    reachable = reachable and not told.missing
    return reachable and (not told.needed or any(is_set(name) for name in told.needed))


def _ready(row: dict[str, JSON]) -> str:
    return "yes" if row["ready"] else "no"


def _variables(row: dict[str, JSON]) -> str:
    return " ".join(f"{name}{'*' if there else ''}" for name, there in row["variables"].items())
