"""Messages of every convention, read into ours: numbered attributes, JSON parts, chat JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from p2re_eval.records import (
    JSON,
    ImagePart,
    Message,
    Part,
    Role,
    TextPart,
    ToolCall,
)
from p2re_eval.tracing.conventions import Attributes, entries
from p2re_eval.tracing.values import as_text, parsed
from p2re_eval.tracing.values import text as text_of

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
    "function": "tool",
}
_OFTEN_THE_SAME = 2000
"""Characters; longer messages would fill the memory."""


@dataclass(slots=True)
class Said:
    """One message on its way: what a convention can say of it, in any order."""

    role: str = "user"
    parts: list[Part] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    results: list[Message] = field(default_factory=list)
    reasoning: list[str] = field(default_factory=list)
    name: str | None = None
    tool_call_id: str | None = None
    finish_reason: str | None = None

    def text(self, content: JSON) -> None:
        """Add a text, if it is one."""
        if isinstance(content, str) and content:
            self.parts.append(TextPart(text=content))

    def messages(self) -> Iterator[Message]:
        """Tool results that stand inside a message become messages of their own, as we keep them.

        An answer with nothing in it is still an answer.
        """
        yield from self.results
        if self.results and not (self.parts or self.calls):
            return
        role = _ROLES.get(self.role.lower(), "user")
        content = self.content
        unnamed = self.name is None and self.tool_call_id is None and not self.calls
        if unnamed and isinstance(content, str) and len(content) <= _OFTEN_THE_SAME:
            yield _same_message(role, content)
            return
        yield Message(
            role=role,
            content=content,
            name=self.name,
            tool_calls=tuple(self.calls),
            tool_call_id=self.tool_call_id,
        )

    @property
    def content(self) -> str | tuple[Part, ...]:
        """A text, or the parts where there is more than one."""
        if not self.parts:
            return ""
        first = self.parts[0]
        if len(self.parts) == 1 and isinstance(first, TextPart):
            return first.text
        return tuple(self.parts)

    @property
    def plain_text(self) -> str:
        """The text parts joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))


@lru_cache(maxsize=512)
def _same_message(role: Role, content: str) -> Message:
    """Instructions and the turns of a conversation come again with every call."""
    return Message(role=role, content=content)


def numbered(attributes: Mapping[str, JSON], prefix: str) -> list[dict[str, JSON]]:
    """``PREFIX0.role``, ``PREFIX1.role`` ... as one mapping a number, in order."""
    if isinstance(attributes, Attributes):
        listed = attributes.index.entries(prefix)
    else:
        listed = tuple(entries(tuple(attributes), prefix))
    return [{rest: attributes[name] for rest, name in one} for one in listed]


def from_numbered(attributes: Mapping[str, JSON], prefix: str) -> list[Said]:
    """Messages in numbered attributes, of OpenInference or of the older GenAI form."""
    return [_numbered(one) for one in numbered(attributes, prefix)]


def from_json(value: JSON, *, role: str = "user") -> list[Said]:
    """Messages in JSON, given as text or as what it stands for; a plain text is one of ``role``."""
    value = parsed(value)
    if isinstance(value, Mapping):
        inner = value.get("messages")
        value = inner if isinstance(inner, Sequence) else [value]
    if isinstance(value, str):
        said = Said(role=role)
        said.text(value)
        return [said]
    if not isinstance(value, Sequence):
        return []
    if value and all(isinstance(item, Mapping) and _is_part(item) for item in value):
        value = [{"role": role, "parts": value}]  # instructions: parts without a message
    return [_from_mapping(item, role) for item in value if isinstance(item, Mapping)]


_PLAIN = {"message.role", "message.content"}


def _numbered(one: Mapping[str, JSON]) -> Said:
    if one.keys() <= _PLAIN:  # nearly every message: nothing else to look for
        plain = Said(role=str(one.get("message.role") or "user"))
        plain.text(one.get("message.content"))
        return plain

    def get(name: str) -> JSON:
        return one.get(f"message.{name}", one.get(name))

    said = Said(
        role=str(get("role") or "user"),
        name=text_of(get("name")),
        tool_call_id=text_of(get("tool_call_id")),
        finish_reason=text_of(get("finish_reason")),
    )
    said.text(get("content"))
    for part in numbered(one, "message.contents."):
        _add_part(said, {name.removeprefix("message_content."): v for name, v in part.items()})
    for prefix in ("message.tool_calls.", "tool_calls."):
        said.calls += [_numbered_call(call) for call in numbered(one, prefix)]
    function = get("function_call_name")
    if function is not None:
        arguments = get("function_call_arguments_json")
        said.calls.append(ToolCall(id="", name=str(function), arguments=as_text(arguments or "")))
    reasoning = get("reasoning")
    if reasoning is not None:
        said.reasoning.append(as_text(reasoning))
    return said


