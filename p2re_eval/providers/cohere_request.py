"""Cohere's own form of a question: chat messages, and parameters by its names."""

from __future__ import annotations

from p2re_eval.providers.chat_request import chat_body
from p2re_eval.records import JSON, ImagePart, Message, RenderedPrompt

OWN_KEYS = frozenset({"model", "messages", "stream"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""
_RENAMED = {"top_p": "p", "stop": "stop_sequences"}


def unsendable(prompt: RenderedPrompt) -> str | None:
    """What in the prompt the service has no form for, as a sentence with what to do."""
    taken = sorted(OWN_KEYS.intersection(prompt.model.extra or {}))
    if taken:
        return f"'{taken[0]}' cannot be set in extra; remove it"
    if prompt.output_schema is not None and prompt.tools:
        return "cohere cannot answer by a schema while it has tools; remove 'output' or 'tools'"
    for message in prompt.messages:
        if message.name is not None and message.role != "tool":
            return "cohere has no names of speakers; write the name into the text"
        if message.role != "user" and _has_image(message):
            return f"cohere takes no image in a {message.role} message; move it to a user message"
        if message.role == "tool" and message.tool_call_id is None:
            return "a tool's answer names no call; give it a tool_call_id"
    return None


def cohere_body(prompt: RenderedPrompt) -> dict[str, JSON]:
    """The request body; ``extra`` (``k``, ``safety_mode``, ``thinking`` ...) has the last word.

    Source: https://docs.cohere.com/reference/chat
    """
    extra = prompt.model.extra or {}
    bare = prompt.model.model_copy(update={"extra": None})
    chat = chat_body(prompt.model_copy(update={"model": bare, "output_schema": None}), stream=False)
    body: dict[str, JSON] = {_RENAMED.get(name, name): value for name, value in chat.items()}
    for message in body["messages"]:
        message["role"] = "system" if message["role"] == "developer" else message["role"]
        message.pop("name", None)
        if message["content"] is None:
            del message["content"]
    body["stream"] = bool(prompt.model.stream)
    if prompt.output_schema is not None:
        body["response_format"] = {"type": "json_object", "json_schema": prompt.output_schema}
    body.update(extra)
    return body


def _has_image(message: Message) -> bool:
    parts = () if isinstance(message.content, str) else message.content
    return any(isinstance(part, ImagePart) for part in parts)
