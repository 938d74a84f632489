"""What a trace says, in the form in which it is stored: redacted, as JSON, with the digests that
name it. Made without looking at the tables."""

from __future__ import annotations

from collections.abc import Iterator

from p2re_eval.records import Completion, Fault, Message, RenderedPrompt, Trace
from p2re_eval.store.payloads import Text, digest
from p2re_eval.store.redaction import Redaction

PREVIEW_CHARS = 120
"""What a list shows of a text; the design allows 500, and every trace pays for it twice."""
_NO_VARIABLES = digest(b"")


class Asked:
    """A rendered prompt: its head (name, version, settings), variables and messages."""

    __slots__ = ("name", "preview", "texts", "variables")

    def __init__(self, redaction: Redaction, prompt: RenderedPrompt) -> None:
        self.variables = (redaction.json(prompt.variables) or "").encode()
        said = [redaction.said(message) for message in prompt.messages]
        self.texts = [redaction.head(prompt), *(text for text, _ in said)]
        names = [text.name for text in self.texts]
        variables = digest(self.variables) if self.variables else _NO_VARIABLES
        self.name = digest(b"".join([names[0], variables, *names[1:]]))
        self.preview = ""
        if prompt.messages:
            last = prompt.messages[-1]
            # Parts are joined where they are shown: what is split over two is seen only there.
            clean = said[-1][1] and isinstance(last.content, str)
            self.preview = preview(redaction, last.text, clean=clean)


class Answer:
    """The end of a run or of a span: the message that was said, its start, and what came with it.

    It is shaped like a message: the next turn of a conversation sends it again and shares it.
    """

    __slots__ = ("completion", "fault", "message", "preview", "raw", "reasoning")

    def __init__(
        self, redaction: Redaction, completion: Completion | None, fault: Fault | None
    ) -> None:
        self.completion = completion
        self.fault = fault
        self.message: Text | None = None
        self.reasoning: Text | None = None
        self.raw: Text | None = None
        clean = False
        if completion is not None:
            self.message, clean = _said(redaction, completion)
            self.reasoning = _text(redaction.text(completion.reasoning))
            self.raw = _text(redaction.json(completion.raw))
        shown = _shown(completion, fault)
        clean = clean and completion is not None and shown is completion.text
        self.preview = preview(redaction, shown, clean=clean)

    def texts(self) -> Iterator[Text]:
        """All that is to be stored."""
        yield from (one for one in (self.message, self.reasoning, self.raw) if one is not None)


class Contents:
    """Both sides of a trace."""

    __slots__ = ("answer", "asked")

    def __init__(self, redaction: Redaction, trace: Trace, *, asked: bool = True) -> None:
        self.asked = Asked(redaction, trace.prompt) if asked else None
        self.answer = Answer(redaction, trace.completion, trace.fault)

    def texts(self) -> Iterator[Text]:
        """All that is to be stored."""
        if self.asked is not None:
            yield from self.asked.texts
        yield from self.answer.texts()


def preview(redaction: Redaction, text: str, *, clean: bool = False) -> str:
    """The start of a text as a list shows it; cut after redaction, which must see it whole unless
    it is known to hold nothing suspicious."""
    whole = (redaction.storable(text) if clean else redaction.text(text)) or ""
    return whole if len(whole) <= PREVIEW_CHARS else whole[: PREVIEW_CHARS - 1] + "…"


def _said(redaction: Redaction, completion: Completion) -> tuple[Text, bool]:
    if not completion.tool_calls:
        return redaction.plainly_said("assistant", completion.text)
    said = Message(role="assistant", content=completion.text, tool_calls=completion.tool_calls)
    return redaction.said(said)


def _text(text: str | None) -> Text | None:
    return None if text is None else Text(text)


def _shown(completion: Completion | None, fault: Fault | None) -> str:
    if fault is not None:
        return fault.message
    if completion is None:
        return ""
    calls = ", ".join(f"{call.name}({call.arguments})" for call in completion.tool_calls)
    return completion.text or completion.refusal or calls
