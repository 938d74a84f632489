"""Records as static HTML: no script, so that it also stands on GitHub and in an exported page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from p2re_eval.quantities import UNKNOWN, duration_text, money_text, share_text
from p2re_eval.records import (
    JSON,
    Experiment,
    ImagePart,
    Message,
    PromptTemplate,
    RenderedPrompt,
    Result,
    Trace,
)
from p2re_eval.report.summary import Row, Summary, headline
from p2re_eval.report.wording import reasons

MOST_ROWS = 100
_MARKS = {"passed": "✓", "failed": "✗", "error": "!", "unscored": "?", "not_run": "-"}
_CELL = "white-space: pre-wrap; text-align: left; vertical-align: top; max-width: 40em"
_ROLE = "font-size: .8em; opacity: .7; margin-top: .6em"
_TEXT = (
    "white-space: pre-wrap; padding: .4em .7em; border-left: 3px solid rgba(128,128,128,.5); "
    "background: rgba(128,128,128,.08); overflow-wrap: anywhere"
)
_WEB_IMAGES = ("data:image/png", "data:image/jpeg", "data:image/gif", "data:image/webp")


def experiment_page(experiment: Experiment, summary: Summary) -> str:
    """The verdict, the figures of each prompt and model, and what did not pass."""
    verdict = headline(experiment, summary)
    rows = [_figures(row) for row in summary.rows]
    misses = "".join(
        _details(f"{_MARKS.get(miss.result.outcome, '')} {miss.result.case_id}", _miss(miss.result))
        for miss in summary.misses
    )
    return (
        f"<p><b>{escape(verdict.word)}</b>&ensp;{escape(verdict.why)}</p>"
        + table(["prompt", "model", "pass rate", "cases", "errors", "p95", "cost"], rows)
        + (f"<p>Not passed:</p>{misses}" if misses else "")
        + f"<p style='opacity:.7'>experiment {escape(experiment.experiment_id[:12])}</p>"
    )


def results_page(results: Sequence[Result]) -> str:
    """A table of results, of the first hundred where there are more."""
    rows = [
        [
            _MARKS.get(result.outcome, result.outcome),
            result.case_id,
            result.model,
            result.output_preview,
            result.expected_preview,
            "; ".join(reasons(result)) if result.outcome != "passed" else "",
        ]
        for result in results[:MOST_ROWS]
    ]
    more = len(results) - len(rows)
    note = f"<p>and {more:,} more</p>" if more > 0 else ""
    return table(["", "case", "model", "output", "expected", "why"], rows) + note


def trace_page(trace: Trace) -> str:
    """The conversation: what was sent, what came back, and what it took."""
    parts = [_message(message) for message in trace.prompt.messages]
    completion = trace.completion
    if completion is not None:
        said = Message(role="assistant", content=completion.text, tool_calls=completion.tool_calls)
        if completion.reasoning:
            parts.append(_details("reasoning", _text(completion.reasoning)))
        parts.append(_message(said))
    if trace.fault is not None:
        parts.append(f"<p><b>{escape(trace.fault.kind)}</b> {escape(trace.fault.message)}</p>")
    return "".join(parts) + f"<p style='opacity:.7'>{escape(_took(trace))}</p>"


def prompt_page(prompt: PromptTemplate | RenderedPrompt) -> str:
    """A prompt's messages, as its file has them or as they are sent."""
    if isinstance(prompt, RenderedPrompt):
        return "".join(_message(message) for message in prompt.messages)
    inputs = [[name, _json(schema)] for name, schema in prompt.inputs.items()]
    said = "".join(
        _said(message.role or "history", str(message.content or message.history))
        for message in prompt.messages
    )
    head = f"<p><b>{escape(prompt.name)}</b> {escape(prompt.short_version)}</p>"
    return head + (table(["input", "schema"], inputs) if inputs else "") + said


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table; everything in it is escaped."""
    head = "".join(f"<th style='text-align:left'>{escape(name)}</th>" for name in headers)
    body = "".join(
        "<tr>" + "".join(f"<td style='{_CELL}'>{escape(cell)}</td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _figures(row: Row) -> list[str]:
    figures = row.figures
    rate, latency, cost = figures.pass_rate, figures.latency.p95_ns, figures.cost_usd.value
    return [
        row.prompt,
        row.model,
        UNKNOWN
        if rate is None
        else f"{share_text(rate.rate)} ({share_text(rate.low)} to {share_text(rate.high)})",
        f"{figures.cases:,}",
        f"{figures.counts.error + figures.counts.unscored:,}",
        UNKNOWN if latency is None else duration_text(latency),
        UNKNOWN if cost is None else money_text(cost),
    ]


def _miss(result: Result) -> str:
    rows = [
        ["input", result.inputs_preview],
        ["output", result.output_preview],
        ["expected", result.expected_preview],
        ["why", "\n".join(reasons(result))],
    ]
    return table(["", ""], [row for row in rows if row[1]])


def _message(message: Message) -> str:
    calls = "".join(_text(f"{call.name}({call.arguments})") for call in message.tool_calls)
    if isinstance(message.content, str):
        return _said(message.role, message.content) + calls
    parts = "".join(
        _image(part) if isinstance(part, ImagePart) else _text(part.text)
        for part in message.content
    )
    return f"<div style='{_ROLE}'>{escape(message.role)}</div>{parts}{calls}"


def _image(part: ImagePart) -> str:
    """A picture that came along; one that lies elsewhere is not fetched, only named."""
    if part.url.startswith(_WEB_IMAGES):
        return f"<img src='{escape(part.url)}' style='max-width: 20em' alt='image of the message'>"
    return _text(part.url[:200])


def _said(role: str, text: str) -> str:
    return f"<div style='{_ROLE}'>{escape(role)}</div>" + (_text(text) if text else "")


def _text(text: str) -> str:
    return f"<div style='{_TEXT}'>{escape(text)}</div>"


def _details(summary: str, html: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def _took(trace: Trace) -> str:
    parts = [trace.prompt.model.id]
    completion = trace.completion
    if completion is not None:
        usage = completion.usage
        if completion.duration_ns is not None:
            parts.append(duration_text(completion.duration_ns))
        if usage.input_tokens is not None or usage.output_tokens is not None:
            parts.append(
                f"{usage.input_tokens or UNKNOWN} in, {usage.output_tokens or UNKNOWN} out"
            )
        cost = completion.cost_usd
        parts.append(UNKNOWN + " cost" if cost is None else money_text(cost))
    return " · ".join([*parts, f"trace {trace.trace_id[:12]}"])


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
