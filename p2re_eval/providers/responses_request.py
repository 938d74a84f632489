"""The Responses form of a question: input items, tools, text format and parameters as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.providers.chat_request import allows_strict, chat_body
from p2re_eval.records import JSON, Message, Part, RenderedPrompt, TextPart, Tool

RESPONSES_OWN_KEYS = frozenset({"model", "input", "stream"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""


def responses_body(prompt: RenderedPrompt, *, stream: bool) -> dict[str, JSON]:
    """The request body; nothing is stored at the service unless ``extra`` says ``store: true``.

    Source: https://platform.openai.com/docs/api-reference/responses/create
    """
    model = prompt.model
    body: dict[str, JSON] = {
        "model": model.name,
        "input": [item for message in prompt.messages for item in _items(message)],
        "store": False,
    }
    parameters: dict[str, JSON] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        "max_output_tokens": model.max_tokens,
    }
    body.update((name, value) for name, value in parameters.items() if value is not None)
    if prompt.tools:
        body["tools"] = [_tool(tool) for tool in prompt.tools]
    if prompt.output_schema is not None:
        wanted = chat_body(prompt, stream=False)["response_format"]["json_schema"]
        body["text"] = {"format": {"type": "json_schema", **wanted}}
    if stream:
        body["stream"] = True
    body.update(model.extra or {})
    return body


def cannot_say(prompt: RenderedPrompt) -> str | None:
    """What the Responses form has no words for, as a sentence."""
    if prompt.model.seed is not None:
        return "the Responses API takes no 'seed'; remove it, or use openai/NAME"
    if prompt.model.stop:
        return "the Responses API takes no 'stop'; remove it, or use openai/NAME"
    if any(message.name for message in prompt.messages):
        return "the Responses API takes no 'name' of a message; remove it, or use openai/NAME"
    return None


def _items(message: Message) -> Iterator[dict[str, JSON]]:
    if message.role == "tool":
        output = {"call_id": message.tool_call_id, "output": message.text}
        yield {"type": "function_call_output", **output}
        return
    if message.content or not message.tool_calls:
        content: JSON = message.content
        if not isinstance(content, str):
            content = [_part(part, message.role) for part in content]
        yield {"role": message.role, "content": content}
    for call in message.tool_calls:
        said = {"call_id": call.id, "name": call.name, "arguments": call.arguments}
        yield {"type": "function_call", **said}


def _part(part: Part, role: str) -> dict[str, JSON]:
    if isinstance(part, TextPart):
        return {"type": "output_text" if role == "assistant" else "input_text", "text": part.text}
    return {"type": "input_image", "image_url": part.url, "detail": part.detail or "auto"}


def _tool(tool: Tool) -> dict[str, JSON]:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    said: dict[str, JSON] = {"type": "function", "name": tool.name, "parameters": parameters}
    if tool.description is not None:
        said["description"] = tool.description
    # Strict is the service's default, and it refuses a schema that cannot be strict.
    return {**said, "strict": allows_strict(parameters)}
