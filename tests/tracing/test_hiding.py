"""OpenInference's switches hold for every span that is read, not for its own instrumentors only."""

from __future__ import annotations

import json

import pytest

from p2re_eval.tracing.hiding import Hiding
from p2re_eval.tracing.mapping import captured
from p2re_eval.tracing.raw import RawEvent, RawSpan

SECRET, ANSWER = "my diagnosis", "take two a day"
GENAI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.request.model": "m",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.prompt.name": "doctor",
    "gen_ai.input.messages": json.dumps([{"role": "user", "content": SECRET}]),
    "gen_ai.output.messages": json.dumps([{"role": "assistant", "content": ANSWER}]),
    "gen_ai.usage.input_tokens": 7,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "input.value": SECRET,
    "output.value": ANSWER,
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": SECRET,
    "llm.output_messages.0.message.content": ANSWER,
    "llm.prompt_template.variables": json.dumps({"complaint": SECRET}),
}


def kept(attributes: dict[str, object], *switches: str, events: tuple[RawEvent, ...] = ()) -> str:
    """All that would be stored of a span, with these switches on."""
    environ = {f"OPENINFERENCE_HIDE_{name}": "true" for name in switches}
    raw = RawSpan("a" * 32, "b" * 16, "call", 1, end_ns=2, attributes=attributes, events=events)
    return captured(Hiding.of(environ)(raw)).model_dump_json()


@pytest.mark.parametrize("attributes", [GENAI, OPENINFERENCE])
def test_inputs_and_outputs_are_hidden_each_by_its_switch(attributes: dict[str, object]) -> None:
    """Whichever convention the span speaks; what says nothing of a person stays."""
    nothing, inputs, both = (
        kept(attributes, *on) for on in ((), ("INPUTS",), ("INPUTS", "OUTPUTS"))
    )
    assert SECRET in nothing
    assert ANSWER in nothing
    assert SECRET not in inputs
    assert ANSWER in inputs
    assert ANSWER not in both


def test_what_is_no_text_stays() -> None:
    """Model, tokens and the prompt's name serve the statistics."""
    shown = json.loads(kept(GENAI, "INPUTS", "OUTPUTS"))["span"]
    assert shown["prompt"]["model"]["name"] == "m"
    assert shown["prompt"]["name"] == "doctor"
    assert shown["completion"]["usage"]["input_tokens"] == 7


@pytest.mark.parametrize(
    ("name", "value", "switch"),
    [
        ("llm.invocation_parameters", '{"temperature": 0.5}', "LLM_INVOCATION_PARAMETERS"),
        ("llm.tools.0.tool.json_schema", '{"name": "pay"}', "LLM_TOOLS"),
        ("llm.prompts.0.prompt.text", "x", "PROMPTS"),
        ("retrieval.documents.0.document.content", "x", "RETRIEVAL_DOCUMENTS"),
        ("embedding.embeddings.0.embedding.text", "x", "EMBEDDINGS_TEXT"),
        ("embedding.embeddings.0.embedding.vector", [0.1], "EMBEDDING_VECTORS"),
        ("llm.input_messages.0.message.contents.0.message_content.image.image.url",
         "data:image/png;base64,AAAA", "INPUT_IMAGES"),
        ("llm.output_messages.0.message.content", "x", "OUTPUT_TEXT"),
    ],
)  # fmt: skip
def test_each_switch_hides_its_own(name: str, value: object, switch: str) -> None:
    """And without it the value is there."""
    raw = RawSpan("a" * 32, "b" * 16, "call", 1, end_ns=2, attributes={name: value, "a": 1})
    hidden = Hiding.of({f"OPENINFERENCE_HIDE_{switch}": "1"})(raw).attributes
    assert hidden.get(name, "__REDACTED__") == "__REDACTED__"
    assert hidden["a"] == 1
    assert Hiding.of({})(raw).attributes[name] == value


def test_messages_in_events_are_hidden_too() -> None:
    """Older instrumentations say them there."""
    asked = RawEvent("gen_ai.user.message", 1, {"content": SECRET})
    answered = RawEvent("gen_ai.choice", 2, {"message": json.dumps({"content": ANSWER})})
    shown = kept({"gen_ai.operation.name": "chat"}, "INPUTS", events=(asked, answered))
    assert SECRET not in shown
    assert ANSWER in shown
