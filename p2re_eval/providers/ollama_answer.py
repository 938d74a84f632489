"""Ollama's own form of an answer, whole or in lines, read into a Completion.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md#generate-a-chat-completion
"""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import (
    argument_text,
    finish_reason,
    mended,
    raise_carried_error,
)
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion, ToolCall, Usage


def read_ollama(call: Call, payload: JSON) -> Completion:
    """A whole answer. It has no id, and does not count its thinking apart.

    Raises MalformedResponse without a message, or the error that the payload carries.
    """
    raise_carried_error(call, payload)
    message = payload.get("message") if isinstance(payload, dict) else None
    if not isinstance(payload, dict) or not isinstance(message, dict):
        raise _no_message(call)
    calls = tuple(_tool_calls(message))
    said = payload.get("done_reason") or None
    finish = finish_reason(said, calls=bool(calls))
    return Completion(
        text=_text(message, "content"),
        tool_calls=calls,
        reasoning=_text(message, "thinking") or None,
        model=payload.get("model") or None,
        # It says stop after tool calls, too.
        finish_reason="tool_calls" if calls and finish == "stop" else finish,
        raw_finish_reason=None if said is None else str(said),
        usage=Usage(
            input_tokens=_count(payload, "prompt_eval_count"),
            output_tokens=_count(payload, "eval_count"),
        ),
        raw=payload,
    )


class OllamaStream:
    """Lines in, the same Completion out as if the service had not streamed.

    ``ended`` is true once a line says ``done``.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._top: dict[str, JSON] = {}
        self._text: list[str] = []
        self._thinking: list[str] = []
        self._calls: list[JSON] = []
        self._answered = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return mended("".join(self._text))

    @property
    def begun(self) -> bool:
        """Whether the first token, of whatever sort, has arrived."""
        return bool(self._text or self._thinking or self._calls)

    def done(self) -> None:
        """A gateway's own last word."""
        self.ended = True

    def add(self, chunk: JSON) -> str:
        """Take one line; return the text it brings. Raises the error that it carries."""
        raise_carried_error(self._call, chunk)
        if not isinstance(chunk, dict):
            return ""
        self._top.update((k, v) for k, v in chunk.items() if k != "message")
        self.ended = self.ended or chunk.get("done") is True
        message = chunk.get("message")
        if not isinstance(message, dict):
            return ""
        self._answered = True
        for name, kept in (("thinking", self._thinking), ("content", self._text)):
            piece = message.get(name)
            if isinstance(piece, str) and piece:
                kept.append(piece)
        calls = message.get("tool_calls")
        self._calls.extend(calls if isinstance(calls, list) else [])
        piece = message.get("content")
        return piece if isinstance(piece, str) else ""

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before it was done, MalformedResponse when
        it was done without a message.
        """
        if not self.ended:
            raise self._call.cut_short(self.text)
        if not self._answered:
            raise _no_message(self._call)
        message: dict[str, JSON] = {"role": "assistant", "content": self.text}
        if self._thinking:
            message["thinking"] = mended("".join(self._thinking))
        if self._calls:
            message["tool_calls"] = self._calls
        return read_ollama(self._call, {**self._top, "message": message})


def _tool_calls(message: dict[str, JSON]) -> Iterator[ToolCall]:
    calls = message.get("tool_calls")
    for number, called in enumerate(calls if isinstance(calls, list) else []):
        function = called.get("function") if isinstance(called, dict) else None
        if isinstance(function, dict):
            yield ToolCall(
                id=str(called.get("id") or f"call_{number}"),
                name=str(function.get("name") or ""),
                arguments=mended(argument_text(function.get("arguments") or {})),
            )


def _text(message: dict[str, JSON], name: str) -> str:
    value = message.get(name)
    return mended(value) if isinstance(value, str) else ""


def _no_message(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without a message; check that it serves Ollama's /api/chat",
    )


def _count(payload: dict[str, JSON], name: str) -> int | None:
    value = payload.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
