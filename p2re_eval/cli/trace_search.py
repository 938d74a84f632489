"""``p2re traces search``: by a small language, with the words that were found."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import existing_store
from p2re_eval.cli.library import revisions_here
from p2re_eval.cli.options import db_option, json_option
from p2re_eval.cli.trace_text import plain, table

if TYPE_CHECKING:
    from p2re_eval.service import Service
    from p2re_eval.store.snippets import Snippet
    from p2re_eval.store.trace_search import TraceHit


@click.command()
@click.argument("expression", nargs=-1)
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
@click.option("--fields", is_flag=True, help="Show what can be asked for.")
@db_option
@json_option
def search(
    expression: tuple[str, ...], limit: int, fields: bool, db: Path | None, as_json: bool
) -> None:
    """Traces by words or conditions: 'refund and cost_usd > 0.01'.

    Words are looked for in prompts and answers ("phrases" in quotes, beginnings*). Conditions read
    FIELD OPERATOR VALUE, joined by and, or, not and parentheses:

    \b
        model == "openai/gpt-5-mini" and cost_usd > 0.01
        eval("faithful").score < 0.5 and text ~ "refund"
        status == ERROR and age < 2h and not tag == vip
        prompt == route and version == v3

    v3 is the number that `p2re prompts log` shows, of the one prompt that is named.
    """
    if fields:
        _show_fields()
        return
    from p2re_eval.service import Service

    with existing_store(db) as store:
        service = Service(store, revisions=revisions_here(db))
        hits = list(_hits(service, " ".join(expression), limit))
    if as_json:
        click.echo(json.dumps([hit.model_dump(mode="json") for hit in hits], indent=2))
        return
    if not hits:
        click.echo("no traces")
        return
    click.echo(table([hit.row for hit in hits]))
    for hit in hits:
        for snippet in hit.snippets:
            click.echo(f"{hit.row.trace_id[:18]}  {snippet.part}: {_marked(snippet)}")


def _hits(service: Service, expression: str, limit: int) -> Iterator[TraceHit]:
    """Page after page until there are enough; what is said about how they were found is said once.

    A page looks at a bounded number of traces, so an expression that no index serves takes many.
    """
    cursor, said = None, False
    while limit:
        page = service.traces.search(expression, limit=limit, cursor=cursor)
        if page.note and not said:
            click.echo(f"note: {page.note}", err=True)
            said = True
        yield from page.items
        limit -= len(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def _marked(snippet: Snippet) -> str:
    pieces, at = [], 0
    for start, end in snippet.marks:
        pieces += [_inline(snippet.text[at:start])]
        pieces += [click.style(_inline(snippet.text[start:end]), bold=True, fg="yellow")]
        at = end
    return "".join([*pieces, _inline(snippet.text[at:])])


def _inline(text: str) -> str:
    return plain(text.replace("\n", " "))


def _show_fields() -> None:
    from tabulate import tabulate

    from p2re_eval.store.expression_sql import field_table

    click.echo(tabulate(field_table(), headers=["field", "operators", "meaning"]))
