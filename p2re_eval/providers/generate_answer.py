"""The generateContent form of an answer, whole or streamed, read into a Completion.

Google's two services (Gemini API and Vertex AI) send the same form; Vertex's enumerations may come
as numbers. ``output_tokens`` includes the thoughts, which are billed like the answer, and
``input_tokens`` what the service's own tools read.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby

from p2re_eval.errors import ContentFiltered, MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import mended, raise_carried_error
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall, Usage


def read_generated(call: Call, payload: JSON) -> Completion:
    """The first candidate of a whole answer; a list is a stream that came in one piece.

    Raises ContentFiltered when the service refused the prompt, MalformedResponse without
    candidates, or the error that the payload carries.
    """
    if isinstance(payload, list):
        stream = GenerateStream(call)
        stream.add(payload)
        return stream.completion()
    raise_carried_error(call, payload)
    raise_blocked(call, payload)
    candidate = _first_candidate(payload)
    if not isinstance(payload, dict) or candidate is None:
        raise _no_candidates(call)
    parts = parts_of(candidate)
    calls = tuple(_tool_calls(parts))
    finish = candidate.get("finishReason")
    return Completion(
        text=text_of(parts),
        tool_calls=calls,
        reasoning=text_of(parts, thoughts=True) or None,
        model=_name(payload.get("modelVersion")),
        finish_reason=finish_reason(finish, calls=bool(calls)),
        raw_finish_reason=_name(finish),
        usage=read_usage(payload.get("usageMetadata")),
        response_id=_name(payload.get("responseId")),
        raw=payload,
    )


class GenerateStream:
    """Chunks in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said how the answer finished.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._top: dict[str, JSON] = {}
        self._usage: dict[str, JSON] = {}
        self._candidate: dict[str, JSON] = {}
        self._parts: list[dict[str, JSON]] = []
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return text_of(self._parts)

    @property
    def begun(self) -> bool:
        """Whether the first token, of whatever sort, has arrived."""
        return any(_is_token(part) for part in self._parts)

    def done(self) -> None:
        """A gateway's own last word; the service itself just closes the stream."""
        self.ended = True

    def add(self, chunk: JSON) -> str:
        """Take one chunk; return the text it brings. Raises the error that it carries."""
        if isinstance(chunk, list):
            return "".join([self.add(one) for one in chunk])
        raise_carried_error(self._call, chunk)
        if not isinstance(chunk, dict):
            return ""
        try:
            raise_blocked(self._call, chunk)
        except ContentFiltered as error:
            error.partial = self.text or None
            raise
        self._top.update((k, v) for k, v in chunk.items() if v not in (None, ""))
        usage = chunk.get("usageMetadata")
        if isinstance(usage, dict):
            self._usage.update(usage)
        candidate = _first_candidate(chunk)
        return "" if candidate is None else self._add_candidate(candidate)

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before it was finished.
        """
        if not self.ended:
            raise self._call.cut_short(self.text)
        whole: dict[str, JSON] = {**self._top}
        if self._candidate:
            content = {"role": "model", "parts": list(_joined(self._parts))}
            whole["candidates"] = [{**self._candidate, "content": content}]
        if self._usage:
            whole["usageMetadata"] = self._usage
        return read_generated(self._call, whole)

    def _add_candidate(self, candidate: dict[str, JSON]) -> str:
        self._candidate.update(candidate)
        self.ended = self.ended or candidate.get("finishReason") not in (None, "")
        parts = parts_of(candidate)
        self._parts.extend(parts)
        return text_of(parts, mend=False)


def raise_blocked(call: Call, payload: JSON) -> None:
    """Raise ContentFiltered when the service refused the prompt itself."""
    feedback = payload.get("promptFeedback") if isinstance(payload, dict) else None
    if not isinstance(feedback, dict):
        return
    reason = _name(feedback.get("blockReason"))
    if reason in (None, "0", "BLOCK_REASON_UNSPECIFIED", "BLOCKED_REASON_UNSPECIFIED"):
        return
    said = _name(feedback.get("blockReasonMessage"))
    why = reason if said is None else f"{reason}: {' '.join(said.split())[:300].rstrip('.')}"
    raise call.fault(ContentFiltered, f"{call.host} blocked the prompt ({why}); reword the prompt")


def parts_of(candidate: dict[str, JSON]) -> list[dict[str, JSON]]:
    """The parts of a candidate's content; a stopped candidate may have none."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def text_of(parts: list[dict[str, JSON]], *, thoughts: bool = False, mend: bool = True) -> str:
    """The text of the answer, or of the thoughts."""
    chosen = (part for part in parts if bool(part.get("thought")) is thoughts)
    text = "".join(part["text"] for part in chosen if _is_text(part))
    return mended(text) if mend else text


