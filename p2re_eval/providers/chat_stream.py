"""A streamed chat completion put together again, piece by piece."""

from __future__ import annotations

from p2re_eval.errors import TruncatedResponse
from p2re_eval.providers.chat_answer import (
    argument_text,
    joined_text,
    mended,
    no_choices,
    raise_carried_error,
    read_completion,
    reasoning_of,
)
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion


class ChatStream:
    """Chunks in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said how the answer finished, or ``[DONE]``.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, JSON]] = []
        self._top: dict[str, JSON] = {}
        self._finish: JSON = None
        self._answered = False
        self.ended = False

    @property
    def text(self) -> str:
        """The text that has arrived so far."""
        return mended("".join(self._text))

    @property
    def begun(self) -> bool:
        """Whether the first token, of whatever sort, has arrived."""
        return bool(self._text or self._reasoning or self._refusal or self._calls)

    def done(self) -> None:
        """The service closed the stream by its own word."""
        self.ended = True

    def add(self, chunk: JSON) -> str:
        """Take one chunk; return the text it brings. Raises the error that it carries."""
        raise_carried_error(self._call, chunk)
        if not isinstance(chunk, dict):
            return ""
        self._top.update((k, v) for k, v in chunk.items() if k != "choices" and v not in (None, ""))
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and choice.get("index") in (0, None):
                return self._add_choice(choice)
        return ""

    def completion(self) -> Completion:
        """What has arrived, as one answer.

        Raises TruncatedResponse when the stream stopped before it was finished, MalformedResponse
        when it was finished but empty.
        """
        if not self.ended:
            raise self.truncated()
        if not self._answered:
            raise no_choices(self._call)
        message: dict[str, JSON] = {"role": "assistant", "content": self.text}
        if self._reasoning:
            message["reasoning_content"] = "".join(self._reasoning)
        if self._refusal:
            message["refusal"] = "".join(self._refusal)
        if self._calls:
            message["tool_calls"] = [_whole_call(call) for call in self._calls]
        choice = {"index": 0, "message": message, "finish_reason": self._finish}
        whole = {**self._top, "object": "chat.completion", "choices": [choice]}
        return read_completion(self._call, whole)

    def truncated(self) -> TruncatedResponse:
        """The fault of a stream that stopped here, with what had arrived."""
        error = self._call.fault(
            TruncatedResponse, f"{self._call.host} ended the stream before the answer; try again"
        )
        assert isinstance(error, TruncatedResponse)
        error.partial = self.text or None
        return error

    def _add_choice(self, choice: dict[str, JSON]) -> str:
        raise_carried_error(self._call, choice)
        self._answered = True
        if choice.get("finish_reason") not in (None, ""):
            self._finish = choice["finish_reason"]
            self.ended = True
        delta = choice.get("delta") or choice.get("message")
        if not isinstance(delta, dict):
            return ""
        for name, kept in (("reasoning", self._reasoning), ("refusal", self._refusal)):
            piece = _piece(delta, name)
            if piece:
                kept.append(piece)
        calls = delta.get("tool_calls")
        for called in calls if isinstance(calls, list) else []:
            if isinstance(called, dict):
                self._add_call(called)
        legacy = delta.get("function_call")
        if isinstance(legacy, dict) and any(legacy.values()):
            self._add_call({"index": 0, "function": legacy})
        text = _piece(delta, "content")
        if text:
            self._text.append(text)
        return text

    def _add_call(self, piece: dict[str, JSON]) -> None:
        function = piece.get("function")
        function = function if isinstance(function, dict) else {}
        call = self._call_of(piece, function)
        call["id"] = call["id"] or piece.get("id")
        call["name"] = call["name"] or function.get("name")
        arguments = function.get("arguments")
        if arguments is not None:
            call["arguments"].append(
                arguments if isinstance(arguments, str) else argument_text(arguments)
            )

    def _call_of(self, piece: dict[str, JSON], function: dict[str, JSON]) -> dict[str, JSON]:
        """The call that a piece belongs to.

        With an index it is the last call of that index, unless another id and a name begin a new
        one (some servers number every parallel call 0). Without an index a name begins a new call.
        """
        index, name, given_id = piece.get("index"), function.get("name"), piece.get("id")
        same = [call for call in self._calls if call["index"] == index]
        if same and index is not None:
            last = same[-1]
            if not (name and given_id and last["id"] and last["id"] != given_id):
                return last
        elif self._calls and index is None and not name:
            return self._calls[-1]
        begun: dict[str, JSON] = {"index": index, "id": None, "name": None, "arguments": []}
        self._calls.append(begun)
        return begun


def _piece(delta: dict[str, JSON], name: str) -> str:
    """A delta's raw piece: surrogate halves stay until the whole is put together."""
    value = delta.get(name)
    if name == "reasoning":
        value = delta.get("reasoning_content") or value
        return value if isinstance(value, str) else reasoning_of(delta) or ""
    return value if isinstance(value, str) else joined_text(value)


def _whole_call(call: dict[str, JSON]) -> dict[str, JSON]:
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": call["name"], "arguments": "".join(call["arguments"])},
    }
