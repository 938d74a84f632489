"""The Converse form of a question: turns of content blocks, a tool configuration, parameters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from p2re_eval.providers.inline_image import inline_image
from p2re_eval.records import (
    JSON,
    ImagePart,
    Message,
    Part,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

OWN_KEYS = frozenset({"messages", "modelId", "system"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""
_FORMATS = frozenset({"png", "jpeg", "gif", "webp"})
_SYSTEM = frozenset({"system", "developer"})


def unsendable(prompt: RenderedPrompt) -> str | None:
    """What in the prompt the service has no form for, as a sentence with what to do."""
    taken = sorted(OWN_KEYS.intersection(prompt.model.extra or {}))
    if taken:
        return f"'{taken[0]}' cannot be set in extra; remove it"
    if prompt.model.seed is not None:
        return "the Converse API has no seed; remove it for this model"
    spoken = False
    for message in prompt.messages:
        if message.role in _SYSTEM and spoken:
            return "the Converse API takes system messages only at the beginning; move it there"
        spoken = spoken or message.role not in _SYSTEM
        problem = _unsendable_message(message)
        if problem is not None:
            return problem
    return None if spoken else "the prompt has no user message; the Converse API needs one"


def converse_body(prompt: RenderedPrompt) -> dict[str, JSON]:
    """The request body. ``extra`` has the last word: its ``inferenceConfig`` and ``toolConfig`` are
    merged key by key, its tools follow the prompt's, everything else
    (``additionalModelRequestFields``, ``guardrailConfig`` ...) is sent as it is.

    Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
    """
    extra = dict(prompt.model.extra or {})
    body: dict[str, JSON] = {"messages": _turns(prompt)}
    system = [{"text": m.text} for m in prompt.messages if m.role in _SYSTEM and m.text]
    if system:
        body["system"] = system
    tools = extra.pop("toolConfig", None)
    configured = {
        "inferenceConfig": _inference(prompt) | _given(extra.pop("inferenceConfig", None)),
        "toolConfig": _given(tools) | _declared(prompt.tools, _given(tools).get("tools")),
        "outputConfig": _output(prompt) | _given(extra.pop("outputConfig", None)),
    }
    body.update((name, settings) for name, settings in configured.items() if settings)
    body.update(extra)
    return body


def _inference(prompt: RenderedPrompt) -> dict[str, JSON]:
    model = prompt.model
    known: dict[str, JSON] = {
        "maxTokens": model.max_tokens,
        "temperature": model.temperature,
        "topP": model.top_p,
        "stopSequences": list(model.stop) if model.stop else None,
    }
    return {name: value for name, value in known.items() if value is not None}


def _given(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _declared(tools: tuple[Tool, ...], further: JSON) -> dict[str, JSON]:
    declared = [_tool(tool) for tool in tools] + (further if isinstance(further, list) else [])
    return {"tools": declared} if declared else {}


def _tool(tool: Tool) -> dict[str, JSON]:
    schema = {"type": "object", **(tool.parameters or {"properties": {}})}
    described = {} if tool.description is None else {"description": tool.description}
    return {"toolSpec": {"name": tool.name, **described, "inputSchema": {"json": schema}}}


def _output(prompt: RenderedPrompt) -> dict[str, JSON]:
    """The service takes the schema as JSON text."""
    if prompt.output_schema is None:
        return {}
    name = re.sub(r"[^A-Za-z0-9_-]", "_", prompt.name)[:64] or "output"
    wanted = {"name": name, "schema": json.dumps(prompt.output_schema)}
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": wanted}}}


def _turns(prompt: RenderedPrompt) -> list[JSON]:
    """The service wants roles to alternate: neighbours of one role become one turn."""
    turns: list[JSON] = []
    for message in prompt.messages:
        if message.role in _SYSTEM:
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = list(_blocks(message))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        else:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> Iterator[dict[str, JSON]]:
    if message.role == "tool":
        said = [_part(part) for part in _parts(message)]
        yield {"toolResult": {"toolUseId": message.tool_call_id, "content": said}}
        return
    for part in _parts(message):
        # The service refuses blank text.
        if not isinstance(part, TextPart) or part.text or not message.tool_calls:
            yield _part(part)
    for call in message.tool_calls:
        asked = {"toolUseId": call.id, "name": call.name, "input": _arguments(call)}
        yield {"toolUse": asked}


def _parts(message: Message) -> tuple[Part, ...]:
    content = message.content
    return (TextPart(text=content),) if isinstance(content, str) else content


def _part(part: Part) -> dict[str, JSON]:
    if isinstance(part, TextPart):
        return {"text": part.text}
    inline = inline_image(part.url)
    assert inline is not None  # unsendable() has seen to it
    return {"image": {"format": _format(inline.media_type), "source": {"bytes": inline.data}}}


def _format(media_type: str) -> str:
    kind = media_type.removeprefix("image/")
    return "jpeg" if kind == "jpg" else kind


def _unsendable_message(message: Message) -> str | None:
    if message.name is not None and message.role != "tool":
        return "the Converse API has no names of speakers; write the name into the text"
    if message.role == "tool" and message.tool_call_id is None:
        return "a tool's answer names no call; give it a tool_call_id"
    for call in message.tool_calls:
        if _arguments(call) is None:
            return (
                f"the arguments of the earlier call of '{call.name}' are no JSON object, which the "
                "Converse API needs; correct the message"
            )
    for part in _parts(message):
        problem = _unsendable_image(part, message.role) if isinstance(part, ImagePart) else None
        if problem is not None:
            return problem
    return None


def _unsendable_image(image: ImagePart, role: str) -> str | None:
    if role in _SYSTEM:
        return "the Converse API takes no image in a system message; move it to the user message"
    inline = inline_image(image.url)
    if inline is None:
        return "the Converse API fetches no images; give the image as a file"
    if _format(inline.media_type) not in _FORMATS:
        return f"the Converse API takes no {inline.media_type}; use png, jpeg, gif or webp"
    return None


def _arguments(call: ToolCall) -> dict[str, JSON] | None:
    try:
        value = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
