"""Cohere's own form of an answer, whole or streamed, read into a Completion.

Source: https://docs.cohere.com/reference/chat and https://docs.cohere.com/reference/chat-stream
"""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import argument_text, mended, raise_carried_error
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall, Usage


def read_cohere(call: Call, payload: JSON) -> Completion:
    """A whole answer; its reasoning is the thinking, else the plan it made before calling tools.

    Raises MalformedResponse without a message, or the error that the payload carries.
    """
    raise_carried_error(call, payload)
    message = payload.get("message") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(message, dict):
        raise _no_message(call)
    said = payload.get("finish_reason") or None
    if said in {"ERROR", "TIMEOUT"}:
        raise refusal(call, 200, {}, {"message": f"the answer ended with {said}"})
    calls = tuple(_tool_calls(message.get("tool_calls")))
    return Completion(
        text=_joined(message.get("content"), "text"),
        tool_calls=calls,
        reasoning=_joined(message.get("content"), "thinking") or _text(message, "tool_plan"),
        finish_reason=_finish_reason(said, calls=bool(calls)),
        raw_finish_reason=None if said is None else str(said),
        usage=read_usage(payload.get("usage")),
        response_id=payload.get("id") or None,
        raw=payload,
    )


def read_usage(usage: JSON) -> Usage:
    """The token counts: what the model read and wrote, which is more than what is billed."""
    tokens, cached = _mapping(usage, "tokens"), _count(usage, "cached_tokens")
    billed = billed_usage(usage)
    read, written = _count(tokens, "input_tokens"), _count(tokens, "output_tokens")
    return Usage(
        input_tokens=billed.input_tokens if read is None else read,
        output_tokens=billed.output_tokens if written is None else written,
        cached_tokens=cached,
    )


def billed_usage(usage: JSON) -> Usage:
    """The tokens that the service charges for: it adds some of its own to every prompt, free."""
    billed = _mapping(usage, "billed_units")
    return Usage(
        input_tokens=_count(billed, "input_tokens"), output_tokens=_count(billed, "output_tokens")
    )


class CohereStream:
    """Events in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said how the answer finished.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._message: dict[str, JSON] = {}
        self._parts: dict[int, dict[str, JSON]] = {}
        self._calls: dict[int, dict[str, JSON]] = {}
        self._plan: list[str] = []
        self._top: dict[str, JSON] = {}
        self.begun = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return _joined(self._content(), "text")

    def done(self) -> None:
        """``[DONE]`` says nothing here: the message's own end does."""

    def add(self, chunk: JSON) -> str:
        """Take one event; return the text it brings. Raises the error that it carries."""
        raise_carried_error(self._call, chunk)
        if not isinstance(chunk, dict):
            return ""
        kind, delta = str(chunk.get("type")), _mapping(chunk, "delta")
        index = chunk.get("index")
        message = _mapping(delta, "message")
        number = index if isinstance(index, int) else 0
        if kind == "message-start":
            self._message = message
            self._top["id"] = chunk.get("id")
        elif kind == "message-end":
            self._end(delta)
        elif kind in {"content-start", "content-delta"}:
            return self._add_content(number, message.get("content"))
        elif kind in {"tool-call-start", "tool-call-delta"}:
            self._add_call(number, message.get("tool_calls"))
        elif kind == "tool-plan-delta":
            self._plan.append(str(message.get("tool_plan") or ""))
            self.begun = True
        return ""

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before the answer did.
        """
        if not self.ended:
            raise self._call.cut_short(self.text)
        message = {**self._message, "role": "assistant", "content": self._content()}
        if self._plan:
            message["tool_plan"] = "".join(self._plan)
        if self._calls:
            message["tool_calls"] = [_whole_call(self._calls[n]) for n in sorted(self._calls)]
        return read_cohere(self._call, {**self._top, "message": message})

    def _end(self, delta: dict[str, JSON]) -> None:
        if delta.get("error"):
            raise refusal(self._call, 200, {}, {"message": delta["error"]})
        self._top.update((name, delta.get(name)) for name in ("finish_reason", "usage"))
        self.ended = True

    def _add_content(self, number: int, content: JSON) -> str:
        if not isinstance(content, dict):
            return ""
        part = self._parts.setdefault(number, {"type": content.get("type") or "text", "pieces": []})
        name = "thinking" if "thinking" in content else "text"
        piece = content.get(name)
        if not isinstance(piece, str) or not piece:
            return ""
        part["type"] = name
        part["pieces"].append(piece)
        self.begun = True
        return piece if name == "text" else ""

    def _add_call(self, number: int, called: JSON) -> None:
        if not isinstance(called, dict):
            return
        self.begun = True
        function = _mapping(called, "function")
        call = self._calls.setdefault(number, {"id": None, "name": None, "arguments": []})
        call["id"] = call["id"] or called.get("id")
        call["name"] = call["name"] or function.get("name")
        call["arguments"].append(argument_text(function.get("arguments")))

    def _content(self) -> list[JSON]:
        return [
            {"type": part["type"], part["type"]: "".join(part["pieces"])}
            for _, part in sorted(self._parts.items())
        ]


_FINISH_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("COMPLETE", "STOP_SEQUENCE"), "stop"),
    **dict.fromkeys(("MAX_TOKENS", "ERROR_LIMIT"), "length"),
    "TOOL_CALL": "tool_calls",
    "ERROR_TOXIC": "content_filter",
}


def _finish_reason(said: JSON, *, calls: bool) -> FinishReason:
    if said is None:
        return "tool_calls" if calls else "other"
    return _FINISH_REASONS.get(str(said), "other")


def _tool_calls(listed: JSON) -> Iterator[ToolCall]:
    for number, called in enumerate(listed if isinstance(listed, list) else []):
        function = _mapping(called, "function")
        if function:
            yield ToolCall(
                id=str(called.get("id") or f"call_{number}"),
                name=str(function.get("name") or ""),
                arguments=argument_text(function.get("arguments")),
            )


def _whole_call(call: dict[str, JSON]) -> dict[str, JSON]:
    function = {"name": call["name"], "arguments": "".join(call["arguments"])}
    return {"id": call["id"], "type": "function", "function": function}


def _joined(content: JSON, name: str) -> str:
    if isinstance(content, str):
        return mended(content) if name == "text" else ""
    parts = content if isinstance(content, list) else []
    texts = (part.get(name) for part in parts if isinstance(part, dict))
    return mended("".join(text for text in texts if isinstance(text, str)))


def _text(message: dict[str, JSON], name: str) -> str | None:
    value = message.get(name)
    return mended(value) if isinstance(value, str) and value else None


def _no_message(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without a message; check that it serves Cohere's /v2/chat",
    )


def _mapping(parent: JSON, name: str) -> dict[str, JSON]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _count(usage: JSON, name: str) -> int | None:
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    return None
