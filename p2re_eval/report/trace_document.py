"""One trace as a document of its own: Markdown or HTML for people, JSON for programs.

What a model or a user said stands in fences or escaped: it can neither format nor run.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from p2re_eval.errors import UsageError
from p2re_eval.quantities import UNKNOWN, duration_text, money_text, tokens_text
from p2re_eval.records import Evaluation, Message, Trace
from p2re_eval.report.wording import visible

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8a8a8a; }
body { margin: 2rem auto; max-width: 52rem; padding: 0 1rem;
  font: 1rem/1.5 ui-sans-serif, system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1rem; margin: 1.5rem 0 0.3rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.1rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0; padding: 0.7rem 0.9rem;
  border: 1px solid var(--line); border-radius: 6px; font: 0.9rem/1.5 ui-monospace, monospace; }
@media print { body { margin: 0; max-width: none; } }
"""
_LINES = "\n\t"


class _Part(NamedTuple):
    title: str
    text: str


def trace_document(trace: Trace, evaluations: Sequence[Evaluation], form: str) -> str:
    """The trace as ``md``, ``html`` or ``json``. Raises UsageError for another form."""
    match form:
        case "md":
            return _markdown(trace, evaluations)
        case "html":
            return _html(trace, evaluations)
        case "json":
            whole = trace.model_dump(mode="json")
            whole["evaluations"] = [one.model_dump(mode="json") for one in evaluations]
            return json.dumps(whole, indent=2) + "\n"
    raise UsageError(f"a trace is no '{form}'; write .md, .html or .json")


def _markdown(trace: Trace, evaluations: Sequence[Evaluation]) -> str:
    lines = [f"# {_plain(trace.name)}", ""]
    lines += [f"- {name}: `{_inline(value)}`" for name, value in _facts(trace)]
    for part in _parts(trace, evaluations):
        fence = "`" * max(3, _longest_fence(part.text) + 1)
        lines += ["", f"## {_plain(part.title)}", "", fence, visible(part.text, keep=_LINES), fence]
    return "\n".join(lines) + "\n"


def _html(trace: Trace, evaluations: Sequence[Evaluation]) -> str:
    facts = "".join(
        f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>"
        for name, value in _facts(trace)
    )
    parts = "".join(
        f"<h2>{html.escape(part.title)}</h2>"
        f"<pre>{html.escape(visible(part.text, keep=_LINES))}</pre>"
        for part in _parts(trace, evaluations)
    )
    name = html.escape(trace.name)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{name}</h1><dl>{facts}</dl>{parts}</body></html>\n"
    )


def _facts(trace: Trace) -> Iterator[tuple[str, str]]:
    completion = trace.completion
    begun = datetime.fromtimestamp(trace.start_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    took = None if trace.end_ns is None else trace.end_ns - trace.start_ns
    yield "trace", trace.trace_id
    yield "status", trace.status
    yield "begun", begun
    yield "took", duration_text(took)
    yield "model", trace.prompt.model.id or UNKNOWN
    yield "prompt", f"{trace.prompt.name} {(trace.prompt.version or '')[:12]}".strip()
    if completion is not None:
        usage = completion.usage
        into, out = tokens_text(usage.input_tokens), tokens_text(usage.output_tokens)
        yield "tokens", f"{into} in, {out} out"
        yield "cost", money_text(completion.cost_usd)
    for name in ("session_id", "user", "experiment_id", "suite", "case_id"):
        value = getattr(trace, name)
        if value:
            yield name.removesuffix("_id"), str(value)
    if trace.tags:
        yield "tags", ", ".join(trace.tags)


def _parts(trace: Trace, evaluations: Iterable[Evaluation]) -> Iterator[_Part]:
    for message in trace.prompt.messages:
        yield _Part(message.role, _said(message))
    answer = trace.completion
    if answer is not None:
        if answer.reasoning:
            yield _Part("reasoning", answer.reasoning)
        said = Message(
            role="assistant", content=answer.text or answer.refusal or "",
            tool_calls=answer.tool_calls,
        )  # fmt: skip
        yield _Part("answer", _said(said))
    if trace.fault is not None:
        yield _Part(f"fault: {trace.fault.kind}", trace.fault.message)
    for span in trace.spans:
        took = None if span.end_ns is None else span.end_ns - span.start_ns
        text = span.completion.text if span.completion is not None else span.status_message or ""
        yield _Part(f"{span.kind} {span.name}, {span.status}, {duration_text(took)}", text)
    for one in evaluations:
        yield _Part(f"{one.kind} {one.name}: {_verdict(one)}", _why(one))


def _said(message: Message) -> str:
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    return "\n".join(part for part in (message.text, *calls) if part)


def _verdict(one: Evaluation) -> str:
    if one.score is None:
        return "broken"
    word = {True: "passed", False: "failed", None: ""}[one.score.passed]
    value = "" if one.score.value is None else f"{one.score.value:g}"
    return " ".join(part for part in (one.score.label or word, value) if part)


def _why(one: Evaluation) -> str:
    if one.fault is not None:
        return one.fault.message
    return (one.score.explanation if one.score is not None else None) or ""


def _plain(text: str) -> str:
    """A heading: one line, in which nothing is Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~])", r"\\\1", visible(" ".join(text.split())))


def _inline(text: str) -> str:
    return visible(" ".join(text.split())).replace("`", "'")


def _longest_fence(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
