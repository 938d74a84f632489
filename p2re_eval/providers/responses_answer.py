"""The Responses form of an answer, whole or streamed, read into a Completion.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.errors import MalformedResponse
from p2re_eval.providers.chat_answer import argument_text, mended, raise_carried_error, read_usage
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}


def read_response(call: Call, payload: JSON) -> Completion:
    """A whole answer. Raises MalformedResponse without output, or the error that it carries."""
    raise_carried_error(call, payload)
    if not isinstance(payload, dict) or not isinstance(payload.get("output"), list):
        what = f"{call.host} answered without any output; check that it serves the Responses API"
        raise call.fault(MalformedResponse, what)
    if payload.get("status") in {"failed", "cancelled"}:
        raise refusal(call, 200, {}, {"message": f"the response is {payload['status']}"})
    items = [item for item in payload["output"] if isinstance(item, dict)]
    calls = tuple(_tool_calls(items))
    finish, raw = _finish(payload, calls=bool(calls))
    return Completion(
        text=_joined(items, "message", "content", "output_text", "text"),
        tool_calls=calls,
        refusal=_joined(items, "message", "content", "refusal", "refusal") or None,
        reasoning=_reasoning(items),
        model=payload.get("model") or None,
        finish_reason=finish,
        raw_finish_reason=raw,
        usage=read_usage(payload),
        response_id=payload.get("id") or None,
        raw=payload,
    )


class ResponseStream:
    """Events in, one Completion out: the last event, which sets ``ended``, holds the answer."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._text: list[str] = []
        self._items: list[JSON] = []
        self._final: dict[str, JSON] | None = None
        self.begun = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return mended("".join(self._text))

    def done(self) -> None:
        """``[DONE]`` says nothing here: only the last event ends an answer."""

    def add(self, chunk: JSON) -> str:
        """Take one event; return the text it brings. Raises the error that it carries."""
        raise_carried_error(self._call, chunk)
        kind = chunk.get("type") if isinstance(chunk, dict) else None
        if not isinstance(kind, str):
            return ""
        if kind in {"response.completed", "response.incomplete", "response.failed"}:
            response = chunk.get("response")
            raise_carried_error(self._call, response)
            self._final = response if isinstance(response, dict) else {}
            self.ended = True
        elif kind == "response.output_item.done":
            self._items.append(chunk.get("item"))
        elif kind.endswith(".delta"):
            self.begun = True
        piece = chunk.get("delta") if kind == "response.output_text.delta" else None
        if not isinstance(piece, str):
            return ""
        self._text.append(piece)
        return piece

    def completion(self) -> Completion:
        """The whole answer. Raises TruncatedResponse when the stream stopped before it came."""
        if self._final is None:
            raise self._call.cut_short(self.text)
        output = self._final.get("output") or self._items
        return read_response(self._call, {**self._final, "output": output})


def _finish(payload: dict[str, JSON], *, calls: bool) -> tuple[FinishReason, str | None]:
    details = payload.get("incomplete_details")
    reason = details.get("reason") if isinstance(details, dict) else None
    status = payload.get("status")
    if reason is not None or status == "incomplete":
        said = str(reason or status)
        return _INCOMPLETE.get(said, "other"), said
    finish: FinishReason = "tool_calls" if calls else "stop"
    return finish if status in {"completed", None} else "other", status and str(status)


def _tool_calls(items: list[dict[str, JSON]]) -> Iterator[ToolCall]:
    called = [item for item in items if item.get("type") == "function_call"]
    for number, item in enumerate(called):
        yield ToolCall(
            id=str(item.get("call_id") or item.get("id") or f"call_{number}"),
            name=str(item.get("name") or ""),
            arguments=argument_text(item.get("arguments")),
        )


def _reasoning(items: list[dict[str, JSON]]) -> str | None:
    """The thinking itself where the service shows it, else its summary."""
    whole = _joined(items, "reasoning", "content", "reasoning_text", "text")
    return whole or _joined(items, "reasoning", "summary", "summary_text", "text") or None


def _joined(items: list[dict[str, JSON]], kind: str, place: str, part_kind: str, name: str) -> str:
    texts = [
        part[name]
        for item in items
        if item.get("type") == kind
        for part in (item.get(place) or [])
        if isinstance(part, dict) and part.get("type") == part_kind
    ]
    return mended("".join(text for text in texts if isinstance(text, str)))
