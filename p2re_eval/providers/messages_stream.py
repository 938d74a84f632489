"""A streamed message put together again, block by block.

Source: https://platform.claude.com/docs/en/build-with-claude/streaming
"""

from __future__ import annotations

import json

from p2re_eval.errors import ProviderError
from p2re_eval.providers.chat_answer import mended, raise_carried_error
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.messages_answer import no_content, read_message
from p2re_eval.records import JSON, Completion

_FIELD_OF_DELTA = {
    "text_delta": ("text", "text"),
    "thinking_delta": ("thinking", "thinking"),
    "signature_delta": ("thinking", "signature"),
    "input_json_delta": ("tool_use", "partial_json"),
}
_FIRST_TOKENS = frozenset({"text", "thinking", "partial_json"})


class _Block:
    """One content block: as it began, and the pieces that were added to its fields."""

    def __init__(self, begun: dict[str, JSON]) -> None:
        self.begun = begun
        self.pieces: dict[str, list[str]] = {}
        self.citations: list[JSON] = []

    def joined(self, field: str) -> str:
        return "".join(self.pieces.get(field, ()))

    def whole(self) -> dict[str, JSON]:
        """The block as an answer that was not streamed would have it."""
        block = dict(self.begun)
        for field in self.pieces:
            if field != "partial_json":
                block[field] = f"{block.get(field) or ''}{self.joined(field)}"
        if self.citations:
            block["citations"] = [*(block.get("citations") or []), *self.citations]
        arguments = self.joined("partial_json")
        if arguments:
            block["input"] = _parsed(arguments)
        return block


class MessagesStream:
    """Events in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said why the answer stopped. With ``answer_tool`` the
    text is what that tool is called with.
    """

    def __init__(self, call: Call, *, answer_tool: str | None = None) -> None:
        self._call = call
        self._answer_tool = answer_tool
        self._message: dict[str, JSON] = {}
        self._usage: dict[str, JSON] = {}
        self._blocks: dict[int, _Block] = {}
        self._answer: _Block | None = None
        self.begun = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        if self._answer is not None:
            return mended(self._answer.joined("partial_json"))
        blocks = self._blocks.values()
        return mended("".join(f"{b.begun.get('text') or ''}{b.joined('text')}" for b in blocks))

    def done(self) -> None:
        """The service closed the stream by its own word."""
        self.ended = True

    def add(self, chunk: JSON) -> str:
        """Take one event; return the text it brings. Raises the error that it carries."""
        try:
            raise_carried_error(self._call, chunk)
        except ProviderError as error:
            error.partial = self.text or None
            raise
        if not isinstance(chunk, dict):
            return ""
        kind = chunk.get("type")
        if kind == "content_block_delta":
            return self._add_delta(_index(chunk), chunk.get("delta"))
        if kind == "content_block_start":
            return self._start_block(_index(chunk), chunk.get("content_block"))
        if kind == "message_start":
            self._update(chunk.get("message"), chunk.get("message", {}))
        elif kind == "message_delta":
            self._update(chunk.get("delta"), chunk)
            self.ended = self.ended or bool(self._message.get("stop_reason"))
        elif kind == "message_stop":
            self.ended = True
        return ""

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before the answer did, MalformedResponse
        when it ended with nothing in it.
        """
        if not self.ended:
            raise self._call.cut_short(self.text)
        if not self._message and not self._blocks:
            raise no_content(self._call)
        blocks = list(self._blocks.values())
        whole = {"type": "message", "role": "assistant", **self._message}
        whole["content"] = [block.whole() for block in blocks]
        if self._usage:
            whole["usage"] = self._usage
        written = {n: block.joined("partial_json") for n, block in enumerate(blocks)}
        return read_message(self._call, whole, answer_tool=self._answer_tool, written=written)

    def _update(self, fields: JSON, carrier: JSON) -> None:
        """Later counts replace earlier ones: the service sends running totals."""
        if isinstance(fields, dict):
            kept = (item for item in fields.items() if item[0] not in {"content", "usage"})
            self._message.update(kept)
        usage = carrier.get("usage") if isinstance(carrier, dict) else None
        if isinstance(usage, dict):
            self._usage.update((name, value) for name, value in usage.items() if value is not None)

    def _start_block(self, index: int, begun: JSON) -> str:
        if not isinstance(begun, dict):
            return ""
        block = self._blocks[index] = _Block(begun)
        if self._answer is None and self._answer_tool is not None:
            self._answer = block if begun.get("name") == self._answer_tool else None
        text = begun.get("text")
        self.begun = self.begun or bool(text) or begun.get("type") == "tool_use"
        return self._shown(block, "text", text) if isinstance(text, str) else ""

    def _add_delta(self, index: int, delta: JSON) -> str:
        if not isinstance(delta, dict):
            return ""
        kind, field = _FIELD_OF_DELTA.get(str(delta.get("type")), ("", ""))
        block = self._blocks.get(index)
        if block is None:
            if not kind:
                return ""
            block = self._blocks[index] = _Block({"type": kind})
        if delta.get("type") == "citations_delta":
            block.citations.append(delta.get("citation"))
        piece = delta.get(field)
        if not isinstance(piece, str) or not field:
            return ""
        block.pieces.setdefault(field, []).append(piece)
        self.begun = self.begun or (bool(piece) and field in _FIRST_TOKENS)
        return self._shown(block, field, piece)

    def _shown(self, block: _Block, field: str, piece: str) -> str:
        """The piece if it is part of the answer's text."""
        if self._answer_tool is None:
            return piece if field == "text" else ""
        return piece if field == "partial_json" and block is self._answer else ""


def _index(chunk: dict[str, JSON]) -> int:
    """The block that an event is about; a server that does not number them sends one block."""
    index = chunk.get("index")
    return index if isinstance(index, int) else 0


def _parsed(arguments: str) -> JSON:
    """What the model wrote, or, where the limit cut it off, its text."""
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments
