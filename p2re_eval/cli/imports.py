"""``p2re import``: what other programs recorded, taken into the database."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from p2re_eval.cli.database import writing_store
from p2re_eval.cli.options import db_option
from p2re_eval.quantities import count_text

if TYPE_CHECKING:
    from p2re_eval.tracing.raw import RawSpan

_A_BATCH = 500


@click.group("import")
def imports() -> None:
    """What other programs recorded: otlp."""


@imports.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@db_option
def otlp(files: tuple[Path, ...], db: Path | None) -> None:
    """Spans in FILES: OTLP as JSON, JSON lines or protobuf.

    Files may be gzipped. Importing the same file again changes nothing. Protobuf needs the extra
    'otlp'.
    """
    from p2re_eval.otlp.files import read_file
    from p2re_eval.tracing.hiding import Hiding
    from p2re_eval.tracing.mapping import captured

    hiding = Hiding.of(os.environ)
    with writing_store(db) as store:
        for path in files:
            count, traces = 0, set[str]()
            for batch in _batches(read_file(path)):
                spans = [captured(hiding(raw)) for raw in batch]
                ledger = store.sync_ledger(f"file {path}")
                here = ledger.spans_here((one.span.trace_id, one.span.span_id) for one in spans)
                news = [s for s in spans if (s.span.trace_id, s.span.span_id) not in here]
                store.save_spans(news).result()
                count += len(news)
                traces |= {one.span.trace_id for one in news}
                if sys.stderr.isatty():
                    click.echo(f"\r{path}: {count:,} spans", nl=False, err=True)
            said = f"{count_text(count, 'span')} of {count_text(len(traces), 'trace')}"
            click.echo(f"{path}: {said}" if count else f"{path}: nothing that is not here already")


def _batches(spans: Iterator[RawSpan]) -> Iterator[list[RawSpan]]:
    while batch := list(islice(spans, _A_BATCH)):
        yield batch
