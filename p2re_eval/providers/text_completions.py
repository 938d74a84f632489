"""The older completions form: one text goes in, and the model continues it.

Source: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from p2re_eval.errors import MalformedResponse, ProviderError, TruncatedResponse
from p2re_eval.providers.chat_answer import (
    finish_reason,
    mended,
    raise_carried_error,
    read_usage,
)
from p2re_eval.providers.http_faults import Call
from p2re_eval.records import JSON, Completion, RenderedPrompt

TEXT_OWN_KEYS = frozenset({"model", "prompt", "stream", "stream_options", "n", "best_of"})
"""What a prompt file says in its own words; in ``extra`` these would contradict it."""


def not_one_text(prompt: RenderedPrompt) -> str | None:
    """Why the prompt is no single text, as a sentence with what to do."""
    if len(prompt.messages) != 1 or prompt.messages[0].role != "user":
        return "this form takes one text; write the prompt as one user message"
    if prompt.tools or prompt.output_schema is not None:
        return "this form has no tools and no output schema; remove them, or use the chat form"
    content = prompt.messages[0].content
    if not isinstance(content, str) and any(part.type != "text" for part in content):
        return "this form takes no image; use the chat form"
    return None


def text_body(prompt: RenderedPrompt, *, stream: bool) -> dict[str, JSON]:
    """The request body; ``extra`` (``suffix``, ``echo``, ``logprobs`` ...) has the last word."""
    model = prompt.model
    body: dict[str, JSON] = {"model": model.name, "prompt": prompt.messages[0].text}
    parameters: dict[str, JSON] = {
        "temperature": model.temperature,
        "top_p": model.top_p,
        "max_tokens": model.max_tokens,
        "seed": model.seed,
        "stop": model.stop and list(model.stop),
    }
    body.update((name, value) for name, value in parameters.items() if value is not None)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    body.update(model.extra or {})
    return body


def read_text(call: Call, payload: JSON) -> Completion:
    """The first choice of a whole answer.

    Raises MalformedResponse without choices, or the error that the payload carries.
    """
    raise_carried_error(call, payload)
    choices = payload.get("choices") if isinstance(payload, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    if not isinstance(payload, dict) or not isinstance(first, dict):
        raise _no_choices(call)
    raise_carried_error(call, first)
    said, text = first.get("finish_reason"), first.get("text")
    said = None if said == "" else said
    return Completion(
        text=mended(text) if isinstance(text, str) else "",
        model=payload.get("model") or None,
        finish_reason=finish_reason(said, calls=False),
        raw_finish_reason=None if said is None else str(said),
        usage=read_usage(payload),
        response_id=payload.get("id") or None,
        raw=payload,
    )


class TextStream:
    """Chunks in, the same Completion out as if the service had not streamed.

    ``ended`` is true once the service has said how the answer finished, or ``[DONE]``.
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
        """Whether the first token has arrived."""
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
            what = f"{self._call.host} ended the stream before the answer; try again"
            error = self._call.fault(TruncatedResponse, what)
            error.partial = self.text or None
            raise error
        if not self._answered:
            raise _no_choices(self._call)
        choice = {"index": 0, "text": self.text, "finish_reason": self._finish}
        return read_text(self._call, {**self._top, "choices": [choice]})

    def _add_choice(self, choice: dict[str, JSON]) -> str:
        raise_carried_error(self._call, choice)
        self._answered = True
        if choice.get("finish_reason") not in (None, ""):
            self._finish = choice["finish_reason"]
            self.ended = True
        piece = choice.get("text")
        if not isinstance(piece, str) or not piece:
            return ""
        self._text.append(piece)
        return piece


def _no_choices(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without any choice; check that it serves text completions",
    )
