"""The generateContent form of a question: contents, instruction, tools, configuration."""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from p2re_eval.providers.inline_image import inline_image
from p2re_eval.records import (
    JSON,
    ImagePart,
    Message,
    ModelSettings,
    Part,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

OWN_KEYS = frozenset({"model", "contents", "systemInstruction", "system_instruction"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""
MOST_STOPS = 5
_SYSTEM = ("system", "developer")
_UNSIGNED = "skip_thought_signature_validator"
_NO_SCHEMA_WITH_TOOLS = re.compile(r"gemini-(?:[12][.-]|pro$)")
_WANTS_SIGNATURES = re.compile(r"gemini-(?:[3-9]|\d\d)")
_RESOLUTIONS = ("low", "medium", "high")


def unsendable(prompt: RenderedPrompt) -> str | None:
    """What in the prompt the service has no form for, as a sentence with what to do."""
    model, name = prompt.model, prompt.model.name or ""
    if len(model.stop or ()) > MOST_STOPS:
        return f"gemini takes at most {MOST_STOPS} stop texts; shorten 'stop'"
    if prompt.output_schema is not None and prompt.tools and _NO_SCHEMA_WITH_TOOLS.search(name):
        return (
            f"{name} cannot answer by a schema while it has tools; remove 'output' or "
            "'tools', or use a gemini-3 model"
        )
    if _details(prompt) - {"auto", *_RESOLUTIONS} or len(_details(prompt)) > 1:
        return (
            "gemini knows one image detail a prompt: low, medium, high or auto; give all the same"
        )
    return _unsendable_message(prompt.messages)


def generate_body(prompt: RenderedPrompt) -> dict[str, JSON]:
    """The request body. ``extra`` has the last word: its ``generationConfig`` is merged key by key,
    its ``tools`` (``googleSearch`` ...) join the prompt's, everything else is sent as it is.

    Source: https://ai.google.dev/api/generate-content#request-body
    """
    extra = dict(prompt.model.extra or {})
    body: dict[str, JSON] = {"contents": _contents(prompt)}
    instructions = [
        {"text": message.text} for message in prompt.messages if message.role in _SYSTEM
    ]
    if instructions:
        body["systemInstruction"] = {"parts": instructions}
    tools = _tools(prompt.tools) + _listed(extra.pop("tools", None))
    if tools:
        body["tools"] = tools
    configuration = _configuration(prompt, extra.pop("generationConfig", None))
    if configuration:
        body["generationConfig"] = configuration
    body.update(extra)
    return body


def _configuration(prompt: RenderedPrompt, extra: JSON) -> dict[str, JSON]:
    model = prompt.model
    known: dict[str, JSON] = {
        "temperature": model.temperature,
        "topP": model.top_p,
        "maxOutputTokens": model.max_tokens,
        "seed": model.seed,
        "stopSequences": list(model.stop) if model.stop else None,
        "mediaResolution": _media_resolution(prompt),
    }
    given = extra if isinstance(extra, dict) else {}
    if prompt.output_schema is not None:
        known["responseMimeType"] = "application/json"
        if "responseSchema" not in given:
            known["responseJsonSchema"] = prompt.output_schema
    return {k: v for k, v in known.items() if v is not None} | given


def _contents(prompt: RenderedPrompt) -> list[JSON]:
    """The turns; answers of several tools are one turn, as the calls they answer were."""
    names = {call.id: call.name for message in prompt.messages for call in message.tool_calls}
    contents: list[JSON] = []
    answering = False
    for message in prompt.messages:
        if message.role in _SYSTEM:
            continue
        if message.role == "tool":
            if not answering:
                contents.append({"role": "user", "parts": []})
            contents[-1]["parts"].append(_tool_answer(message, names))
        else:
            role = "model" if message.role == "assistant" else "user"
            contents.append({"role": role, "parts": list(_parts(message, prompt.model))})
        answering = message.role == "tool"
    return contents


def _parts(message: Message, model: ModelSettings) -> Iterator[dict[str, JSON]]:
    if not isinstance(message.content, str):
        yield from (_part(part) for part in message.content)
    elif message.content or not message.tool_calls:
        yield {"text": message.content}
    wanted = _WANTS_SIGNATURES.search(model.name or "") is not None
    for number, call in enumerate(message.tool_calls):
        yield _function_call(call, signed=wanted and number == 0)


def _function_call(call: ToolCall, *, signed: bool) -> dict[str, JSON]:
    """A call in the history. Models from gemini-3 on refuse the first call of a turn without the
    signature that they gave it; a prompt file has none, and the service names a word for that.

    Source: https://ai.google.dev/gemini-api/docs/thought-signatures
    """
    called = {"id": call.id, "name": call.name, "args": _object(call.arguments) or {}}
    part: dict[str, JSON] = {"functionCall": called}
    if signed:
        part["thoughtSignature"] = _UNSIGNED
    return part


def _tool_answer(message: Message, names: dict[str, str]) -> dict[str, JSON]:
    given_id = message.tool_call_id or ""
    answer = _object(message.text)
    response: dict[str, JSON] = {
        "name": names.get(given_id) or message.name or "",
        "response": {"result": message.text} if answer is None else answer,
    }
    return {"functionResponse": {"id": given_id, **response} if given_id else response}


def _part(part: Part) -> dict[str, JSON]:
    return {"text": part.text} if isinstance(part, TextPart) else _image(part)


def _image(part: ImagePart) -> dict[str, JSON]:
    inline = inline_image(part.url)
    if inline is not None:
        return {"inlineData": {"mimeType": inline.media_type, "data": inline.data}}
    file: dict[str, JSON] = {"fileUri": part.url}
    kind = mimetypes.guess_type(urlsplit(part.url).path)[0]
    return {"fileData": file if kind is None else {"mimeType": kind, **file}}


def _details(prompt: RenderedPrompt) -> set[str]:
    parts = [p for m in prompt.messages if not isinstance(m.content, str) for p in m.content]
    return {p.detail or "auto" for p in parts if isinstance(p, ImagePart)}


def _media_resolution(prompt: RenderedPrompt) -> str | None:
    detail = next(iter(_details(prompt)), None)
    return f"MEDIA_RESOLUTION_{detail.upper()}" if detail in _RESOLUTIONS and detail else None


def _tools(tools: Sequence[Tool]) -> list[JSON]:
    return [{"functionDeclarations": [_declaration(tool) for tool in tools]}] if tools else []


def _declaration(tool: Tool) -> dict[str, JSON]:
    declared: dict[str, JSON] = {"name": tool.name}
    if tool.description is not None:
        declared["description"] = tool.description
    if tool.parameters:
        declared["parametersJsonSchema"] = tool.parameters
    return declared


def _listed(value: JSON) -> list[JSON]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _object(text: str) -> dict[str, JSON] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _unsendable_message(messages: Sequence[Message]) -> str | None:
    spoken = False
    known: set[str] = set()
    for message in messages:
        system = message.role in _SYSTEM
        if system and spoken:
            return "gemini takes system messages only at the beginning; move it there"
        if (system or message.role == "tool") and _has_image(message):
            return f"gemini takes no image in a {message.role} message; move it to a user message"
        if message.name is not None and message.role != "tool":
            return "gemini has no names of speakers; write the name into the text"
        if message.role == "tool" and not (message.name or message.tool_call_id in known):
            return "a tool's answer needs the call it answers; give it that call's id, or a name"
        if any(_object(call.arguments or "{}") is None for call in message.tool_calls):
            return "gemini takes a call's arguments only as a JSON object; correct the arguments"
        spoken = spoken or not system
        known.update(call.id for call in message.tool_calls)
    return None if spoken else "gemini needs a message besides the system's; add a user message"


def _has_image(message: Message) -> bool:
    parts = () if isinstance(message.content, str) else message.content
    return any(isinstance(part, ImagePart) for part in parts)
