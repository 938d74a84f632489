"""The older completions form: one text goes in, and the model continues it.

Source: https://platform.openai.com/docs/api-reference/completions
"""

from __future__ import annotations

from p2re_eval.errors import MalformedResponse, ProviderError
from p2re_eval.providers.chat_answer import (
    finish_reason,
    mended,
    raise_carried_error,
    read_usage,
)
from p2re_eval.providers.choice_stream import ChoiceStream
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


class TextStream(ChoiceStream):
    """The text in pieces."""

    def _whole(self) -> Completion:
        if not self._answered:
            raise _no_choices(self._call)
        choice = {"index": 0, "text": self.text, "finish_reason": self._finish}
        return read_text(self._call, {**self._top, "choices": [choice]})

    def _piece(self, choice: dict[str, JSON]) -> str:
        piece = choice.get("text")
        return piece if isinstance(piece, str) else ""


def _no_choices(call: Call) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} answered without any choice; check that it serves text completions",
    )
