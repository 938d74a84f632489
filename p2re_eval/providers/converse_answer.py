"""The Converse form of an answer, whole or streamed, read into a Completion.

Source: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import argument_text, mended, raise_carried_error
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.prices import CacheWrites
from p2re_eval.records import JSON, Completion, FinishReason, ToolCall, Usage


def read_converse(
    call: Call, payload: JSON, *, written: Mapping[int, str] | None = None
) -> Completion:
    """A whole answer; it names no model and has no id.

    ``written`` holds, by the block's position, the arguments of tool calls as the model wrote them,
    where a stream has kept that. Raises MalformedResponse without a message, or the error that the
    payload carries.
    """
    raise_carried_error(call, payload)
    output = _mapping(payload, "output")
    blocks = _mapping(output, "message").get("content")
    if not isinstance(payload, dict) or not isinstance(blocks, list):
        raise _no_message(call)
    calls = tuple(_tool_calls(blocks, written or {}))
    said = payload.get("stopReason") or None
    return Completion(
        text=mended("".join(_texts(blocks))),
        tool_calls=calls,
        reasoning=mended("".join(_thoughts(blocks))) or None,
        model=_invoked(payload),
        finish_reason=_FINISH_REASONS.get(str(said), "other"),
        raw_finish_reason=None if said is None else str(said),
        usage=read_usage(payload.get("usage")),
        raw=payload,
    )


def read_usage(usage: JSON) -> Usage:
    """The token counts: what was read from or written to the cache is not in the service's
    ``inputTokens``; here it is part of the input."""
    if not isinstance(usage, dict):
        return Usage()
    fresh, cached = _count(usage, "inputTokens"), _count(usage, "cacheReadInputTokens")
    made = _count(usage, "cacheWriteInputTokens")
    return Usage(
        input_tokens=None if fresh is None else fresh + (cached or 0) + (made or 0),
        output_tokens=_count(usage, "outputTokens"),
        cached_tokens=cached,
    )


def cache_writes(payload: JSON) -> CacheWrites:
    """What a whole answer says it put into the cache."""
    return CacheWrites(_count(_mapping(payload, "usage"), "cacheWriteInputTokens") or 0)


class ConverseStream:
    """Frames in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said why the answer stopped; the counts come after that.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._blocks: dict[int, _Block] = {}
        self._top: dict[str, JSON] = {}
        self._begun_message = False
        self.begun = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return mended("".join(block.joined("text") for block in self._blocks.values()))

    def done(self) -> None:
        """``[DONE]`` is no word of this service."""

    def add(self, chunk: JSON) -> str:
        """Take one frame's payload; return the text it brings. Raises the error that it carries."""
        raise_carried_error(self._call, chunk)
        if not isinstance(chunk, dict):
            return ""
        if "role" in chunk:
            self._begun_message = True
        if "stopReason" in chunk:
            self.ended = self.ended or bool(chunk["stopReason"])
        kept = ("stopReason", "usage", "metrics", "trace", "additionalModelResponseFields")
        self._top.update((name, chunk[name]) for name in kept if chunk.get(name) is not None)
        index = chunk.get("contentBlockIndex")
        if not isinstance(index, int) or not {"start", "delta"}.intersection(chunk):
            return ""
        block = self._blocks.setdefault(index, _Block())
        block.start(chunk.get("start"))
        self.begun |= block.add(chunk.get("delta"))
        piece = _mapping(chunk, "delta").get("text")
        return piece if isinstance(piece, str) else ""

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before the answer did, MalformedResponse
        when it ended with nothing in it.
        """
        if not self.ended:
            raise self._call.cut_short(self.text)
        if not self._begun_message and not self._blocks:
            raise _no_message(self._call)
        blocks = [self._blocks[index] for index in sorted(self._blocks)]
        message = {"role": "assistant", "content": [block.whole() for block in blocks]}
        written = {n: block.joined("input") for n, block in enumerate(blocks)}
        return read_converse(
            self._call, {"output": {"message": message}, **self._top}, written=written
        )


class _Block:
    """One content block: how it began, and the pieces of each of its fields."""

    def __init__(self) -> None:
        self._begun: dict[str, JSON] = {}
        self._pieces: dict[str, list[str]] = {}
        self._others: list[JSON] = []

    def joined(self, field: str) -> str:
        return "".join(self._pieces.get(field, ()))

    def start(self, begun: JSON) -> None:
        if isinstance(begun, dict):
            self._begun.update(begun)

    def add(self, delta: JSON) -> bool:
        """Keep a piece; whether it is a token of any sort."""
        if not isinstance(delta, dict):
            return "toolUse" in self._begun
        thought, used = _mapping(delta, "reasoningContent"), _mapping(delta, "toolUse")
        fields = {
            "text": delta.get("text"),
            "thinking": thought.get("text"),
            "signature": thought.get("signature"),
            "redacted": thought.get("redactedContent"),
            "input": used.get("input"),
        }
        if not {"text", "reasoningContent", "toolUse"}.intersection(delta):
            self._others.append(delta)
        for name, piece in fields.items():
            if isinstance(piece, str):
                self._pieces.setdefault(name, []).append(piece)
        return any(isinstance(piece, str) and piece for piece in fields.values())

    def whole(self) -> dict[str, JSON]:
        """The block as an answer that was not streamed would have it."""
        if "toolUse" in self._begun:
            return {"toolUse": {**self._begun["toolUse"], "input": _parsed(self.joined("input"))}}
        if "redacted" in self._pieces:
            return {"reasoningContent": {"redactedContent": self.joined("redacted")}}
        if "thinking" in self._pieces or "signature" in self._pieces:
            thought = {"text": mended(self.joined("thinking"))}
            if "signature" in self._pieces:
                thought["signature"] = self.joined("signature")
            return {"reasoningContent": {"reasoningText": thought}}
        said = {} if self._others and "text" not in self._pieces else {"text": self.joined("text")}
        more = {"deltas": self._others} if self._others else {}
        return {**self._begun, **said, **more}


_FINISH_REASONS: dict[str, FinishReason] = {
    **dict.fromkeys(("end_turn", "stop_sequence"), "stop"),
    **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
    **dict.fromkeys(("guardrail_intervened", "content_filtered"), "content_filter"),
    "tool_use": "tool_calls",
}


def _tool_calls(blocks: list[JSON], written: Mapping[int, str]) -> Iterator[ToolCall]:
    for position, block in enumerate(blocks):
        used = _mapping(block, "toolUse")
        # What the service runs itself is no call for us to answer.
        if used and used.get("type") != "server_tool_use":
            yield ToolCall(
                id=str(used.get("toolUseId") or f"call_{position}"),
                name=str(used.get("name") or ""),
                arguments=mended(written.get(position) or argument_text(used.get("input"))),
            )


def _texts(blocks: list[JSON]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, dict):
            cited = _mapping(block, "citationsContent").get("content")
            for part in [block, *(cited if isinstance(cited, list) else [])]:
                text = part.get("text") if isinstance(part, dict) else None
                yield text if isinstance(text, str) else ""


def _thoughts(blocks: list[JSON]) -> Iterator[str]:
    for block in blocks:
        text = _mapping(_mapping(block, "reasoningContent"), "reasoningText").get("text")
        yield text if isinstance(text, str) else ""


def _invoked(payload: dict[str, JSON]) -> str | None:
    """The model that a prompt router chose."""
    router = _mapping(_mapping(payload, "trace"), "promptRouter")
    chosen = router.get("invokedModelId")
    return str(chosen) if chosen else None


def _no_message(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without a message; check that it serves the Converse API",
    )


def _parsed(arguments: str) -> JSON:
    """What the model wrote, or, where the limit cut it off, its text."""
    try:
        return json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        return arguments


def _mapping(parent: JSON, name: str) -> dict[str, JSON]:
    value = parent.get(name) if isinstance(parent, dict) else None
    return value if isinstance(value, dict) else {}


def _count(usage: dict[str, JSON], name: str) -> int | None:
    value = usage.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return int(value)
    return None
