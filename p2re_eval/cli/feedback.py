"""``p2re feedback``: what people say of traces, and how far they agree."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import changing_store, existing_store
from p2re_eval.cli.options import db_option, json_option
from p2re_eval.cli.trace_text import moment, short
from p2re_eval.quantities import UNKNOWN, count_text, number_text, share_text

if TYPE_CHECKING:
    from p2re_eval.service import JudgeAgreement


@click.group()
def feedback() -> None:
    """Judgements of people: give, list, compare."""


@feedback.command()
@click.argument("trace_id", metavar="ID")
@click.option("--name", default="feedback", show_default=True, help="What is judged.")
@click.option("--label", help="A word for it: good, rude, off-topic.")
@click.option("--score", type=float, help="A number for it.")
@click.option("--passed/--failed", default=None, help="A verdict.")
@click.option("--note", help="Why.")
@click.option("--by", "annotator", help="Who says so (default: the user logged in).")
@db_option
def give(
    trace_id: str,
    name: str,
    label: str | None,
    score: float | None,
    passed: bool | None,
    note: str | None,
    annotator: str | None,
    db: Path | None,
) -> None:
    """Judge the trace ID; the newest word counts.

    Said again by the same person, it replaces the old word, which is kept as history.
    """
    from p2re_eval.service import Feedback, Service
    from p2re_eval.service.evaluations import this_person

    with changing_store(db) as store:
        found = Service(store).evaluations.annotate(
            Feedback(
                trace_id=trace_id,
                annotator=annotator or this_person(),
                name=name,
                label=label,
                value=score,
                passed=passed,
                note=note,
            )
        )
    click.echo(f"evaluation:{found.evaluation_id}")


@feedback.command("list")
@click.option("--name", help="Only of this name.")
@click.option("--by", "annotator", help="Only by this person.")
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
@db_option
@json_option
def list_(
    name: str | None, annotator: str | None, limit: int, db: Path | None, as_json: bool
) -> None:
    """What people said, the newest first."""
    from tabulate import tabulate

    from p2re_eval.service import Service
    from p2re_eval.store.evaluation_queries import EvaluationFilter

    wanted = EvaluationFilter(kind="HUMAN", name=name, identifier=annotator)
    with existing_store(db) as store:
        found = Service(store).evaluations.list(wanted, limit=limit).items
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    if not found:
        click.echo("nobody has said anything yet")
        return
    verdicts = {True: "passed", False: "failed", None: ""}
    rows = [
        (
            one.trace_id[:18],
            moment(one.created_ns),
            one.identifier,
            one.name,
            one.score.label or verdicts[one.score.passed],
            "" if one.score.value is None else f"{one.score.value:g}",
            short(one.score.explanation or "", 48),
        )
        for one in found
        if one.score is not None
    ]
    headers = ["trace", "said", "by", "name", "verdict", "score", "note"]
    click.echo(tabulate(rows, headers=headers, disable_numparse=True))


@feedback.command()
@click.argument("name", default="feedback")
@db_option
@json_option
def agreement(name: str, db: Path | None, as_json: bool) -> None:
    """How far each two people agree on NAME."""
    from tabulate import tabulate

    from p2re_eval.service import Service

    with existing_store(db) as store:
        pairs = Service(store).evaluations.agreement(name)
    if as_json:
        click.echo(json.dumps([pair.model_dump(mode="json") for pair in pairs], indent=2))
        return
    if not pairs:
        click.echo(f"no two people have judged '{name}' of the same trace yet")
        return
    rows = [
        (
            pair.first,
            pair.second,
            pair.traces,
            share_text(pair.share),
            UNKNOWN if pair.kappa is None else number_text(pair.kappa),
        )
        for pair in pairs
    ]
    headers = ["one", "other", "both judged", "agree", "kappa"]
    click.echo(tabulate(rows, headers=headers, disable_numparse=True))


@feedback.command()
@click.argument("name", required=False)
@click.option("--people", help="What people's word is called (default: NAME, else feedback).")
@click.option("--threshold", type=float, help="The value from which the judge passes.")
@click.option(
    "--limit", default=10, show_default=True, type=click.IntRange(min=0), help="Disagreements."
)
@db_option
@json_option
def judges(
    name: str | None,
    people: str | None,
    threshold: float | None,
    limit: int,
    db: Path | None,
    as_json: bool,
) -> None:
    """How far judges agree with people, and where they do not.

    Every model that judges, each version on its own; NAME takes any scorer.
    """
    from p2re_eval.service import Service

    with existing_store(db) as store:
        found = Service(store).evaluations.judges(name, people=people, threshold=threshold)
    if as_json:
        click.echo(json.dumps([one.model_dump(mode="json") for one in found], indent=2))
        return
    if not found:
        of = f"'{name}'" if name else "a judge"
        click.echo(f"no person has judged a trace that {of} judged; p2re feedback give ID ...")
        return
    for one in found:
        _print_judge(one, limit)


def _print_judge(one: JudgeAgreement, limit: int) -> None:
    figures, table = one.figures, one.confusion
    click.echo(
        f"{one.name} ({one.scorer} {one.scorer_version[:8]}) against people's '{one.people}'"
    )
    if figures is None:
        click.echo(f"  no trace has a verdict of both ({one.left_out} without one)")
        return
    share = figures.agreement
    bounds = f"{share_text(share.low)} to {share_text(share.high)}"
    click.echo(f"  agree on {share_text(share.rate)} of {count_text(share.n, 'trace')} ({bounds})")
    if figures.kappa is not None:
        low, high = figures.kappa_low, figures.kappa_high
        within = "" if low is None else f" ({number_text(low)} to {number_text(high)})"
        click.echo(f"  kappa {number_text(figures.kappa)}{within}")
    click.echo(f"  the judge passes what people fail: {table.only_judge}")
    click.echo(f"  the judge fails what people pass: {table.only_people}")
    if one.left_out:
        click.echo(f"  without a verdict of both: {one.left_out}")
    for each in one.disagreements[:limit]:
        said = "passes" if each.judge_passes else "fails"
        why = short(each.people_why or each.judge_why or "", 60)
        click.echo(f"  trace:{each.trace_id}  judge {said}  {why}".rstrip())
