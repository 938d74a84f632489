"""``p2re prompts label``, and what the record knows of the versions that ``log`` lists."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import database_path, existing_store, writing_store
from p2re_eval.cli.trace_text import moment
from p2re_eval.quantities import duration_text, money_text, share_text

if TYPE_CHECKING:
    from p2re_eval.prompts import PromptLibrary
    from p2re_eval.records import JSON
    from p2re_eval.service import Service


def recorded_versions(name: str, db: Path | None) -> dict[str, dict[str, JSON]]:
    """By version: calls, pass rate, mean cost, p50 latency and labels; empty without a database."""
    from p2re_eval.service import Service
    from p2re_eval.store import open_store
    from p2re_eval.store.stat_queries import StatsQuery

    path = database_path(db)
    if not path.exists():
        return {}
    with open_store(path, read_only=True) as store:
        service = Service(store)
        report = service.statistics.report(StatsQuery(by=("version",), prompt=name))
        labels = _labels(service, name)
    found: dict[str, dict[str, JSON]] = {version: {} for version in labels}
    for row in report.rows:
        found.setdefault(str(row.key["version"]), {}).update(
            calls=row.traces,
            errors=row.errors,
            mean_cost_usd=None if row.cost_usd is None else row.cost_usd / row.priced,
            p50_ns=row.p50_ns,
        )
    for version, numbers in found.items():
        scores = [one for one in report.scores if one.key["version"] == version]
        decided = sum(one.passed + one.failed for one in scores)
        passed = sum(one.passed for one in scores)
        numbers["pass_rate"] = passed / decided if decided else None
        numbers["labels"] = labels.get(version, [])
    return found


def _labels(service: Service, name: str) -> dict[str, list[str]]:
    from p2re_eval.errors import NoSuchRecord

    found: dict[str, list[str]] = {}
    try:
        for row in service.prompts.versions(name, limit=1000).items:
            if row.labels:
                found[row.version] = list(row.labels)
    except NoSuchRecord:
        pass  # nothing of this prompt was recorded yet
    return found


def recorded_cells(numbers: Mapping[str, JSON] | None) -> tuple[str, ...]:
    """CALLS, PASSED, COST, P50 and LABELS of a version, empty where nothing is known."""
    if not numbers:
        return ("",) * 5
    cost, p50, rate = (numbers.get(key) for key in ("mean_cost_usd", "p50_ns", "pass_rate"))
    return (
        f"{numbers['calls']:,}" if "calls" in numbers else "",
        "" if rate is None else share_text(rate),
        "" if cost is None else money_text(cost),
        "" if p50 is None else duration_text(p50),
        ", ".join(numbers.get("labels", ())),
    )


def move_label(
    library: PromptLibrary, reference: str, label: str, db: Path | None, *, remove: bool
) -> None:
    """Put a label on ``NAME`` (the file as it is now) or ``NAME@VERSION``, or take it away."""
    from p2re_eval.service import Service
    from p2re_eval.service.revisions import Revisions

    name, _, version = reference.partition("@")
    with writing_store(db) as store:
        service = Service(store, revisions=Revisions(lambda: library))
        if remove:
            service.prompts.unlabel(name, label)
            click.echo(f"{name}: '{label}' is taken away")
            return
        wanted = version or service.prompts.save(library.get(name)).version
        row = service.prompts.label(name, label, wanted)
    click.echo(f"{name}: '{label}' is on {row.shown}")


def label_history(name: str, db: Path | None) -> None:
    """Where the labels of a prompt have been, the newest move first."""
    from p2re_eval.service import Service

    with existing_store(db) as store:
        moves = Service(store).prompts.label_history(name)
    if not moves:
        click.echo(f"'{name}' has no labels yet")
    for move in moves:
        where = "taken away" if move.version is None else move.version[:12]
        click.echo(f"{moment(move.moved_ns)}  {move.label}  {where}")
