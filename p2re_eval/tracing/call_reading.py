"""An application's own call read by the names that people use: arguments in, answer out."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from p2re_eval.records import JSON
from p2re_eval.tracing.hiding import HIDDEN, hides
from p2re_eval.tracing.spans import json_of

_MESSAGES = ("messages", "history", "conversation", "contents", "chat")
_TEXTS = ("prompt", "question", "query", "message", "text", "input", "content", "user_message")
_SYSTEMS = ("system", "system_prompt", "instructions")
_MODELS = ("model", "model_name", "model_id", "deployment")
_ANSWERS = ("text", "content", "answer", "output", "response", "reply", "completion", "message")
_PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "max_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
}
_TOKENS = {
    "gen_ai.usage.input_tokens": ("input_tokens", "prompt_tokens", "prompt_token_count"),
    "gen_ai.usage.output_tokens": (
        "output_tokens",
        "completion_tokens",
        "candidates_token_count",
    ),
}


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a call gave: one object, or the pieces of a stream."""

    pieces: Sequence[object]
    streamed: bool


def question_attributes(
    given: Mapping[str, object], owner: object, *, provider: str, model: str
) -> dict[str, JSON]:
    """The attributes of what was asked; ``owner`` is the object whose method it is."""
    asked = _with_requests(given)
    found: dict[str, JSON] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider or _of_owner(owner),
    }
    named = model or _named(asked, _MODELS) or _attribute(owner, _MODELS)
    if isinstance(named, str) and named:
        found["gen_ai.request.model"] = named
    for name, attribute in _PARAMETERS.items():
        value = asked.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            found[attribute] = value
    if hides("inputs", os.environ):
        return {**found, "input.value": HIDDEN}
    system = _named(asked, _SYSTEMS)
    if isinstance(system, str) and system:
        found["gen_ai.system_instructions"] = json.dumps([{"type": "text", "content": system}])
    found["gen_ai.input.messages"] = json_of(_messages(asked, given))
    return found


def answer_attributes(answer: Answer) -> dict[str, JSON]:
    """The attributes of what came back."""
    plain = [_as_json(piece) for piece in answer.pieces]
    found: dict[str, JSON] = {}
    for piece in plain:
        if isinstance(piece, Mapping):
            found |= _measures(piece)
    if hides("outputs", os.environ):
        return {**found, "output.value": HIDDEN}
    if answer.streamed:
        text = "".join(_piece_text(piece) for piece in plain)
        message: JSON = {"role": "assistant", "content": text}
    else:
        message = _answer_message(plain[0])
    found["gen_ai.output.messages"] = json_of([message])
    return found


def _with_requests(given: Mapping[str, object]) -> dict[str, JSON]:
    """The arguments, and the fields of those that are requests with fields of their own."""
    found: dict[str, JSON] = {}
    for value in given.values():
        inner = _as_json(value)
        if isinstance(inner, Mapping):
            found |= {str(name): field for name, field in inner.items()}
    return found | {name: _as_json(value) for name, value in given.items()}


def _messages(asked: Mapping[str, JSON], given: Mapping[str, object]) -> JSON:
    messages = _named(asked, _MESSAGES)
    if isinstance(messages, Sequence) and messages:
        return messages
    text = _named(asked, _TEXTS)
    if text is None:
        text = next((v for v in asked.values() if isinstance(v, str) and v), json_of(given))
    return [{"role": "user", "content": text if isinstance(text, str) else json_of(text)}]


def _answer_message(answer: JSON) -> JSON:
    """The message in an answer: a text, OpenAI's choices, Google's candidates, or a field of it."""
    if isinstance(answer, str):
        return {"role": "assistant", "content": answer}
    if not isinstance(answer, Mapping):
        return {"role": "assistant", "content": json_of(answer)}
    for several in ("choices", "candidates"):
        listed = answer.get(several)
        if isinstance(listed, Sequence) and listed and isinstance(listed[0], Mapping):
            return listed[0]
    if isinstance(answer.get("content"), list) or "tool_calls" in answer:
        return {"role": "assistant", **answer}
    for name in _ANSWERS:
        value = answer.get(name)
        if isinstance(value, str):
            return {"role": "assistant", "content": value}
        if isinstance(value, Mapping) and value:
            return _answer_message(value)
    return {"role": "assistant", "content": json_of(answer)}


def _piece_text(piece: JSON) -> str:
    """What a piece of a stream adds to the answer."""
    if isinstance(piece, str):
        return piece
    if not isinstance(piece, Mapping):
        return ""
    choices = piece.get("choices")
    if isinstance(choices, Sequence):
        return "".join(_piece_text(choice.get("delta")) for choice in choices if choice)
    for name in ("delta", *_ANSWERS):
        value = piece.get(name)
        if isinstance(value, (str, Mapping)):
            return _piece_text(value)
    return ""


def _measures(answer: Mapping[str, JSON]) -> dict[str, JSON]:
    found: dict[str, JSON] = {}
    usage = answer.get("usage") or answer.get("usage_metadata") or answer
    if isinstance(usage, Mapping):
        for attribute, names in _TOKENS.items():
            value = _named(usage, names)
            if isinstance(value, int):
                found[attribute] = value
    for name, attribute in (("model", "gen_ai.response.model"), ("id", "gen_ai.response.id")):
        if isinstance(answer.get(name), str):
            found[attribute] = answer[name]
    return found


def _as_json(value: object) -> JSON:
    """Plain data of an object that has some: a pydantic model, a dataclass, a mapping."""
    dump: Callable[..., Any] | None = getattr(value, "model_dump", None)
    if dump is not None and not isinstance(value, type):
        return dump(mode="json", exclude_none=True)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return json.loads(json_of(value))
    if isinstance(value, (str, int, float, bool)) or value is None:
        return value
    if isinstance(value, (Mapping, list, tuple)):
        return json.loads(json_of(value))
    fields = getattr(value, "__dict__", None)
    if isinstance(fields, dict) and fields:
        public = {name: item for name, item in fields.items() if not name.startswith("_")}
        return json.loads(json_of(public))
    return json_of(value)


def _named(values: Mapping[str, JSON], names: Sequence[str]) -> JSON:
    return next((values[name] for name in names if values.get(name) not in (None, "")), None)


def _attribute(owner: object, names: Sequence[str]) -> JSON:
    found = (getattr(owner, name, None) for name in names)
    return next((value for value in found if isinstance(value, str) and value), None)


def _of_owner(owner: object) -> str:
    named = _attribute(owner, ("provider", "provider_name"))
    if isinstance(named, str):
        return named
    return "application" if owner is None else type(owner).__name__
