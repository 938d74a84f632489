"""What streams of ``choices`` share: chunks come in, and one of the choices is put together."""

from __future__ import annotations

from p2re_eval.providers.chat_answer import mended, raise_carried_error
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion


class ChoiceStream:
    """Chunks in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said how the answer finished, or ``[DONE]``. A subclass
    reads the pieces of its form and makes the whole answer of them.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._text: list[str] = []
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
        return bool(self._text)

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
            raise self._call.cut_short(self.text)
        return self._whole()

    def _add_choice(self, choice: dict[str, JSON]) -> str:
        raise_carried_error(self._call, choice)
        self._answered = True
        if choice.get("finish_reason") not in (None, ""):
            self._finish = choice["finish_reason"]
            self.ended = True
        text = self._piece(choice)
        if text:
            self._text.append(text)
        return text

    def _piece(self, choice: dict[str, JSON]) -> str:
        """The text that a piece of the answer brings; what else it brings is kept."""
        raise NotImplementedError

    def _whole(self) -> Completion:
        """The finished answer. Raises MalformedResponse where none came."""
        raise NotImplementedError
