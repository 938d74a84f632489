"""The chat-completions form of a question: messages, tools, schema and parameters as JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from p2re_eval.records import (
    JSON,
    ImagePart,
    Message,
    Part,
    RenderedPrompt,
    TextPart,
    Tool,
)

LimitName = Literal["max_tokens", "max_completion_tokens"]
OWN_KEYS = frozenset({"model", "messages", "stream", "stream_options", "n"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""


def chat_body(
    prompt: RenderedPrompt,
    *,
    stream: bool,
    limit_name: LimitName = "max_tokens",
    strict_schema: bool = True,
) -> dict[str, JSON]:
    """The request body; ``extra`` comes last and so wins over what is derived here.

    Source: https://platform.openai.com/docs/api-reference/chat/create
    """
    model = prompt.model
    body: dict[str, JSON] = {
        "model": model.name,
        "messages": [_message(message) for message in prompt.messages],
    }
    parameters: dict[str, JSON] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        limit_name: model.max_tokens,
        "seed": model.seed,
        "stop": model.stop and list(model.stop),
    }
    body.update((name, value) for name, value in parameters.items() if value is not None)
    if prompt.tools:
        body["tools"] = [function_tool(tool) for tool in prompt.tools]
    if prompt.output_schema is not None:
        body["response_format"] = _response_format(prompt, strict_schema)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    body.update(model.extra or {})
    return body


def _message(message: Message) -> dict[str, JSON]:
    content: JSON = message.content
    if not isinstance(content, str):
        content = [_part(part) for part in content]
    sent: dict[str, JSON] = {"role": message.role, "content": content}
    if message.name is not None:
        sent["name"] = message.name
    if message.tool_calls:
        sent["content"] = content or None
        sent["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id is not None:
        sent["tool_call_id"] = message.tool_call_id
    return sent


def _part(part: Part) -> dict[str, JSON]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": _image(part)}


def _image(part: ImagePart) -> dict[str, JSON]:
    return {"url": part.url} if part.detail is None else {"url": part.url, "detail": part.detail}


def function_tool(tool: Tool) -> dict[str, JSON]:
    """A tool as chat completions declare it; other services took the form over."""
    function: dict[str, JSON] = {"name": tool.name, "parameters": tool.parameters}
    if not tool.parameters:
        function["parameters"] = {"type": "object", "properties": {}}
    if tool.description is not None:
        function["description"] = tool.description
    return {"type": "function", "function": function}


def _response_format(prompt: RenderedPrompt, strict_schema: bool) -> dict[str, JSON]:
    schema = prompt.output_schema or {}
    wanted: dict[str, JSON] = {
        "name": re.sub(r"[^A-Za-z0-9_-]", "_", prompt.name)[:64] or "output",
        "schema": schema,
    }
    if strict_schema:
        wanted["strict"] = schema.get("type") == "object" and allows_strict(schema)
    return {"type": "json_schema", "json_schema": wanted}


_NOT_IN_STRICT = frozenset(
    {
        *("oneOf", "allOf", "not", "if", "then", "else", "contains", "propertyNames"),
        *("patternProperties", "dependentRequired", "dependentSchemas"),
        *("unevaluatedProperties", "minProperties", "maxProperties"),
    }
)
_MAPS_OF_SCHEMAS = ("properties", "$defs", "definitions")


def allows_strict(schema: JSON) -> bool:
    """Whether a schema keeps to the subset that the service can enforce strictly: every object
    closed, every property required, no conditional keywords.

    Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    if not isinstance(schema, dict) or not _NOT_IN_STRICT.isdisjoint(schema):
        return False
    if "properties" in schema or schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            return False
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            return False
    return all(allows_strict(below) for below in _schemas_below(schema))


def _schemas_below(schema: Mapping[str, JSON]) -> list[JSON]:
    below = [s for name in _MAPS_OF_SCHEMAS for s in schema.get(name, {}).values()]
    if "items" in schema:
        below.append(schema["items"])
    return [*below, *schema.get("anyOf", [])]
