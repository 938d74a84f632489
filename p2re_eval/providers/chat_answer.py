"""The chat-completions form of an answer, whole or streamed, read into a Completion.

Services differ in every corner of it: content as text, parts or null, reasoning under two names,
tool calls without ids or indexes, finish reasons of their own. What is known is normalised, what
is not is kept as it came.

Source: https://platform.openai.com/docs/api-reference/chat/object
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall, Usage


def read_completion(call: Call, payload: JSON) -> Completion:
    """The first choice of a whole answer.

    Raises MalformedResponse without choices, or the error that the payload carries.
    """
    raise_carried_error(call, payload)
    choices = payload.get("choices") if isinstance(payload, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    message = first.get("message") if isinstance(first, dict) else None
    if not isinstance(first, dict) or not isinstance(message, dict):
        raise no_choices(call)
    raise_carried_error(call, first)
    finish = first.get("finish_reason")
    finish = None if finish == "" else finish
    calls = tuple(_tool_calls(message))
    return Completion(
        text=joined_text(message.get("content")),
        tool_calls=calls,
        refusal=_whole_text(message.get("refusal")),
        reasoning=reasoning_of(message),
        model=_name(payload.get("model")),
        finish_reason=finish_reason(finish, calls=bool(calls)),
        raw_finish_reason=None if finish is None else str(finish),
        usage=read_usage(payload),
        response_id=_name(payload.get("id")),
        raw=payload,
    )


def raise_carried_error(call: Call, payload: JSON) -> None:
    """Raise what a payload with status 200 reports as an error, if it does."""
    if not isinstance(payload, dict):
        return
    if payload.get("error") or "error" in (payload.get("type"), payload.get("object")):
        raise refusal(call, 200, {}, payload)


def no_choices(call: Call) -> ProviderError:
    """The fault of an answer with nothing in it."""
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without any choice; check that it serves chat completions",
    )


def joined_text(content: JSON) -> str:
    """The text of a content field: a string, null, or a list of parts."""
    if isinstance(content, str):
        return mended(content)
    return "".join(_texts(content))


def reasoning_of(message: dict[str, JSON]) -> str | None:
    """The model's thinking, under whichever name the service sends it."""
    for name in ("reasoning_content", "reasoning"):
        value = message.get(name)
        if isinstance(value, str) and value:
            return mended(value)
    content = message.get("content")
    thoughts = content if isinstance(content, list) else []
    text = "".join(
        joined_text(part.get("thinking"))
        for part in thoughts
        if isinstance(part, dict) and part.get("type") == "thinking"
    )
    return text or None


def finish_reason(said: JSON, *, calls: bool) -> FinishReason:
    """The service's reason in our words; ``other`` for what is not known."""
    if said is None:
        return "tool_calls" if calls else "other"
    return _FINISH_REASONS.get(str(said).lower(), "other")


_FINISH_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete"), "stop"),
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_output_tokens"), "length"),
    **dict.fromkeys(("tool_calls", "function_call", "tool_use", "tool_call"), "tool_calls"),
    **dict.fromkeys(("content_filter", "safety", "sensitive", "recitation"), "content_filter"),
}


def read_usage(payload: dict[str, JSON]) -> Usage:
    """The token counts of an answer or of a stream's last chunk."""
    usage = payload.get("usage")
    if not isinstance(usage, dict):
        groq = payload.get("x_groq")
        usage = groq.get("usage") if isinstance(groq, dict) else None
    if not isinstance(usage, dict):
        return Usage()
    read_in = (
        _mapping(usage, "prompt_tokens_details")
        or _mapping(usage, "input_tokens_details")
        or _mapping(usage, "prompt_token_details")
    )
    sent = _mapping(usage, "completion_tokens_details") or _mapping(usage, "output_tokens_details")
    return Usage(
        input_tokens=_count(usage, "prompt_tokens", "input_tokens"),
        output_tokens=_count(usage, "completion_tokens", "output_tokens"),
        cached_tokens=_first(
            _count(read_in, "cached_tokens"),
            _count(usage, "cached_tokens", "prompt_cache_hit_tokens"),
        ),
        reasoning_tokens=_first(
            _count(sent, "reasoning_tokens"), _count(usage, "reasoning_tokens")
        ),
    )


def mended(text: str) -> str:
    """Text that can be encoded: surrogate halves joined where both are there, else replaced.

    Services that cut a stream by UTF-16 units send an emoji as two escapes in two chunks.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _tool_calls(message: dict[str, JSON]) -> Iterator[ToolCall]:
    listed = message.get("tool_calls")
    for number, called in enumerate(listed if isinstance(listed, list) else []):
        if isinstance(called, dict):
            yield _tool_call(_mapping(called, "function") or called, called.get("id"), number)
    legacy = message.get("function_call")
    if isinstance(legacy, dict) and legacy.get("name") and not listed:
        yield _tool_call(legacy, None, 0)


def _tool_call(function: dict[str, JSON], given_id: JSON, number: int) -> ToolCall:
    return ToolCall(
        id=_name(given_id) or f"call_{number}",
        name=_name(function.get("name")) or "",
        arguments=argument_text(function.get("arguments")),
    )


def argument_text(arguments: JSON) -> str:
    """A call's arguments as JSON text; some services send them decoded."""
    if isinstance(arguments, str):
        return mended(arguments)
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _texts(content: JSON) -> Iterator[str]:
    for part in content if isinstance(content, list) else []:
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str):
            yield mended(text)


def _whole_text(value: JSON) -> str | None:
    return mended(value) if isinstance(value, str) and value else None


def _name(value: JSON) -> str | None:
    return str(value) if value is not None and value != "" else None


def _mapping(parent: dict[str, JSON], name: str) -> dict[str, JSON]:
    value = parent.get(name)
    return value if isinstance(value, dict) else {}


def _count(usage: dict[str, JSON], *names: str) -> int | None:
    for name in names:
        value = usage.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
            return int(value)
    return None


def _first(*counts: int | None) -> int | None:
    return next((count for count in counts if count is not None), None)
