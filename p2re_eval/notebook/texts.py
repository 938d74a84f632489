"""Records as plain text, for consoles and front ends that show nothing else."""

from __future__ import annotations

from datetime import datetime

from p2re_eval.quantities import UNKNOWN, count_text, duration_text, money_text
from p2re_eval.records import PromptTemplate, Record, RenderedPrompt, Suite, Trace
from p2re_eval.results import answer_text

_LONGEST = 2000
_LONGEST_FACT = 200


def trace_text(trace: Trace) -> str:
    """The conversation, and what it took."""
    lines = [f"{trace.name}  {trace.status}  trace {trace.trace_id[:12]}"]
    lines += [f"{message.role}: {_cut(message.text)}" for message in trace.prompt.messages]
    if trace.completion is not None and answer_text(trace.completion):
        lines.append(f"answer: {_cut(answer_text(trace.completion))}")
    if trace.fault is not None:
        lines.append(f"{trace.fault.kind}: {trace.fault.message}")
    if trace.spans:
        lines.append(count_text(len(trace.spans), "span"))
    return "\n".join([*lines, took_text(trace)])


def took_text(trace: Trace) -> str:
    """Model, time, tokens and cost on one line; what is not known is said to be so."""
    asked = trace.prompt.model
    parts = [asked.id] if asked.name else []
    completion = trace.completion
    if completion is not None:
        usage = completion.usage
        if completion.duration_ns is not None:
            parts.append(duration_text(completion.duration_ns))
        if usage.input_tokens is not None or usage.output_tokens is not None:
            given = (UNKNOWN if n is None else n for n in (usage.input_tokens, usage.output_tokens))
            parts.append("{} in, {} out".format(*given))
        cost = completion.cost_usd
        parts.append("cost unknown" if cost is None else money_text(cost))
    return " · ".join(parts)


def prompt_text(prompt: PromptTemplate | RenderedPrompt) -> str:
    """A prompt's messages, as its file has them or as they are sent."""
    if isinstance(prompt, RenderedPrompt):
        return "\n".join(f"{message.role}: {_cut(message.text)}" for message in prompt.messages)
    inputs = f"inputs: {', '.join(prompt.inputs)}" if prompt.inputs else "no inputs"
    said = [
        f"{message.role or 'history'}: {_cut(str(message.content or message.history))}"
        for message in prompt.messages
    ]
    return "\n".join([f"{prompt.name} {prompt.short_version}", inputs, *said])


def suite_text(suite: Suite) -> str:
    """How many cases there are, and which."""
    about = ", ".join(suite.prompts) or "any prompt"
    head = f"suite {suite.name}: {count_text(len(suite.cases), 'case')} for {about}"
    return "\n".join([head, *(f"  {case.id}" for case in suite.cases[:20])])


def facts(record: Record) -> list[tuple[str, str]]:
    """What a record says, a name and a text each; what is absent is left out."""
    given = record.model_dump(mode="json", exclude_defaults=True)
    return [
        (name.removesuffix("_ns"), _fact(name, value))
        for name, value in given.items()
        if value not in (None, [], {})
    ]


def facts_text(record: Record) -> str:
    """The same on lines."""
    lines = [f"{name}: {text}" for name, text in facts(record)]
    return "\n".join([type(record).__name__, *("  " + line for line in lines)])


def _fact(name: str, value: object) -> str:
    if isinstance(value, int) and name.endswith("duration_ns"):
        return duration_text(value)
    if isinstance(value, int) and name.endswith("_ns"):
        return datetime.fromtimestamp(value / 1e9).isoformat(" ", "seconds")
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _LONGEST_FACT else text[:_LONGEST_FACT] + " ..."


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."
