"""One result as the HTML page shows it: its line, and everything behind it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field

from p2re_eval.errors import StoreError
from p2re_eval.quantities import duration_text, money_text, number_text, tokens_text
from p2re_eval.records import (
    JSON,
    Evaluation,
    ImagePart,
    Message,
    Part,
    Result,
    ToolCall,
    Trace,
)
from p2re_eval.report.wording import reasons

MOST_CHARACTERS = 20_000
"""How much of one text the page keeps; the database has it all."""
MOST_IMAGE_BYTES = 300_000
_IMAGES = tuple(f"data:image/{kind};" for kind in ("png", "jpeg", "gif", "webp"))
_WORDS = {"error": "no answer", "not_run": "not run"}
_SOURCES = {"live": "live call", "cache": "from the cache", "replay": "replayed from a recording"}


@dataclass(frozen=True)
class Text:
    """A text, cut where it is very long; ``more`` counts the characters left out."""

    text: str
    more: int = 0


@dataclass(frozen=True)
class Image:
    """``source`` is set when the page can show it by itself; ``told`` says what it is."""

    source: str | None
    told: str


@dataclass(frozen=True)
class Said:
    """One message: who, and what."""

    role: str
    name: str | None = None
    parts: tuple[Text | Image, ...] = ()
    calls: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Judgement:
    """What one scorer said; ``passed`` ``None`` is a scorer that broke or only measures."""

    name: str
    passed: bool | None
    word: str
    value: str
    told: str
    note: str


@dataclass(frozen=True)
class Details:
    """What a row opens to; ``missing`` says why the full texts are not here."""

    messages: tuple[Said, ...] = ()
    answer: tuple[Said, ...] = ()
    reasoning: Text | None = None
    missing: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class ResultRow:
    """One result: what its line shows and filters ask for, and what it opens to."""

    number: int
    result: Result
    word: str
    reason: str
    latency: str
    cost: str
    value: str
    source: str
    judgements: tuple[Judgement, ...]
    change: str = ""
    details: Details = field(default_factory=Details)

    @property
    def group(self) -> str:
        """What the filter of outcomes sorts it under."""
        return "quarantined" if self.result.quarantine is not None else self.result.outcome

    @property
    def tags(self) -> str:
        """The tags as JSON: whatever a tag holds, the page reads it back."""
        return json.dumps(self.result.tags, ensure_ascii=False)


def result_row(
    result: Result,
    number: int,
    details: Callable[[str], Trace] | None,
    *,
    change: str = "",
) -> ResultRow:
    """The row of a result; ``details`` ``None`` leaves it with its previews. ``change`` is what the
    case did since the baseline: ``worse``, ``better`` or ""."""
    aside = result.quarantine is not None
    reason = next(reasons(result), "")
    return ResultRow(
        number=number,
        result=result,
        word="quarantined" if aside else _WORDS.get(result.outcome, result.outcome),
        reason=f"{result.outcome}; {result.quarantine}" if aside else reason,
        change=change,
        latency=duration_text(result.duration_ns),
        cost=money_text(result.cost_usd),
        value=number_text(result.value),
        source=_SOURCES[result.source],
        judgements=tuple(_judgement(evaluation) for evaluation in result.evaluations),
        details=_details(result, details),
    )


def _details(result: Result, details: Callable[[str], Trace] | None) -> Details:
    if details is None:
        return _previews(result, "The full texts of this run are not in this page, which is large.")
    if result.trace_id is None:
        return _previews(result, "This run left no trace.")
    try:
        trace = details(result.trace_id)
    except StoreError as error:
        return _previews(result, f"The full texts could not be read: {error}")
    completion = trace.completion
    return Details(
        messages=tuple(_said(message) for message in trace.prompt.messages),
        answer=_answer(trace),
        reasoning=_text(completion.reasoning) if completion and completion.reasoning else None,
        facts=(*_facts(result), *_trace_facts(trace)),
    )


def _previews(result: Result, missing: str) -> Details:
    messages: tuple[Said, ...] = ()
    answer: tuple[Said, ...] = ()
    if result.inputs_preview:
        messages = (Said(role="inputs", parts=(Text(result.inputs_preview),)),)
    if result.output_preview:
        answer = (Said(role="assistant", parts=(Text(result.output_preview),)),)
    return Details(messages=messages, answer=answer, missing=missing, facts=_facts(result))


def _answer(trace: Trace) -> tuple[Said, ...]:
    completion = trace.completion
    if completion is None:
        partial = trace.fault.partial if trace.fault else None
        return (Said(role="partial answer", parts=(_text(partial),)),) if partial else ()
    said = []
    if completion.text or not (completion.refusal or completion.tool_calls):
        said.append(Said(role="assistant", parts=(_text(completion.text),)))
    if completion.refusal:
        said.append(Said(role="refusal", parts=(_text(completion.refusal),)))
    if completion.tool_calls:
        said.append(Said(role="tool calls", calls=_calls(completion.tool_calls)))
    return tuple(said)


def _said(message: Message) -> Said:
    content = message.content
    if isinstance(content, str):
        parts: tuple[Text | Image, ...] = (_text(content),) if content else ()
    else:
        parts = tuple(_part(part) for part in content)
    return Said(role=message.role, name=message.name, parts=parts, calls=_calls(message.tool_calls))


def _part(part: Part) -> Text | Image:
    return _image(part) if isinstance(part, ImagePart) else _text(part.text)


def _image(part: ImagePart) -> Image:
    """Only images that are in the text themselves are shown: the page asks nobody for anything."""
    if not part.url.startswith("data:"):
        return Image(source=None, told=f"image at {part.url[:2000]}")
    kind = part.url[5:].partition(";")[0].partition(",")[0][:60]
    if part.url.startswith(_IMAGES) and len(part.url) <= MOST_IMAGE_BYTES:
        return Image(source=part.url, told=f"image, {kind}")
    return Image(source=None, told=f"image, {kind}, {len(part.url):,} characters; not shown here")


def _calls(calls: tuple[ToolCall, ...]) -> tuple[Text, ...]:
    return tuple(_text(f"{call.name}({call.arguments})") for call in calls)


def _text(text: str) -> Text:
    return Text(text[:MOST_CHARACTERS], max(0, len(text) - MOST_CHARACTERS))


def _judgement(evaluation: Evaluation) -> Judgement:
    notes: list[str] = [] if evaluation.kind == "CODE" else [evaluation.kind]
    if evaluation.weight != 1:
        notes.append(f"weight {evaluation.weight:g}" if evaluation.weight else "only measures")
    note = ", ".join(notes)
    if evaluation.score is None:
        told = evaluation.fault.message if evaluation.fault else ""
        return Judgement(evaluation.name, None, "broke", number_text(None), told, note)
    score = evaluation.score
    word = {True: "passed", False: "failed", None: "measured"}[score.passed]
    told = score.explanation or (f"label {score.label}" if score.label else "")
    value = number_text(score.value)
    return Judgement(evaluation.name, score.passed, word, value, told[:MOST_CHARACTERS], note)


def _facts(result: Result) -> tuple[tuple[str, str], ...]:
    usage = result.usage
    facts: list[tuple[str, object]] = [
        ("source", _SOURCES[result.source]),
        ("latency", duration_text(result.duration_ns)),
        ("tokens in", _tokens(usage.input_tokens, usage.cached_tokens, "cached")),
        ("tokens out", _tokens(usage.output_tokens, usage.reasoning_tokens, "reasoning")),
        ("cost", money_text(result.cost_usd)),
        ("item", result.item),
        ("defined at", result.place),
        ("prompt version", result.prompt_version and result.prompt_version[:12]),
        ("cluster", result.cluster),
        ("trace", result.trace_id),
    ]
    return tuple((name, str(fact)) for name, fact in facts if fact)


def _trace_facts(trace: Trace) -> tuple[tuple[str, str], ...]:
    completion = trace.completion
    facts: list[tuple[str, JSON]] = [
        ("attempts", trace.attempts if trace.attempts > 1 else None),
        ("answered by", completion.model if completion else None),
        ("ended because", completion.finish_reason if completion else None),
        ("child spans", len(trace.spans) or None),
    ]
    return tuple((name, str(fact)) for name, fact in facts if fact is not None)


def _tokens(count: int | None, part: int | None, what: str) -> str:
    return tokens_text(count) + (f", {tokens_text(part)} {what}" if part else "")
