"""The Messages form of a conversation: a system text on top, then turns of content blocks."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Iterator, Sequence
from urllib.parse import unquote_to_bytes

from p2re_eval.errors import Unsupported
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, ImagePart, Message, Part, TextPart, ToolCall

Block = dict[str, JSON]
Turn = dict[str, JSON]

_SYSTEM = frozenset({"system", "developer"})
_MEDIA_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})


def conversation(call: Call, messages: Sequence[Message]) -> tuple[list[Block], list[Turn]]:
    """The system blocks and the turns.

    The answers to parallel tool calls become one turn, with what the user says after them, as the
    service asks. Raises Unsupported for what the Messages API has no form for.
    """
    leading = list(itertools.takewhile(lambda message: message.role in _SYSTEM, messages))
    system = [block for message in leading for block in _system_blocks(call, message)]
    turns: list[Turn] = []
    for message in messages[len(leading) :]:
        if message.role in _SYSTEM:
            what = "the Messages API takes no system message after the first turn"
            raise call.fault(Unsupported, f"{what}; move it to the top")
        turn = _turn(call, message)
        if turns and turn["role"] == "user" and _answers_tools(turns[-1]):
            turns[-1]["content"] += as_blocks(turn["content"])
        else:
            turns.append(turn)
    if not turns:
        raise call.fault(Unsupported, "the prompt has no user message; the Messages API needs one")
    return system, turns


def as_blocks(content: JSON) -> list[Block]:
    """A turn's content as a list, where plain text is also allowed."""
    return [_text(content)] if isinstance(content, str) else content


def _system_blocks(call: Call, message: Message) -> Iterator[Block]:
    parts = message.content if not isinstance(message.content, str) else ()
    if any(isinstance(part, ImagePart) for part in parts):
        what = "the Messages API takes no image in a system message"
        raise call.fault(Unsupported, f"{what}; put it into the user message")
    if message.text:  # the service refuses empty blocks
        yield _text(message.text)


def _turn(call: Call, message: Message) -> Turn:
    content = _content(call, message)
    if message.role == "tool":
        if message.tool_call_id is None:
            raise call.fault(Unsupported, "a tool's answer names no call; give it a tool_call_id")
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}
        return {"role": "user", "content": [result]}
    if message.name is not None:
        what = f"the Messages API has no place for the name '{message.name}' of a message"
        raise call.fault(Unsupported, f"{what}; write it into the text")
    if message.tool_calls:
        said = as_blocks(content) if content else []
        content = [*said, *(_tool_use(call, called) for called in message.tool_calls)]
    return {"role": message.role, "content": content}


def _answers_tools(turn: Turn) -> bool:
    content = turn["content"]
    return isinstance(content, list) and any(b["type"] == "tool_result" for b in content)


def _content(call: Call, message: Message) -> str | list[Block]:
    if isinstance(message.content, str):
        return message.content
    return [_part(call, part) for part in message.content]


def _part(call: Call, part: Part) -> Block:
    if isinstance(part, TextPart):
        return _text(part.text)
    if part.url[:5].lower() == "data:":
        return {"type": "image", "source": _inline(call, part.url)}
    return {"type": "image", "source": {"type": "url", "url": part.url}}


def _text(text: str) -> Block:
    return {"type": "text", "text": text}


def _inline(call: Call, url: str) -> Block:
    """The source of a ``data:`` URI. ``detail`` has no counterpart and is left out."""
    head, _, payload = url[5:].partition(",")
    media_type, *parameters = (word.strip().lower() for word in head.split(";"))
    media_type = "image/jpeg" if media_type == "image/jpg" else media_type
    if media_type not in _MEDIA_TYPES:
        what = f"the Messages API takes no {media_type or 'text/plain'} as an image"
        raise call.fault(Unsupported, f"{what}; use png, jpeg, gif or webp")
    if "base64" not in parameters:
        payload = base64.b64encode(unquote_to_bytes(payload)).decode()
    return {"type": "base64", "media_type": media_type, "data": payload}


def _tool_use(call: Call, called: ToolCall) -> Block:
    try:
        arguments = json.loads(called.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        what = f"the arguments of the earlier call of '{called.name}' are no JSON object"
        raise call.fault(Unsupported, f"{what}, which the Messages API needs; correct the message")
    return {"type": "tool_use", "id": called.id, "name": called.name, "input": arguments}
