"""OpenInference's switches (``OPENINFERENCE_HIDE_INPUTS`` ...), for every span that is read here:
captured, received or imported, whichever convention it speaks.

The instrumentors of OpenInference honour them themselves; others know nothing of them, and a
collector's environment may be stricter than that of the program that sends to it.

Source: OpenInference, configuration of instrumentors (openinference-instrumentation 0.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from p2re_eval.records import JSON
from p2re_eval.tracing.raw import RawEvent, RawSpan

HIDDEN = "__REDACTED__"
"""What stands where a switch of OpenInference hides a text."""

_PREFIX = "OPENINFERENCE_HIDE_"
_MESSAGES_IN = (
    "llm.input_messages", "gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.prompt.",
    "pydantic_ai.all_messages",
)  # fmt: skip
_MESSAGES_OUT = ("llm.output_messages", "gen_ai.output.messages", "gen_ai.completion")
_PROMPTS = ("llm.prompts", "gen_ai.prompt")
_TOOLS = ("llm.tools", "gen_ai.tool.definitions")
_NAMES: dict[str, tuple[str, ...]] = {
    "INPUTS": (
        "input.", *_MESSAGES_IN, *_PROMPTS, *_TOOLS, "llm.prompt_template.variables",
        "reranker.query", "reranker.input_documents", "gen_ai.tool.call.arguments",
        "traceloop.entity.input",
    ),
    "OUTPUTS": (
        "output.", *_MESSAGES_OUT, "llm.choices", "reranker.output_documents",
        "gen_ai.tool.call.result", "traceloop.entity.output",
    ),
    "INPUT_MESSAGES": _MESSAGES_IN,
    "OUTPUT_MESSAGES": _MESSAGES_OUT,
    "INPUT_TEXT": ("gen_ai.input.messages", "gen_ai.system_instructions", "gen_ai.prompt"),
    "OUTPUT_TEXT": ("gen_ai.output.messages", "gen_ai.completion"),
    "PROMPTS": _PROMPTS,
    "CHOICES": ("llm.choices",),
    "LLM_TOOLS": _TOOLS,
    "LLM_INVOCATION_PARAMETERS": ("llm.invocation_parameters", "gen_ai.request."),
    "RETRIEVAL_DOCUMENTS": ("retrieval.documents",),
}  # fmt: skip
"""What each switch hides, by how the names of attributes begin."""
_TEXTS = ("message.content", "message_content.text")
_INSIDE: dict[str, tuple[str, tuple[str, ...]]] = {
    "INPUT_TEXT": ("llm.input_messages", _TEXTS),
    "OUTPUT_TEXT": ("llm.output_messages", _TEXTS),
    "INPUT_IMAGES": ("llm.input_messages", ("image.url",)),
    "EMBEDDINGS_TEXT": ("embedding.embeddings", ("embedding.text",)),
    "EMBEDDING_VECTORS": ("embedding.embeddings", ("embedding.vector",)),
    "EMBEDDINGS_VECTORS": ("embedding.embeddings", ("embedding.vector",)),
}
"""What a switch hides inside a list: how the names begin and end."""
_NEVER_HIDDEN = {"gen_ai.prompt.name", "gen_ai.prompt.version", "gen_ai.request.model"}
_EVENTS_IN = (
    "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message",
    "gen_ai.tool.message", "gen_ai.content.prompt",
)  # fmt: skip
_EVENTS_OUT = ("gen_ai.choice", "gen_ai.content.completion")
_EVENT_OF_BOTH = "gen_ai.client.inference.operation.details"


def hides(what: str, environ: Mapping[str, str]) -> bool:
    """Whether the switch is on."""
    return environ.get(f"{_PREFIX}{what.upper()}", "").lower() in ("true", "1")


@dataclass(frozen=True)
class Hiding:
    """The switches that are on: looked up once, as every span asks."""

    on: frozenset[str] = frozenset()

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Hiding:
        """Those of an environment."""
        return cls(frozenset(what for what in {*_NAMES, *_INSIDE} if hides(what, environ)))

    def __call__(self, raw: RawSpan) -> RawSpan:
        """The span without what is hidden."""
        if not self.on:
            return raw
        events = [self._event(event) for event in raw.events]
        return replace(raw, attributes=self._attributes(raw.attributes), events=events)

    def _attributes(self, attributes: Mapping[str, JSON]) -> dict[str, JSON]:
        begun = tuple(name for what in self.on for name in _NAMES.get(what, ()))
        inside = [_INSIDE[what] for what in self.on if what in _INSIDE]
        return dict(_kept(attributes, begun, inside))

    def _event(self, event: RawEvent) -> RawEvent:
        asked = self.on & {"INPUTS", "INPUT_MESSAGES", "INPUT_TEXT"}
        answered = self.on & {"OUTPUTS", "OUTPUT_MESSAGES", "OUTPUT_TEXT"}
        if (asked and event.name in _EVENTS_IN) or (answered and event.name in _EVENTS_OUT):
            return replace(event, attributes={})
        if event.name == _EVENT_OF_BOTH:
            return replace(event, attributes=self._attributes(event.attributes))
        return event


def _kept(
    attributes: Mapping[str, JSON],
    begun: tuple[str, ...],
    inside: list[tuple[str, tuple[str, ...]]],
) -> Iterator[tuple[str, JSON]]:
    for name, value in attributes.items():
        said = name in ("input.value", "output.value") and name.startswith(begun)
        if said or any(name.startswith(start) and name.endswith(ends) for start, ends in inside):
            yield name, HIDDEN
        elif name in _NEVER_HIDDEN or not name.startswith(begun):
            yield name, value
