"""Prompt templates of both sides as each other's: Jinja here, Mustache or f-strings there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from pydantic import ValidationError

from p2re_eval.prompts.versions import version_of
from p2re_eval.records import (
    JSON,
    ModelSettings,
    PromptTemplate,
    Role,
    TemplateMessage,
    Tool,
)

_PLAIN = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")
_JINJA = re.compile(r"\{\{|\{%|\{#")
_SECTION = re.compile(r"\{\{\{|\{\{\s*[#/^>&!]")
_F_FIELD = re.compile(r"\{\{|\}\}|\{([A-Za-z_]\w*)\}")
_NO_NAME = re.compile(r"[^a-z0-9_-]+")
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "tool": "tool",
}
_PROVIDERS = {
    "openai": "OPENAI",
    "openai-responses": "OPENAI",
    "azure": "AZURE_OPENAI",
    "anthropic": "ANTHROPIC",
    "gemini": "GOOGLE",
    "vertex": "GOOGLE",
    "bedrock": "AWS",
    "ollama": "OLLAMA",
    "deepseek": "DEEPSEEK",
    "xai": "XAI",
    "groq": "GROQ",
    "together": "TOGETHER",
}
_OURS = {there: here for here, there in reversed(_PROVIDERS.items())}
_ANTHROPIC_TOKENS = 1024


class Unconvertible(Exception):
    """A template that says something ours cannot say; the message names it."""


def name_there(name: str) -> str:
    """Phoenix takes lower-case names of letters, digits, ``-`` and ``_``."""
    return _NO_NAME.sub("-", name.lower()).strip("-_") or "prompt"


def version_there(template: PromptTemplate) -> dict[str, JSON]:
    """The template as a version there, the whole of ours in its metadata."""
    model = template.model
    provider = _PROVIDERS.get(model.provider or "", "OPENAI")
    messages = [_message_there(message) for message in template.messages]
    plain = all(not _JINJA.search(_PLAIN.sub("", one["content"])) for one in messages)
    version: dict[str, JSON] = {
        "description": f"p2re {template.name}@{template.short_version}",
        "metadata": {"p2re": {"version": template.version, "template": _whole(template)}},
        "model_provider": provider,
        "model_name": model.name or "unknown",
        "template": {"type": "chat", "messages": messages},
        "template_type": "CHAT",
        "template_format": "MUSTACHE" if plain else "NONE",
        "invocation_parameters": _parameters(provider, model),
    }
    if template.tools:
        functions = [tool.model_dump(mode="json", exclude_none=True) for tool in template.tools]
        tools = [{"type": "function", "function": function} for function in functions]
        version["tools"] = {"type": "tools", "tools": tools}
    if template.output_schema is not None:
        schema = {"name": name_there(template.name), "schema": template.output_schema}
        version["response_format"] = {"type": "json_schema", "json_schema": schema}
    return version


def version_named(there: Mapping[str, JSON]) -> str | None:
    """The hash of ours that a version there says it is."""
    own = (there.get("metadata") or {}).get("p2re")
    return str(own["version"]) if isinstance(own, Mapping) and "version" in own else None


def template_of(name: str, there: Mapping[str, JSON]) -> PromptTemplate:
    """A version there as a template of ours. Raises Unconvertible."""
    own = (there.get("metadata") or {}).get("p2re")
    if isinstance(own, Mapping) and "template" in own:
        try:
            return PromptTemplate.model_validate(own["template"])
        except ValidationError:
            pass  # somebody changed the metadata there: what is to be seen there counts
    body = there["template"]
    convert = _FORMATS.get(str(there["template_format"]))
    if convert is None:
        raise Unconvertible(f"its format is {there['template_format']}")
    said = body["messages"] if body["type"] == "chat" else [{"role": "user", **_string(body)}]
    names: dict[str, None] = {}
    messages = tuple(_message_here(one, convert, names) for one in said)
    template = PromptTemplate(
        name=name,
        version="",
        description=there.get("description"),
        model=_model_here(there),
        inputs={one: {} for one in names},
        messages=messages,
        output_schema=_schema_here(there),
        tools=tuple(_tools_here(there)),
    )
    return template.model_copy(update={"version": version_of(template)})


def _whole(template: PromptTemplate) -> JSON:
    return template.model_dump(mode="json", exclude_defaults=True)


def _message_there(message: TemplateMessage) -> dict[str, JSON]:
    if message.history is not None:
        return {"role": "user", "content": f"{{{{ {message.history} }}}}"}
    if isinstance(message.content, str):
        return {"role": message.role or "user", "content": message.content}
    pieces = [part.text or f"[image: {part.image}]" for part in message.content]
    return {"role": message.role or "user", "content": "\n".join(pieces)}


def _parameters(provider: str, model: ModelSettings) -> dict[str, JSON]:
    kind = provider.lower()
    known = model.model_dump(exclude_none=True, include={"temperature", "top_p", "max_tokens"})
    if provider == "ANTHROPIC":
        known.setdefault("max_tokens", _ANTHROPIC_TOKENS)
    elif provider not in ("OPENAI", "AZURE_OPENAI"):
        known = {}  # each has names of its own; ours are in the metadata
    return {"type": kind, kind: known}


def _message_here(
    one: Mapping[str, JSON], convert: Callable[[str, dict[str, None]], str], names: dict[str, None]
) -> TemplateMessage:
    content = one["content"]
    if not isinstance(content, str):
        if any(part.get("type") != "text" for part in content):
            raise Unconvertible("a message holds tool calls or results")
        content = "".join(str(part["text"]) for part in content)
    role = _ROLES.get(str(one["role"]).lower(), "user")
    return TemplateMessage(role=role, content=convert(content, names))


def _string(body: Mapping[str, JSON]) -> dict[str, JSON]:
    return {"content": str(body["template"])}


def _from_mustache(text: str, names: dict[str, None]) -> str:
    if _SECTION.search(text):
        raise Unconvertible("it uses Mustache sections, partials or unescaped values")
    pieces, at = [], 0
    for found in _PLAIN.finditer(text):
        names[found[1]] = None
        pieces += [_literal(text[at : found.start()]), f"{{{{ {found[1]} }}}}"]
        at = found.end()
    return "".join([*pieces, _literal(text[at:])])


def _from_f_string(text: str, names: dict[str, None]) -> str:
    pieces, at = [], 0
    for found in _F_FIELD.finditer(text):
        pieces.append(_literal(text[at : found.start()]))
        if found[1] is None:
            pieces.append(_literal(found[0][0]))
        else:
            names[found[1]] = None
            pieces.append(f"{{{{ {found[1]} }}}}")
        at = found.end()
    return "".join([*pieces, _literal(text[at:])])


def _literal(text: str) -> str:
    """Text that Jinja must leave alone."""
    return f"{{% raw %}}{text}{{% endraw %}}" if _JINJA.search(text) else text


_FORMATS: dict[str, Callable[[str, dict[str, None]], str]] = {
    "MUSTACHE": _from_mustache,
    "F_STRING": _from_f_string,
    "NONE": lambda text, _names: _literal(text),
}


def _model_here(there: Mapping[str, JSON]) -> ModelSettings:
    given = there.get("invocation_parameters") or {}
    own = given.get(given.get("type"), given)
    known = {
        name: own[name]
        for name in ("temperature", "top_p", "max_tokens", "seed")
        if isinstance(own, Mapping) and own.get(name) is not None
    }
    provider = str(there["model_provider"])
    try:
        return ModelSettings(
            provider=_OURS.get(provider, provider.lower()), name=str(there["model_name"]), **known
        )
    except ValidationError:
        raise Unconvertible("its parameters are of other types than ours") from None


def _schema_here(there: Mapping[str, JSON]) -> dict[str, JSON] | None:
    wanted = there.get("response_format")
    return None if not wanted else (wanted.get("json_schema") or {}).get("schema")


def _tools_here(there: Mapping[str, JSON]) -> Iterator[Tool]:
    for tool in (there.get("tools") or {}).get("tools") or ():
        function = tool.get("function")
        if function is None:
            raise Unconvertible("a tool is in a provider's own form")
        yield Tool(
            name=function["name"],
            description=function.get("description"),
            parameters=function.get("parameters") or {},
        )
