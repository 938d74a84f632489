"""``p2re traces``: recorded calls to models, listed, shown and followed."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from p2re_eval.cli.database import existing_store

if TYPE_CHECKING:
    from p2re_eval.records import Evaluation, Span, Trace
    from p2re_eval.store import Store, TraceFilter, TraceRow

_POLL_S = 0.3
_SHOWN_ID = 18
"""Hex digits: the millisecond and 22 random bits, so that two in a list hardly ever meet."""
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _since(context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """``30m``, ``2h``, ``7d`` ago, or a date and time of ISO 8601, as nanoseconds UTC."""
    if value is None:
        return None
    ago = re.fullmatch(r"(\d+)([smhdw])", value)
    if ago:
        return time.time_ns() - int(ago[1]) * _UNITS[ago[2]] * 1_000_000_000
    try:
        return int(datetime.fromisoformat(value).timestamp()) * 1_000_000_000
    except ValueError:
        what = f"'{value}' is neither like 30m, 2h or 7d nor like 2026-01-31T09:00"
        raise click.BadParameter(what, context, option) from None


_db = click.option("--db", type=click.Path(path_type=Path), help="The database.")
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _filters(command: _Command) -> _Command:
    """The options that narrow a list, in the order of the help."""
    statuses = click.Choice(["RUNNING", "OK", "ERROR", "ABANDONED"], case_sensitive=False)
    for option in reversed(
        [
            click.option("--model", help="Only of this model: provider/name."),
            click.option("--prompt", help="Only of this prompt."),
            click.option("--status", type=statuses, help="Only with this status."),
            click.option("--suite", help="Only of this suite file."),
            click.option("--experiment", help="Only of this experiment: an id or its beginning."),
            click.option("--session", help="Only of this session."),
            click.option(
                "--since",
                metavar="TIME",
                callback=_since,
                help="Only begun since: 30m, 2h, 7d, 2026-01-31T09:00.",
            ),
        ]
    ):
        command = option(command)
    return command


@click.group()
def traces() -> None:
    """Recorded calls to models: list, show, tail."""


@traces.command("list")
@_filters
@click.option(
    "--limit", default=20, show_default=True, type=click.IntRange(min=1), help="How many."
)
@click.option("--before", type=int, help="Only older ones: the number that ended the last page.")
@_db
@_json
def list_(limit: int, before: int | None, db: Path | None, as_json: bool, **wanted: Any) -> None:
    """The newest traces first."""
    with existing_store(db) as store:
        narrowed = _filter(store, wanted)
        rows = store.list_traces(limit=limit, before=before, **narrowed.model_dump())
    if as_json:
        click.echo(json.dumps([row.model_dump(mode="json") for row in rows], indent=2))
        return
    if not rows:
        click.echo("no traces" if before is None else "no older traces")
        return
    click.echo(_table(rows))
    if len(rows) == limit:
        click.echo(f"\nolder ones: --before {rows[-1].id}")


@traces.command()
@click.argument("trace_id", metavar="ID")
@_db
@_json
def show(trace_id: str, db: Path | None, as_json: bool) -> None:
    """One trace, by its ID or the beginning of it."""
    with existing_store(db) as store:
        trace = store.read_trace(trace_id)
        evaluations = store.evaluations(trace.trace_id)
    if as_json:
        shown = trace.model_dump(mode="json")
        shown["evaluations"] = [one.model_dump(mode="json") for one in evaluations]
        click.echo(json.dumps(shown, indent=2))
        return
    for line in (*_head(trace), *_conversation(trace), *_ending(trace, evaluations)):
        click.echo(line)


@traces.command()
@_filters
@click.option(
    "--lines",
    default=10,
    show_default=True,
    type=click.IntRange(min=0),
    help="How many to begin with.",
)
@_db
@_json
def tail(lines: int, db: Path | None, as_json: bool, **wanted: Any) -> None:
    """Traces as they end, of any process, one line each, until Ctrl-C."""
    try:
        with existing_store(db) as store:
            for row in _followed(store, _filter(store, wanted), lines):
                click.echo(row.model_dump_json() if as_json else _line(row))
    except KeyboardInterrupt:
        return  # how a tail is meant to end


def _filter(store: Store, wanted: dict[str, Any]) -> TraceFilter:
    from p2re_eval.store import TraceFilter

    experiment = wanted["experiment"]
    if experiment is not None:
        experiment = store.read_experiment(experiment).experiment_id
    return TraceFilter(
        model=wanted["model"],
        prompt=wanted["prompt"],
        status=wanted["status"],
        suite=wanted["suite"],
        experiment_id=experiment,
        session_id=wanted["session"],
        since_ns=wanted["since"],
    )


def _followed(store: Store, wanted: TraceFilter, lines: int) -> Iterator[TraceRow]:
    cursor = store.newest_end()
    recent = store.list_traces(limit=lines, **wanted.model_dump()) if lines else []
    ended = [row for row in reversed(recent) if row.status != "RUNNING"]
    yield from ended
    shown = {row.id for row in ended}  # some may have ended after the cursor was taken
    while True:
        rows, cursor = store.ended_after(cursor, wanted)
        yield from (row for row in rows if row.id not in shown)
        shown.clear()
        if not rows:
            time.sleep(_POLL_S)


def _table(rows: list[TraceRow]) -> str:
    from tabulate import tabulate

    return tabulate(
        [
            (
                row.trace_id[:_SHOWN_ID],
                _moment(row.start_ns),
                _status(row),
                row.prompt,
                row.model,
                _duration(row.duration_ns),
                _tokens(row.input_tokens, row.output_tokens),
                _cost(row.cost_usd),
                _short(row.output_preview, 48),
            )
            for row in rows
        ],
        headers=["trace", "begun", "status", "prompt", "model", "took", "tokens", "cost", "answer"],
        disable_numparse=True,
    )


def _line(row: TraceRow) -> str:
    parts = (
        _moment(row.start_ns),
        row.trace_id[:_SHOWN_ID],
        f"{_status(row):9}",
        f"{row.prompt} [{row.model}]",
        _duration(row.duration_ns),
        _short(row.output_preview, 60),
    )
    return "  ".join(part for part in parts if part)


def _head(trace: Trace) -> Iterator[str]:
    completion = trace.completion
    usage = None if completion is None else completion.usage
    took = None if trace.end_ns is None else trace.end_ns - trace.start_ns
    facts = {
        "trace": trace.trace_id,
        "status": trace.status + ("" if trace.fault is None else f" ({trace.fault.kind})"),
        "begun": _moment(trace.start_ns),
        "took": _duration(took) + (f" in {trace.attempts} attempts" if trace.attempts > 1 else ""),
        "prompt": f"{trace.prompt.name}  {(trace.prompt.version or '')[:12]}".rstrip(),
        "model": _models(trace),
        "source": trace.source,
        "case": f"{trace.suite}::{trace.case_id}#{trace.repeat}" if trace.suite else "",
        "experiment": trace.experiment_id or "",
        "session": trace.session_id or "",
        "tags": ", ".join(trace.tags),
        "tokens": "" if usage is None else _usage(usage.model_dump()),
        "cost": "" if completion is None else _cost(completion.cost_usd),
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name:11}{_plain(fact)}"


def _conversation(trace: Trace) -> Iterator[str]:
    for message in trace.prompt.messages:
        yield from _block(message.role, message.text)
        yield from _calls(message.tool_calls)
    answer = trace.completion
    if answer is not None:
        if answer.reasoning:
            yield from _block("reasoning", answer.reasoning)
        yield from _block("answer", answer.text or answer.refusal or "")
        yield from _calls(answer.tool_calls)
    if trace.fault is not None:
        yield from _block("fault", trace.fault.message)
        if trace.fault.partial:
            yield from _block("until then", trace.fault.partial)


def _ending(trace: Trace, evaluations: list[Evaluation]) -> Iterator[str]:
    if trace.spans:
        yield ""
        yield "--- spans"
        yield from (_span(span) for span in trace.spans)
    if evaluations:
        from tabulate import tabulate

        rows = [
            (one.name, *_verdict(one), one.kind, (one.experiment_id or "")[:12])
            for one in evaluations
        ]
        headers = ["evaluation", "verdict", "value", "explanation", "kind", "experiment"]
        yield ""
        yield tabulate(rows, headers=headers, disable_numparse=True)


def _verdict(one: Evaluation) -> tuple[str, str, str]:
    if one.score is None:
        return "error", "", _short("" if one.fault is None else one.fault.message, 60)
    word = {True: "passed", False: "failed", None: ""}[one.score.passed]
    value = "" if one.score.value is None else f"{one.score.value:g}"
    return one.score.label or word, value, _short(one.score.explanation or "", 60)


def _span(span: Span) -> str:
    took = None if span.end_ns is None else span.end_ns - span.start_ns
    answer = "" if span.completion is None else _short(span.completion.text, 60)
    return "  ".join(
        part for part in (span.kind, span.name, span.status, _duration(took), answer) if part
    )


def _block(title: str, text: str) -> Iterator[str]:
    yield ""
    yield f"--- {title}"
    yield _plain(text)


def _calls(calls: tuple[Any, ...]) -> Iterator[str]:
    for call in calls:
        yield _plain(f"{call.name}({call.arguments})")


def _models(trace: Trace) -> str:
    asked, answered = trace.prompt.model.id, trace.completion and trace.completion.model
    return f"{asked}, answered by {answered}" if answered else asked


def _status(row: TraceRow) -> str:
    return row.fault_kind if row.status == "ERROR" and row.fault_kind else row.status


def _moment(ns: int) -> str:
    return datetime.fromtimestamp(ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _duration(ns: int | None) -> str:
    if ns is None:
        return ""
    return f"{ns / 1e9:.1f} s" if ns >= 1_000_000_000 else f"{ns / 1e6:.0f} ms"


def _tokens(into: int | None, out: int | None) -> str:
    if into is None and out is None:
        return ""
    return f"{'?' if into is None else into}+{'?' if out is None else out}"


def _usage(counts: dict[str, int | None]) -> str:
    shown = [
        f"{count} {name.removesuffix('_tokens')}"
        for name, count in counts.items()
        if count is not None
    ]
    return ", ".join(shown)


def _cost(cost_usd: float | None) -> str:
    return "" if cost_usd is None else f"${cost_usd:.6f}".rstrip("0").rstrip(".")


def _short(text: str, width: int) -> str:
    line = _plain(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def _plain(text: str) -> str:
    """A model's words may hold escape codes: a terminal must not obey them."""
    text = _CONTROL.sub("�", text)
    return text.encode("utf-8", "backslashreplace").decode()
