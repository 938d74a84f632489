"""The Messages form of an answer, read into a Completion.

Source: https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import argument_text, mended, raise_carried_error
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.prices import CacheWrites
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall, Usage


def read_message(
    call: Call,
    payload: JSON,
    *,
    answer_tool: str | None = None,
    written: Mapping[int, str] | None = None,
) -> Completion:
    """A whole message.

    The arguments of ``answer_tool`` are the text. ``written`` holds, by the block's position, the
    arguments of tool calls as the model wrote them, where a stream has kept that.
    Raises MalformedResponse without content, or the error that the payload carries.
    """
    raise_carried_error(call, payload)
    blocks = payload.get("content") if isinstance(payload, dict) else None
    if not isinstance(blocks, list):
        raise no_content(call)
    called = list(_tool_calls(blocks, written or {}))
    answers = [c.arguments for c in called if c.name == answer_tool]
    calls = tuple(c for c in called if c.name != answer_tool)
    said = _name(payload.get("stop_reason"))
    return Completion(
        text=answers[0] if answers else "".join(_texts(blocks, "text")),
        tool_calls=calls,
        refusal=_refusal(payload),
        reasoning="".join(_texts(blocks, "thinking")) or None,
        model=_name(payload.get("model")),
        finish_reason=_finish_reason(said, calls=bool(calls), answered=bool(answers)),
        raw_finish_reason=said,
        usage=read_usage(payload.get("usage")),
        response_id=_name(payload.get("id")),
        raw=payload,
    )


def no_content(call: Call) -> ProviderError:
    """The fault of an answer that is no message."""
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without any content; check that it serves the Messages API",
    )


def read_usage(usage: JSON) -> Usage:
    """The token counts: the service keeps what it read from or wrote to the cache out of its
    ``input_tokens``; here they are part of the input."""
    if not isinstance(usage, dict):
        return Usage()
    fresh, cached = _count(usage, "input_tokens"), _count(usage, "cache_read_input_tokens")
    made = _count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (made or 0),
        output_tokens=_count(usage, "output_tokens"),
        cached_tokens=cached,
        reasoning_tokens=_count(usage.get("output_tokens_details"), "thinking_tokens"),
    )


def cache_writes(payload: JSON) -> CacheWrites:
    """What a whole message says it put into the cache."""
    usage = payload.get("usage") if isinstance(payload, dict) else None
    kinds = usage.get("cache_creation") if isinstance(usage, dict) else None
    total = _count(usage, "cache_creation_input_tokens") or 0
    one_hour = _count(kinds, "ephemeral_1h_input_tokens") or 0
    return CacheWrites(total, min(one_hour, total))


def _count(usage: JSON, name: str) -> int | None:
    """One token count; ``None`` when it is absent or no count."""
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    return None


_FINISH_REASONS: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}


def _finish_reason(said: str | None, *, calls: bool, answered: bool) -> FinishReason:
    if answered and not calls and said in {"tool_use", None}:
        return "stop"
    if said is None:
        return "tool_calls" if calls else "other"
    return _FINISH_REASONS.get(said, "other")


def _tool_calls(blocks: list[JSON], written: Mapping[int, str]) -> Iterator[ToolCall]:
    for position, block in enumerate(blocks):
        if isinstance(block, dict) and block.get("type") == "tool_use":
            yield ToolCall(
                id=_name(block.get("id")) or f"call_{position}",
                name=_name(block.get("name")) or "",
                arguments=mended(written.get(position) or argument_text(block.get("input"))),
            )


def _texts(blocks: list[JSON], kind: str) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, dict) and block.get("type") == kind:
            text = block.get(kind)
            yield mended(text) if isinstance(text, str) else ""


def _refusal(payload: dict[str, JSON]) -> str | None:
    """The service's own explanation of why it stopped the answer, where it gives one."""
    details = payload.get("stop_details")
    explanation = details.get("explanation") if isinstance(details, dict) else None
    return mended(explanation) if isinstance(explanation, str) and explanation else None


def _name(value: JSON) -> str | None:
    return str(value) if value is not None and value != "" else None
