"""What a span asked: its messages, model, parameters and tools, as a prompt of ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from types import NoneType

from pydantic import ValidationError

from p2re_eval.records import JSON, Message, ModelSettings, RenderedPrompt, Tool
from p2re_eval.tracing.conventions import NAMES, said
from p2re_eval.tracing.messages import Said, from_json, from_numbered, numbered
from p2re_eval.tracing.raw import RawSpan
from p2re_eval.tracing.values import as_text, count, mapping, number, parsed, text, texts

_EVENT_ROLES = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_EVENTS_WITH_ALL = ("gen_ai.client.inference.operation.details", "gen_ai.content.prompt")


def prompt_of(raw: RawSpan, *, model_call: bool) -> RenderedPrompt:
    """The messages that were sent; of a step that is no call to a model, its input as a message."""
    attributes = raw.attributes
    return RenderedPrompt(
        name=text(said(attributes, "template")) or raw.name,
        version=text(said(attributes, "template_version")),
        messages=tuple(_messages(raw)),
        model=_model(attributes) if model_call else ModelSettings(),
        tools=tuple(_tools(attributes)),
        variables=mapping(said(attributes, "variables")),
    )


def listed_messages(attributes: Mapping[str, JSON], field: str, *, role: str) -> list[Said]:
    """The messages under the first of the field's names that has any."""
    for name in NAMES[field]:
        if name.endswith("."):
            found = from_numbered(attributes, name)
        else:
            found = from_json(attributes.get(name), role=role)
        if found:
            return found
    return []


def plain_message(value: JSON, *, role: str) -> list[Said]:
    """An input or output that is no list of messages: the text of it as one message."""
    if value is None:
        return []
    one = Said(role=role)
    one.text(as_text(value))
    return [one]


def _messages(raw: RawSpan) -> Iterator[Message]:
    instructions = from_json(said(raw.attributes, "instructions"), role="system")
    found = _sent(raw)
    if instructions and not (found and found[0].role in ("system", "developer")):
        found = [*instructions, *found]
    for one in found:
        yield from one.messages()


def _sent(raw: RawSpan) -> list[Said]:
    attributes = raw.attributes
    return (
        listed_messages(attributes, "messages_in", role="user")
        or _from_events(raw)
        or list(_prompts(attributes))
        or plain_message(said(attributes, "input"), role="user")
    )


def _from_events(raw: RawSpan) -> list[Said]:
    """Older instrumentations say messages in events: one each, or all in one."""
    found: list[Said] = []
    for event in raw.events:
        role = _EVENT_ROLES.get(event.name)
        if role is not None:
            found += from_json([{"role": role, **event.attributes}])
        elif event.name in _EVENTS_WITH_ALL:
            found += listed_messages(event.attributes, "messages_in", role="user")
    return found


def _prompts(attributes: Mapping[str, JSON]) -> Iterator[Said]:
    """The texts of a completion without roles, or of an embedding."""
    for field in ("prompts", "embedded"):
        for one in numbered(attributes, NAMES[field][0]):
            for name, value in one.items():
                if name.endswith(".text"):
                    yield from plain_message(value, role="user")


_SETTINGS = (
    "parameters", "provider", "model_asked", "model", "temperature", "top_p", "max_tokens", "seed",
)  # fmt: skip
"""The fields that a model's settings are read from, beside ``stop``."""
_OFTEN_THE_SAME = 2000
"""Characters of parameters; longer ones hold tools or schemas, and would fill the memory."""


def _model(attributes: Mapping[str, JSON]) -> ModelSettings:
    told = [said(attributes, field) for field in _SETTINGS]
    stop = said(attributes, "stop")
    plain = all(isinstance(value, (str, int, float, NoneType)) for value in told)
    if stop is None and plain and len(str(told[0])) <= _OFTEN_THE_SAME:
        return _same_settings(*told)
    return _settings(*told, stop=stop)


def _settings(
    parameters: JSON, provider: JSON, asked: JSON, named: JSON, *numbers: JSON, stop: JSON = None
) -> ModelSettings:
    temperature, top_p, max_tokens, seed = numbers
    given = mapping(parameters)
    asked_for = given.pop("model", None)
    for sent_elsewhere in ("messages", "input", "tools", "contents"):
        given.pop(sent_elsewhere, None)
    given_stop = given.pop("stop", None)
    longest = given.pop("max_completion_tokens", given.pop("max_output_tokens", None))
    service = text(provider)
    own = {
        "provider": None if service is None else service.lower(),
        "name": text(asked or asked_for or named),
        "temperature": number(temperature, given.pop("temperature", None)),
        "top_p": number(top_p, given.pop("top_p", None)),
        "max_tokens": count(max_tokens, given.pop("max_tokens", None), longest),
        "seed": count(seed, given.pop("seed", None)),
        "stop": texts(stop or given_stop) or None,
        "stream": given.pop("stream", None) is True or None,
    }
    try:
        return ModelSettings.model_validate({**own, "extra": given or None})
    except ValidationError:  # a key among the parameters: they stay in the raw attributes only
        return ModelSettings.model_validate(own)


# A program calls the same model with the same parameters again and again; typed, as 1 is True.
_same_settings = lru_cache(maxsize=256, typed=True)(_settings)


def _tools(attributes: Mapping[str, JSON]) -> Iterator[Tool]:
    listed = numbered(attributes, NAMES["tools"][0])
    for one in listed:
        yield from _tool(parsed(one.get("tool.json_schema", one)))
    if listed:
        return  # the other convention says the same tools again
    definitions = parsed(attributes.get(NAMES["tools"][1]))
    for definition in definitions if isinstance(definitions, (list, tuple)) else ():
        yield from _tool(parsed(definition))


def _tool(definition: JSON) -> Iterator[Tool]:
    if not isinstance(definition, Mapping):
        return
    inner = definition.get("function")
    function = inner if isinstance(inner, Mapping) else definition
    name = function.get("name")
    schema = function.get("parameters") or function.get("input_schema") or {}
    if isinstance(name, str) and isinstance(schema, Mapping):
        yield Tool(
            name=name, description=text(function.get("description")), parameters=dict(schema)
        )
