"""``p2re stats``: calls, tokens, money, errors, latencies and scores."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.options import db_option, json_option, moment_of
from p2re_eval.quantities import (
    UNKNOWN,
    count_text,
    duration_text,
    money_text,
    number_text,
    share_text,
    tokens_text,
)

if TYPE_CHECKING:
    from p2re_eval.store.stat_queries import ScoreRow, StatsReport, StatsRow

_DIMENSIONS = ("model", "prompt", "version", "day", "hour", "status", "source")


@click.command()
@click.option(
    "--by",
    default="model",
    show_default=True,
    metavar="A,B",
    help=f"Group by: {', '.join(_DIMENSIONS)}.",
)
@click.option("--since", metavar="TIME", callback=moment_of, help="From: 2h, 7d, 2026-01-31.")
@click.option("--until", metavar="TIME", callback=moment_of, help="Up to.")
@click.option("--model", help="Only of this model: provider/name.")
@click.option("--prompt", help="Only of this prompt.")
@click.option("--version", help="Only of this version: its first digits.")
@click.option("--all-sources", is_flag=True, help="Count replayed and cached answers as well.")
@db_option
@json_option
def stats(
    by: str,
    since: int | None,
    until: int | None,
    model: str | None,
    prompt: str | None,
    version: str | None,
    all_sources: bool,
    db: Path | None,
    as_json: bool,
) -> None:
    """Calls, tokens, cost, errors, latencies and scores by group."""
    from p2re_eval.service import Service
    from p2re_eval.store.stat_queries import StatsQuery

    wanted = StatsQuery.model_validate(
        {
            "by": _grouping(by),
            "since_ns": since,
            "until_ns": until,
            "model": model,
            "prompt": prompt,
            "version": version,
            "source": None if all_sources else "live",
        }
    )
    with existing_store(db) as store:
        report = Service(store).statistics.report(wanted)
    click.echo(report.json_text(indent=2) if as_json else _shown(report))


def _grouping(by: str) -> tuple[str, ...]:
    from p2re_eval.explain import did_you_mean

    names = tuple(name.strip() for name in by.split(",") if name.strip())
    for name in names:
        if name not in _DIMENSIONS:
            raise click.BadParameter(
                f"cannot group by '{name}'{did_you_mean(name, _DIMENSIONS)}", param_hint="--by"
            )
    return names


def _shown(report: StatsReport) -> str:
    from tabulate import tabulate

    if not report.total.traces:
        return "nothing was recorded in this time"
    names = list(report.rows[0].key)
    headers = [*names, "calls", "errors", "in", "out", "cost", "unpriced", "p50", "p95", "p99"]
    rows = [[*_key(row.key), *_cells(row)] for row in report.rows]
    if len(rows) > 1:
        rows.append(["total", *[""] * (len(names) - 1), *_cells(report.total)])
    parts = [tabulate(rows, headers=headers, disable_numparse=True)]
    if report.scores:
        parts.append(_scores(report.scores))
    if report.since_ns is not None:
        begin = datetime.fromtimestamp(report.since_ns / 1e9, UTC)
        parts.append(f"counted by the {report.period}, from {begin:%Y-%m-%d %H:%M} UTC")
    return "\n\n".join(parts)


def _cells(row: StatsRow) -> list[str]:
    known = row.cost_usd is not None
    return [
        f"{row.traces:,}",
        f"{row.errors:,} ({share_text(row.errors / row.traces)})" if row.errors else "0",
        tokens_text(row.input_tokens),
        tokens_text(row.output_tokens),
        money_text(row.cost_usd) if known else UNKNOWN,
        share_text(row.unpriced_share) if row.priced < row.traces else "",
        duration_text(row.p50_ns),
        duration_text(row.p95_ns),
        duration_text(row.p99_ns),
    ]


def _scores(scores: Sequence[ScoreRow]) -> str:
    from tabulate import tabulate

    headers = [*scores[0].key, "score", "kind", "given", "mean", "passed", "broken"]
    rows = [
        [
            *_key(row.key),
            row.name,
            row.kind,
            f"{row.evaluations:,}",
            number_text(row.mean),
            share_text(row.pass_rate),
            count_text(row.faults, "scorer") if row.faults else "",
        ]
        for row in scores
    ]
    return tabulate(rows, headers=headers, disable_numparse=True)


def _key(key: dict[str, str | int]) -> Iterable[str]:
    for name, value in key.items():
        if name in {"day", "hour"}:
            moment = datetime.fromtimestamp(int(value) / 1e9, UTC)
            yield f"{moment:%Y-%m-%d}" if name == "day" else f"{moment:%Y-%m-%d %H:00}"
        else:
            yield str(value)[:12] if name == "version" else str(value)
