"""`record_calls` understands an application's own provider classes and endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import BaseModel

from p2re_eval.errors import UsageError
from p2re_eval.records import Message, ToolCall, Trace
from p2re_eval.tracing import Capture, capture, record_calls

Traces = Callable[[], list[Trace]]
OPENAI = {
    "id": "r1",
    "model": "acme-7b-2026",
    "choices": [
        {
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "look",
                "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}],
            },
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1},
}


@pytest.fixture(autouse=True)
def on(database: Path) -> Iterator[Capture]:
    with capture(database, sdks=False) as made:
        yield made


def test_a_provider_base_class_and_all_below_it(traces: Traces) -> None:
    """Subclasses that exist, those to come, and calls of the base's own method."""

    class Base:
        def __init__(self, model: str) -> None:
            self.model = model

        def chat(self, messages: list[dict[str, str]], *, temperature: float = 0.5) -> str:
            return "base"

    class Known(Base):
        def chat(self, messages: list[dict[str, str]], *, temperature: float = 0.5) -> str:
            return super().chat(messages) + "+known"

    record_calls(Base, "chat")

    class Later(Known):
        def chat(self, messages: list[dict[str, str]], *, temperature: float = 0.5) -> str:
            return super().chat(messages) + "+later"

    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
    assert Later("acme-7b").chat(asked, temperature=0) == "base+known+later"
    [found] = traces()
    assert (found.kind, found.spans) == ("LLM", ())
    assert found.name.endswith("Base.chat")
    assert found.prompt.model.id == "later/acme-7b"
    assert found.prompt.model.temperature == 0
    assert found.prompt.messages == (
        Message(role="system", content="Be brief."),
        Message(role="user", content="hello"),
    )
    assert found.completion is not None
    assert found.completion.text == "base+known+later"
    assert Known("x").chat(asked) == "base+known"
    assert len(traces()) == 2


def test_a_class_without_that_method() -> None:
    """A wrong name is said at once."""
    with pytest.raises(UsageError, match="has no method 'chta'; name the one that asks"):
        record_calls(Capture, "chta")


def test_an_answer_shaped_like_openais(traces: Traces) -> None:
    """Tool calls, tokens, model and id come along."""

    @record_calls(provider="acme", model="acme-7b")
    def ask(prompt: str, max_tokens: int = 16) -> dict[str, Any]:
        return OPENAI

    ask("hello")
    [found] = traces()
    assert found.prompt.model.id == "acme/acme-7b"
    completion = found.completion
    assert completion is not None
    assert (completion.text, completion.finish_reason) == ("look", "tool_calls")
    assert completion.tool_calls == (ToolCall(id="1", name="f", arguments="{}"),)
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (5, 1)
    assert (completion.model, completion.response_id) == ("acme-7b-2026", "r1")


class Request(BaseModel):
    """What a chat endpoint takes."""

    messages: list[dict[str, str]]
    model: str


@dataclass
class Reply:
    """What it gives."""

    answer: str


def test_a_chat_endpoint(traces: Traces) -> None:
    """An async function with a request object, as a web framework calls it."""

    @record_calls
    async def chat(request: Request) -> Reply:
        await asyncio.sleep(0)
        return Reply(answer="hi")

    request = Request(messages=[{"role": "user", "content": "hello"}], model="acme-7b")
    assert asyncio.run(chat(request)) == Reply("hi")
    [found] = traces()
    assert (found.prompt.model.name, found.prompt.messages[0].text) == ("acme-7b", "hello")
    assert found.completion is not None
    assert found.completion.text == "hi"


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("plain", "plain"),
        ({"content": [{"type": "text", "text": "anthropic"}], "role": "assistant"}, "anthropic"),
        ({"candidates": [{"content": {"parts": [{"text": "google"}]}}]}, "google"),
        ({"message": {"role": "assistant", "content": "ollama"}}, "ollama"),
        (SimpleNamespace(text="object"), "object"),
        ({"nothing": "known"}, '{"nothing":"known"}'),
        (None, "null"),
    ],
)
def test_shapes_of_answers(traces: Traces, answer: Any, text: str) -> None:
    """The text is found where people put it; else all of it is shown."""

    @record_calls
    def ask(question: str) -> Any:
        return answer

    assert ask("q") is answer
    completion = traces()[0].completion
    assert completion is not None
    assert completion.text == text


def test_a_stream(traces: Traces) -> None:
    """Texts, or chunks shaped like OpenAI's; the call ends when it has been read."""

    @record_calls
    def ask(query: str) -> Iterator[dict[str, Any]]:
        yield {"choices": [{"delta": {"role": "assistant", "content": "bil"}}]}
        yield {"choices": [{"delta": {"content": "ling"}}]}
        yield {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2}}

    assert len(list(ask("q"))) == 3
    completion = traces()[0].completion
    assert completion is not None
    assert (completion.text, completion.usage.output_tokens) == ("billing", 2)


def test_an_async_stream_that_breaks(traces: Traces) -> None:
    """The caller's exception is the trace's fault."""

    @record_calls
    async def ask(query: str) -> AsyncIterator[str]:
        yield "half"
        raise ConnectionError("reset")

    async def read() -> None:
        async for _ in ask("q"):
            pass

    with pytest.raises(ConnectionError):
        asyncio.run(read())
    [found] = traces()
    assert found.fault is not None
    assert (found.fault.kind, found.fault.message) == ("connection", "reset")


def test_a_failure(traces: Traces) -> None:
    """Raised as ever, recorded as a fault."""

    @record_calls
    def ask(question: str) -> str:
        raise TimeoutError("too slow")

    with pytest.raises(TimeoutError):
        ask("q")
    [found] = traces()
    assert found.fault is not None
    assert found.fault.kind == "timeout"


def test_texts_are_hidden_where_they_must_be(
    traces: Traces, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the same switches as everywhere."""
    monkeypatch.setenv("OPENINFERENCE_HIDE_INPUTS", "1")
    monkeypatch.setenv("OPENINFERENCE_HIDE_OUTPUTS", "1")

    @record_calls
    def ask(question: str) -> str:
        return "secret"

    ask("secret")
    [found] = traces()
    assert "secret" not in found.model_dump_json()


def test_nothing_is_changed_while_nothing_is_captured(on: Capture, traces: Traces) -> None:
    """The hook costs a look and no more."""
    on.stop()

    @record_calls
    def ask(question: str) -> str:
        return question

    assert ask("q") == "q"
    assert traces() == []
