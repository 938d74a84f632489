"""A streamed chat completion put together again, piece by piece."""

from __future__ import annotations

from p2re_eval.providers.chat_answer import (
    argument_text,
    joined_text,
    no_choices,
    read_completion,
    reasoning_of,
)
from p2re_eval.providers.choice_stream import ChoiceStream
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion


class ChatStream(ChoiceStream):
    """Text, reasoning, refusal and calls of tools, each in pieces."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._reasoning: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[dict[str, JSON]] = []

    @property
    def begun(self) -> bool:
        """Whether the first token, of whatever sort, has arrived."""
        return bool(self._text or self._reasoning or self._refusal or self._calls)

    def _whole(self) -> Completion:
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

    def _piece(self, choice: dict[str, JSON]) -> str:
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
        return _piece(delta, "content")

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
