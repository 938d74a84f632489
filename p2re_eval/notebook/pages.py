"""Records as static HTML: no script, so that it also stands on GitHub and in an exported page."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape

from p2re_eval.notebook.texts import facts, took_text
from p2re_eval.quantities import UNKNOWN, count_text, duration_text, money_text, share_text
from p2re_eval.records import (
    JSON,
    Experiment,
    ImagePart,
    Message,
    PromptTemplate,
    Record,
    RenderedPrompt,
    Result,
    Suite,
    Trace,
)
from p2re_eval.report.summary import Row, Summary, headline
from p2re_eval.report.wording import reasons
from p2re_eval.store.span_queries import tree_of

MOST_ROWS = 100
_MARKS = {"passed": "✓", "failed": "✗", "error": "!", "unscored": "?", "not_run": "-"}
_CELL = "white-space: pre-wrap; text-align: left; vertical-align: top; max-width: 40em"
_PAGE = "padding:.2em 1em"
_ROLE = "font-size:.85em;opacity:.7;margin-top:.6em"
_TEXT = (
    "white-space:pre-wrap;overflow-wrap:anywhere;font-family:inherit;font-size:inherit;"
    "line-height:1.5;margin:.15em 0;padding:.4em .8em;border-radius:6px;color:inherit;"
    "background:rgba(128,128,128,.1)"
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
        if completion.reasoning:
            parts.append(_details("reasoning", _text(completion.reasoning)))
        calls = "".join(_text(f"{call.name}({call.arguments})") for call in completion.tool_calls)
        said = completion.text or completion.refusal or ""
        parts.append(_said("answer", said) + calls if said or calls else "")
    if trace.fault is not None:
        parts.append(f"<p><b>{escape(trace.fault.kind)}</b> {escape(trace.fault.message)}</p>")
    if trace.spans:
        parts.append(_spans(trace))
    took = f"{took_text(trace)} · trace {trace.trace_id[:12]}"
    return f"<div style='{_PAGE}'>{''.join(parts)}<p style='opacity:.7'>{escape(took)}</p></div>"


def _spans(trace: Trace) -> str:
    """The steps in their order, each below its parent, with when it began and what it took."""
    tree = tree_of(trace)
    depth = [0]
    for parent in tree.parents[1:]:
        depth.append(depth[parent] + 1)
    rows = [
        [
            "\u2003" * depth[at] + tree.names[tree.name[at]],
            tree.kinds[tree.kind[at]],
            tree.statuses[tree.status[at]],
            duration_text(tree.start[at] * 1000),
            duration_text(None if took is None else took * 1000),
        ]
        for at, took in enumerate(tree.duration[: MOST_ROWS + 1])
    ]
    more = len(tree.ids) - len(rows)
    note = f"<p>and {count_text(more, 'more span', 'more spans')}</p>" if more > 0 else ""
    return table(["span", "kind", "status", "after", "took"], rows) + note


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


def suite_page(suite: Suite) -> str:
    """A suite's cases, the first hundred where there are more."""
    rows = [
        [case.id, _plain(case.inputs), _plain(case.expected), ", ".join(case.tags)]
        for case in suite.cases[:MOST_ROWS]
    ]
    head = f"<b>{escape(suite.name)}</b>&ensp;{count_text(len(suite.cases), 'case')}"
    about = escape(", ".join(suite.prompts))
    return f"<p>{head} {about}</p>" + table(["case", "inputs", "expected", "tags"], rows)


def facts_page(record: Record) -> str:
    """Any record as a table of what it says."""
    head = f"<p><b>{escape(type(record).__name__)}</b></p>"
    return head + table(["", ""], [list(pair) for pair in facts(record)])


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
    return f"<div style='{_ROLE}'><b>{escape(message.role)}</b></div>{parts}{calls}"


def _image(part: ImagePart) -> str:
    """A picture that came along; one that lies elsewhere is not fetched, only named."""
    if part.url.startswith(_WEB_IMAGES):
        return f"<img src='{escape(part.url)}' style='max-width: 20em' alt='image of the message'>"
    return _text(part.url[:200])


def _said(role: str, text: str) -> str:
    return f"<div style='{_ROLE}'><b>{escape(role)}</b></div>" + (_text(text) if text else "")


def _text(text: str) -> str:
    return f"<pre style='{_TEXT}'>{escape(text)}</pre>"


def _details(summary: str, html: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{html}</details>"


def _plain(value: JSON) -> str:
    """A lone text as it is, anything else as JSON, nothing as nothing."""
    if value in (None, {}):
        return ""
    return value if isinstance(value, str) else _json(value)


def _json(value: JSON) -> str:
    return json.dumps(value, ensure_ascii=False)