def finish_reason(said: JSON, *, calls: bool) -> FinishReason:
    """The service's reason in our words. It says STOP after tool calls, too."""
    known = _FINISH_REASONS.get(str(said), "other")
    return "tool_calls" if calls and (said is None or known == "stop") else known


_FINISH_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("STOP", "1"), "stop"),
    **dict.fromkeys(("MAX_TOKENS", "2"), "length"),
    **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT"), "content_filter"),
    **dict.fromkeys(("SPII", "MODEL_ARMOR", "IMAGE_SAFETY"), "content_filter"),
    **dict.fromkeys(("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"), "content_filter"),
    **dict.fromkeys(("3", "4", "6", "7", "8", "10", "11", "12", "13"), "content_filter"),
}
"""Numbers as Vertex AI counts them: 9 is MALFORMED_FUNCTION_CALL, 10 MODEL_ARMOR. Source:
https://cloud.google.com/vertex-ai/docs/reference/rest/v1/GenerateContentResponse#FinishReason"""


def read_usage(usage: JSON) -> Usage:
    """The token counts; the wire leaves zeros out, and the total tells 0 from unknown."""
    if not isinstance(usage, dict):
        return Usage()
    prompt, tools = _count(usage, "promptTokenCount"), _count(usage, "toolUsePromptTokenCount")
    answer, thoughts = _count(usage, "candidatesTokenCount"), _count(usage, "thoughtsTokenCount")
    total = _count(usage, "totalTokenCount")
    output = None if answer is None and thoughts is None else (answer or 0) + (thoughts or 0)
    if output is None and prompt is not None and total == prompt + (tools or 0):
        output = 0
    return Usage(
        input_tokens=None if prompt is None else prompt + (tools or 0),
        output_tokens=output,
        cached_tokens=_count(usage, "cachedContentTokenCount"),
        reasoning_tokens=thoughts,
    )


def _tool_calls(parts: list[dict[str, JSON]]) -> Iterator[ToolCall]:
    called = [part["functionCall"] for part in parts if isinstance(part.get("functionCall"), dict)]
    for number, function in enumerate(called):
        yield ToolCall(
            id=_name(function.get("id")) or f"call_{number}",
            name=_name(function.get("name")) or "",
            arguments=mended(json.dumps(function.get("args") or {}, ensure_ascii=False)),
        )


def _joined(parts: list[dict[str, JSON]]) -> Iterator[dict[str, JSON]]:
    """A stream's parts with neighbouring pieces of one text put together."""
    for (is_text, _), group in groupby(parts, _kind):
        if is_text:
            pieces = list(group)
            merged = {name: value for piece in pieces for name, value in piece.items()}
            yield {**merged, "text": mended("".join(piece["text"] for piece in pieces))}
        else:
            yield from group


def _kind(part: dict[str, JSON]) -> tuple[bool, bool]:
    return _is_text(part), bool(part.get("thought"))


def _is_text(part: dict[str, JSON]) -> bool:
    return isinstance(part.get("text"), str)


def _is_token(part: dict[str, JSON]) -> bool:
    return part.get("text") != "" and bool(part)


def _first_candidate(payload: JSON) -> dict[str, JSON] | None:
    candidates = payload.get("candidates") if isinstance(payload, dict) else None
    for candidate in candidates if isinstance(candidates, list) else []:
        if isinstance(candidate, dict) and candidate.get("index") in (0, None):
            return candidate
    return None


def _no_candidates(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without any candidate; check that it serves generateContent",
    )


def _name(value: JSON) -> str | None:
    return str(value) if value is not None and value != "" else None


def _count(usage: dict[str, JSON], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    return None
