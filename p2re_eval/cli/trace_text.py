"""Traces as a terminal shows them: rows of a list, and one from its question to its judgement."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2re_eval.records import Evaluation, Span, Trace
    from p2re_eval.store import TraceRow

SHOWN_ID = 18
"""Hex digits: the millisecond and 22 random bits, so that two in a list hardly ever meet."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def table(rows: list[TraceRow]) -> str:
    """The rows of a list."""
    from tabulate import tabulate

    return tabulate(
        [
            (
                row.trace_id[:SHOWN_ID],
                moment(row.start_ns),
                status(row),
                row.prompt,
                row.model,
                duration(row.duration_ns),
                tokens(row.input_tokens, row.output_tokens),
                cost(row.cost_usd),
                short(row.output_preview, 48),
            )
            for row in rows
        ],
        headers=["trace", "begun", "status", "prompt", "model", "took", "tokens", "cost", "answer"],
        disable_numparse=True,
    )


def line(row: TraceRow) -> str:
    """One trace in a line, as ``tail`` shows it."""
    parts = (
        moment(row.start_ns),
        row.trace_id[:SHOWN_ID],
        f"{status(row):9}",
        f"{row.prompt} [{row.model}]",
        duration(row.duration_ns),
        short(row.output_preview, 60),
    )
    return "  ".join(part for part in parts if part)


def head(trace: Trace) -> Iterator[str]:
    """The facts about a trace."""
    completion = trace.completion
    usage = None if completion is None else completion.usage
    took = None if trace.end_ns is None else trace.end_ns - trace.start_ns
    facts = {
        "trace": trace.trace_id,
        "status": trace.status + ("" if trace.fault is None else f" ({trace.fault.kind})"),
        "begun": moment(trace.start_ns),
        "took": duration(took) + (f" in {trace.attempts} attempts" if trace.attempts > 1 else ""),
        "prompt": f"{trace.prompt.name}  {(trace.prompt.version or '')[:12]}".rstrip(),
        "model": _models(trace),
        "source": trace.source,
        "case": f"{trace.suite}::{trace.case_id}#{trace.repeat}" if trace.suite else "",
        "experiment": trace.experiment_id or "",
        "session": trace.session_id or "",
        "tags": ", ".join(trace.tags),
        "tokens": "" if usage is None else _usage(usage.model_dump()),
        "cost": "" if completion is None else cost(completion.cost_usd),
    }
    for name, fact in facts.items():
        if fact:
            yield f"{name:11}{plain(fact)}"


def conversation(trace: Trace) -> Iterator[str]:
    """What was asked and answered."""
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


def ending(trace: Trace, evaluations: list[Evaluation]) -> Iterator[str]:
    """Spans and judgements."""
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
        return "error", "", short("" if one.fault is None else one.fault.message, 60)
    word = {True: "passed", False: "failed", None: ""}[one.score.passed]
    value = "" if one.score.value is None else f"{one.score.value:g}"
    return one.score.label or word, value, short(one.score.explanation or "", 60)


def _span(span: Span) -> str:
    took = None if span.end_ns is None else span.end_ns - span.start_ns
    answer = "" if span.completion is None else short(span.completion.text, 60)
    return "  ".join(
        part for part in (span.kind, span.name, span.status, duration(took), answer) if part
    )


def _block(title: str, text: str) -> Iterator[str]:
    yield ""
    yield f"--- {title}"
    yield plain(text)


def _calls(calls: tuple[Any, ...]) -> Iterator[str]:
    for call in calls:
        yield plain(f"{call.name}({call.arguments})")


def _models(trace: Trace) -> str:
    asked, answered = trace.prompt.model.id, trace.completion and trace.completion.model
    return f"{asked}, answered by {answered}" if answered else asked


def status(row: TraceRow) -> str:
    """The status, or what kind of fault it was."""
    return row.fault_kind if row.status == "ERROR" and row.fault_kind else row.status


def moment(ns: int) -> str:
    """Local time."""
    return datetime.fromtimestamp(ns / 1e9).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(ns: int | None) -> str:
    """``340 ms``, ``1.2 s``; nothing when unknown."""
    if ns is None:
        return ""
    return f"{ns / 1e9:.1f} s" if ns >= 1_000_000_000 else f"{ns / 1e6:.0f} ms"


def tokens(into: int | None, out: int | None) -> str:
    """``12+1``: asked and answered."""
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


def cost(cost_usd: float | None) -> str:
    """``$0.0003``; nothing when unknown."""
    return "" if cost_usd is None else f"${cost_usd:.6f}".rstrip("0").rstrip(".")


def short(text: str, width: int) -> str:
    """A text in one line of at most this width."""
    line = plain(" ".join(text.split()))
    return line if len(line) <= width else line[: width - 1] + "…"


def plain(text: str) -> str:
    """A model's words may hold escape codes: a terminal must not obey them."""
    text = _CONTROL.sub("�", text)
    return text.encode("utf-8", "backslashreplace").decode()