def _numbered_call(call: Mapping[str, JSON]) -> ToolCall:
    plain = {
        name.removeprefix("tool_call.").removeprefix("function."): v for name, v in call.items()
    }
    return ToolCall(
        id=as_text(plain.get("id") or ""),
        name=as_text(plain.get("name") or ""),
        arguments=as_text(plain.get("arguments") or ""),
    )


def _from_mapping(item: Mapping[str, JSON], role: str) -> Said:
    message = item
    for wrapped in (item.get("message"), item.get("content")):
        if isinstance(wrapped, Mapping) and ("role" in wrapped or "parts" in wrapped):
            message = wrapped
            break
    said = Said(
        role=str(message.get("role") or message.get("type") or role),
        name=text_of(message.get("name")),
        tool_call_id=text_of(message.get("tool_call_id") or message.get("id_of_call")),
        finish_reason=text_of(item.get("finish_reason")),
    )
    for field_name in ("parts", "content"):
        content = message.get(field_name)
        if isinstance(content, str):
            said.text(content)
        elif isinstance(content, Mapping) and content:
            said.text(as_text(content))
        elif isinstance(content, Sequence):
            for part in content:
                _add_part(said, part if isinstance(part, Mapping) else {"text": part})
    extra = message.get("additional_kwargs")
    inner = extra.get("tool_calls") if isinstance(extra, Mapping) else None
    calls = message.get("tool_calls") or inner or ()
    said.calls += [_call(one) for one in calls if isinstance(one, Mapping)]
    reasoning = message.get("reasoning_content") or message.get("reasoning")
    if isinstance(reasoning, str):
        said.reasoning.append(reasoning)
    return said


def _is_part(item: Mapping[str, JSON]) -> bool:
    return "role" not in item and "type" in item and ("content" in item or "text" in item)


def _add_part(said: Said, part: Mapping[str, JSON]) -> None:
    """One piece of a message: text, image, a call, a call's result, or thinking."""
    kind = str(part.get("type") or "")
    text = part.get("text", part.get("content"))
    if kind in ("reasoning", "thinking"):
        said.reasoning.append(as_text(text or part.get("thinking") or ""))
    elif kind in ("tool_call", "tool_use", "function_call") or "function_call" in part:
        inner = part.get("function_call")
        said.calls.append(_call(inner if isinstance(inner, Mapping) else part))
    elif kind in ("tool_call_response", "tool_result") or "function_response" in part:
        said.results.append(_result(part))
    elif (image := _image_url(part, kind)) is not None:
        said.parts.append(ImagePart(url=image))
    elif isinstance(text, str):
        said.text(text)
    elif part:
        said.text(as_text(dict(part)))


def _call(call: Mapping[str, JSON]) -> ToolCall:
    function = call.get("function")
    named = function if isinstance(function, Mapping) else call
    arguments = next(
        (named[name] for name in ("arguments", "args", "input") if named.get(name) is not None), ""
    )
    return ToolCall(
        id=as_text(call.get("id") or call.get("call_id") or ""),
        name=as_text(named.get("name") or ""),
        arguments=as_text(arguments),
    )


def _result(part: Mapping[str, JSON]) -> Message:
    inner = part.get("function_response")
    source = inner if isinstance(inner, Mapping) else part
    names = ("response", "result", "content", "output")
    value = next((source[name] for name in names if source.get(name) is not None), "")
    call = part.get("id") or part.get("tool_use_id") or source.get("id")
    return Message(
        role="tool",
        content=as_text(value),
        name=text_of(source.get("name")),
        tool_call_id=text_of(call),
    )


def _image_url(part: Mapping[str, JSON], kind: str) -> str | None:
    """An image's address: numbered (OpenInference), nested (OpenAI), or a uri or blob (GenAI)."""
    nested = part.get("image_url")
    candidates = [
        part.get("image.image.url"),
        nested.get("url") if isinstance(nested, Mapping) else nested,
    ]
    media = str(part.get("modality") or part.get("mime_type") or "")
    if media.startswith("image"):
        candidates.append(part.get("uri"))
        if kind == "blob" and isinstance(part.get("content"), str):
            mime = part.get("mime_type") or "image/png"
            candidates.append(f"data:{mime};base64,{part['content']}")
    return next((one for one in candidates if isinstance(one, str) and one), None)
