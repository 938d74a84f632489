"""Two traces side by side, as data: what differs in what was asked, answered, spent and said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

from p2re_eval.records import JSON, Evaluation, Message, Record, Score, Trace, canonical_json
from p2re_eval.report.word_diff import MOST_WORDS, Piece, word_diff

_LETTERS_A_WORD = 3
"""Texts with more characters than this a word allowed are told apart by lines."""
_MOST_LINES = 4_000
_ONE_VALUE = {"provider", "name"}
"""Of the settings: they are the model, which is a fact of its own."""

Presence = Literal["same", "changed", "only before", "only after"]


class TextPiece(Record):
    """A run of text, ``changed`` where the other trace does not have it."""

    text: str
    changed: bool


class TracePoint(Record):
    """One of the two."""

    trace_id: str
    name: str
    start_ns: int


class ValuePair(Record):
    """A value of both, ``None`` where it has none; units are in the name, ``difference`` is the
    second less the first where both are numbers."""

    name: str
    before: JSON = None
    after: JSON = None
    difference: float | None = None
    same: bool


class MessagePair(Record):
    """A message of both, in pieces that joined are the text again; empty where it is not there."""

    presence: Presence
    before_role: str | None = None
    after_role: str | None = None
    before: tuple[TextPiece, ...] = ()
    after: tuple[TextPiece, ...] = ()


class ScorePair(Record):
    """What one scorer or person said of both; ``None`` where nothing was said."""

    name: str
    by: str = ""
    before: Score | None = None
    after: Score | None = None
    flipped: bool


class TraceDifference(Record):
    """Everything that tells two traces apart; ``facts`` are the same rows whatever differs."""

    before: TracePoint
    after: TracePoint
    facts: tuple[ValuePair, ...]
    settings: tuple[ValuePair, ...]
    inputs: tuple[ValuePair, ...]
    messages: tuple[MessagePair, ...]
    answer: MessagePair
    evaluations: tuple[ScorePair, ...]


def trace_difference(
    before: Trace,
    after: Trace,
    *,
    before_evaluations: Sequence[Evaluation] = (),
    after_evaluations: Sequence[Evaluation] = (),
) -> TraceDifference:
    """From the first to the second."""
    return TraceDifference(
        before=_point(before),
        after=_point(after),
        facts=tuple(_pairs(_facts(before), _facts(after))),
        settings=tuple(_pairs(_settings(before), _settings(after))),
        inputs=tuple(_pairs(before.prompt.variables, after.prompt.variables)),
        messages=tuple(_messages(before.prompt.messages, after.prompt.messages)),
        answer=_both(("answer", _answer(before)), ("answer", _answer(after))),
        evaluations=tuple(_scores(before_evaluations, after_evaluations)),
    )


def _point(trace: Trace) -> TracePoint:
    return TracePoint(trace_id=trace.trace_id, name=trace.name, start_ns=trace.start_ns)


def _facts(trace: Trace) -> dict[str, JSON]:
    answer, prompt = trace.completion, trace.prompt
    return {
        "model": prompt.model.id,
        "model_answered": answer and answer.model,
        "prompt": prompt.name,
        "prompt_version": prompt.version,
        "status": trace.status,
        "fault": trace.fault and trace.fault.kind,
        "finish_reason": answer and answer.finish_reason,
        "duration_ns": None if trace.end_ns is None else trace.end_ns - trace.start_ns,
        "time_to_first_token_ns": answer and answer.time_to_first_token_ns,
        "attempts": trace.attempts,
        "input_tokens": answer and answer.usage.input_tokens,
        "cached_tokens": answer and answer.usage.cached_tokens,
        "output_tokens": answer and answer.usage.output_tokens,
        "reasoning_tokens": answer and answer.usage.reasoning_tokens,
        "cost_usd": answer and answer.cost_usd,
        "source": trace.source,
    }


def _settings(trace: Trace) -> dict[str, JSON]:
    prompt = trace.prompt
    given = prompt.model.model_dump(mode="json", exclude=_ONE_VALUE)
    if prompt.tools:
        given["tools"] = [tool.name for tool in prompt.tools]
    if prompt.output_schema is not None:
        given["output_schema"] = prompt.output_schema
    return {name: value for name, value in given.items() if value not in (None, {}, [])}


def _pairs(before: Mapping[str, JSON], after: Mapping[str, JSON]) -> Iterator[ValuePair]:
    """A row for each name that either has a value for."""
    for name in {**before, **after}:
        one, other = before.get(name), after.get(name)
        if one is None and other is None:
            continue
        yield ValuePair(
            name=name,
            before=one,
            after=other,
            difference=_moved(one, other),
            same=canonical_json(one) == canonical_json(other),
        )


def _moved(before: JSON, after: JSON) -> float | None:
    if isinstance(before, bool) or isinstance(after, bool):
        return None
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return None
    return after - before


def _messages(before: Sequence[Message], after: Sequence[Message]) -> Iterator[MessagePair]:
    """In reading order; what was put in or left out between equal messages stands alone."""
    old = [(one.role, _said(one)) for one in before]
    new = [(one.role, _said(one)) for one in after]
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield from (_both(one, one) for one in old[a:b])
        else:
            yield from (_both(*pair) for pair in zip_longest(old[a:b], new[c:d]))


def _both(before: tuple[str, str] | None, after: tuple[str, str] | None) -> MessagePair:
    if before is None or after is None:
        left: Sequence[Piece] = _alone(before)
        right: Sequence[Piece] = _alone(after)
        presence: Presence = "only after" if before is None else "only before"
    else:
        left, right = _told_apart(before[1], after[1])
        presence = "same" if before == after else "changed"
    return MessagePair(
        presence=presence,
        before_role=before and before[0],
        after_role=after and after[0],
        before=tuple(TextPiece(text=one.text, changed=one.changed) for one in left),
        after=tuple(TextPiece(text=one.text, changed=one.changed) for one in right),
    )


def _alone(said: tuple[str, str] | None) -> tuple[Piece, ...]:
    return () if said is None else (Piece(said[1], changed=True),)


def _told_apart(before: str, after: str) -> tuple[Sequence[Piece], Sequence[Piece]]:
    """By words; long texts by lines, and those of very many lines as a whole."""
    if before == after:
        return (Piece(before, changed=False),), (Piece(after, changed=False),)
    if max(len(before), len(after)) <= MOST_WORDS * _LETTERS_A_WORD:
        return word_diff(before, after)
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if max(len(old), len(new)) > _MOST_LINES:
        return (Piece(before, changed=True),), (Piece(after, changed=True),)
    left, right = [], []
    for kind, a, b, c, d in SequenceMatcher(None, old, new).get_opcodes():
        left.append(Piece("".join(old[a:b]), changed=kind != "equal"))
        right.append(Piece("".join(new[c:d]), changed=kind != "equal"))
    return [one for one in left if one.text], [one for one in right if one.text]


def _said(message: Message) -> str:
    text = (
        message.content
        if isinstance(message.content, str)
        else "\n".join(getattr(part, "text", "[image]") for part in message.content)
    )
    calls = [f"{call.name}({call.arguments})" for call in message.tool_calls]
    return "\n".join([*([text] if text else []), *calls])


def _answer(trace: Trace) -> str:
    if trace.completion is None:
        return "" if trace.fault is None else trace.fault.message
    calls = [f"{call.name}({call.arguments})" for call in trace.completion.tool_calls]
    said = trace.completion.text or trace.completion.refusal
    return "\n".join([*([said] if said else []), *calls])


def _scores(before: Sequence[Evaluation], after: Sequence[Evaluation]) -> Iterator[ScorePair]:
    """By name and person; the newest word counts. Flips first."""
    old, new = _newest(before), _newest(after)
    pairs = [
        ScorePair(
            name=name,
            by=by,
            before=old.get((name, by)),
            after=new.get((name, by)),
            flipped=_flipped(old.get((name, by)), new.get((name, by))),
        )
        for name, by in {**old, **new}
    ]
    yield from sorted(pairs, key=lambda pair: not pair.flipped)


def _newest(evaluations: Sequence[Evaluation]) -> dict[tuple[str, str], Score]:
    return {
        (one.name, one.identifier if one.kind == "HUMAN" else ""): one.score
        for one in sorted(evaluations, key=lambda one: one.created_ns)
        if one.score is not None
    }


def _flipped(one: Score | None, other: Score | None) -> bool:
    if one is None or other is None or None in (one.passed, other.passed):
        return False
    return one.passed != other.passed
