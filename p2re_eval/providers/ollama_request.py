"""Ollama's own form of a question: messages with images beside the text, options, a format."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit, urlunsplit

from p2re_eval.providers.chat_request import function_tool
from p2re_eval.providers.inline_image import inline_image
from p2re_eval.records import JSON, ImagePart, Message, RenderedPrompt

OWN_KEYS = frozenset({"model", "messages", "stream"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""
_PORT = 11434


def host_address(host: str) -> str:
    """The address that ``OLLAMA_HOST`` means: scheme and port may be missing, and a server that
    listens everywhere is asked on this machine.

    Source: https://github.com/ollama/ollama/blob/main/envconfig/config.go
    """
    host = host.strip().strip("\"'")
    whole = host if "://" in host else f"http://{host}"
    parts = urlsplit(whole)
    try:
        port = parts.port
    except ValueError:
        return whole
    netloc = re.sub(r"^(?:0\.0\.0\.0|\[::\])?(?=:|$)", "127.0.0.1", parts.netloc)
    if port is None and "://" not in host:
        netloc = f"{netloc}:{_PORT}"
    return urlunsplit(parts._replace(netloc=netloc))


def unsendable(prompt: RenderedPrompt) -> str | None:
    """What in the prompt the service has no form for, as a sentence with what to do."""
    taken = sorted(OWN_KEYS.intersection(prompt.model.extra or {}))
    if taken:
        return f"'{taken[0]}' cannot be set in extra; remove it"
    for message in prompt.messages:
        if message.name is not None and message.role != "tool":
            return "ollama has no names of speakers; write the name into the text"
        for call in message.tool_calls:
            if not isinstance(_arguments(call.arguments), dict):
                return (
                    f"ollama takes the arguments of a call only as a JSON object; correct those of "
                    f"'{call.name}'"
                )
        for image in _images(message):
            if inline_image(image.url) is None:
                return "ollama fetches no images; give the image as a file"
            if image.detail not in (None, "auto"):
                return "ollama has no image detail; remove 'detail'"
    return None


def ollama_body(prompt: RenderedPrompt) -> dict[str, JSON]:
    """The request body. ``extra`` has the last word: its ``options`` (``num_ctx`` ...) are merged
    key by key, everything else (``think``, ``keep_alive``) is sent as it is.

    Source: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
    """
    model = prompt.model
    extra = dict(model.extra or {})
    body: dict[str, JSON] = {
        "model": model.name,
        "messages": list(_messages(prompt.messages)),
        "stream": bool(model.stream),
    }
    known: dict[str, JSON] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        "num_predict": model.max_tokens,
        "seed": model.seed,
        "stop": list(model.stop) if model.stop else None,
    }
    given = extra.pop("options", None)
    options = {k: v for k, v in known.items() if v is not None}
    options.update(given if isinstance(given, dict) else {})
    if options:
        body["options"] = options
    if prompt.tools:
        body["tools"] = [function_tool(tool) for tool in prompt.tools]
    if prompt.output_schema is not None:
        body["format"] = prompt.output_schema
    body.update(extra)
    return body


def _messages(messages: Sequence[Message]) -> Iterator[dict[str, JSON]]:
    names = {call.id: call.name for message in messages for call in message.tool_calls}
    for message in messages:
        role = "system" if message.role == "developer" else message.role
        sent: dict[str, JSON] = {"role": role, "content": message.text}
        images = [inline_image(image.url) for image in _images(message)]
        if images:
            sent["images"] = [image.data for image in images if image is not None]
        if message.tool_calls:
            sent["tool_calls"] = [
                {"id": call.id, "function": {"name": call.name, "arguments": arguments}}
                for call in message.tool_calls
                if (arguments := _arguments(call.arguments)) is not None
            ]
        if message.role == "tool":
            sent |= _answered(message, names)
        yield sent


def _answered(message: Message, names: dict[str, str]) -> dict[str, JSON]:
    """Which call a tool's answer answers: by its name, and since 2025 by its id."""
    name = names.get(message.tool_call_id or "") or message.name
    named = {"tool_name": name, "tool_call_id": message.tool_call_id}
    return {key: value for key, value in named.items() if value}


def _images(message: Message) -> list[ImagePart]:
    parts = () if isinstance(message.content, str) else message.content
    return [part for part in parts if isinstance(part, ImagePart)]


def _arguments(text: str) -> JSON:
    try:
        return json.loads(text or "{}")
    except (ValueError, RecursionError):
        return None
