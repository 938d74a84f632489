"""The real SDKs of other services, on recorded answers replayed over loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Trace
from p2re_eval.tracing import Capture

Traces = Callable[[], list[Trace]]
Replay = Callable[..., tuple[Any, Any]]
NOT_HERE = "install the dependency group 'sdks'"


def library(name: str, instrumentor: str) -> Any:
    """The SDK and what tells of it, or a skip."""
    pytest.importorskip(f"openinference.instrumentation.{instrumentor}", reason=NOT_HERE)
    return pytest.importorskip(name, reason=NOT_HERE)


def only_call(traces: Traces) -> Trace:
    """The single trace, which must have been answered."""
    [found] = traces()
    assert (found.kind, found.status) == ("LLM", "OK")
    assert found.completion is not None
    assert found.completion.usage.input_tokens
    assert found.completion.usage.output_tokens
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_anthropic(capturing: Capture, replay: Replay, traces: Traces, stream: bool) -> None:
    """Messages, whole and streamed."""
    anthropic = library("anthropic", "anthropic")
    service, body = replay("anthropic", "messages", stream=stream)
    with anthropic.Anthropic(base_url=service.url, api_key="none", max_retries=0) as client:
        asked = {name: value for name, value in body.items() if name != "stream"}
        if stream:
            with client.messages.stream(**asked) as events:
                said = events.get_final_text()
        else:
            said = client.messages.create(**asked).content[0].text
    found = only_call(traces)
    assert found.prompt.model.id == f"anthropic/{body['model']}"
    assert found.completion is not None
    assert found.completion.text == said


@pytest.mark.parametrize("stream", [False, True])
def test_google(capturing: Capture, replay: Replay, traces: Traces, stream: bool) -> None:
    """generateContent, whole and streamed."""
    genai = library("google.genai", "google_genai")
    service, body = replay("gemini", "generateContent", stream=stream)
    options = {"base_url": service.url}
    client = genai.Client(api_key="none", http_options=options)
    said = ""
    question = json.dumps(body["contents"])[:40]
    if stream:
        for chunk in client.models.generate_content_stream(model="gemini-x", contents=question):
            said += chunk.text or ""
    else:
        said = client.models.generate_content(model="gemini-x", contents=question).text or ""
    client.close()
    found = only_call(traces)
    assert found.prompt.model.provider == "google"
    assert found.prompt.messages[-1].text == question
    assert found.completion is not None
    assert found.completion.text == said


@pytest.mark.parametrize("stream", [False, True])
def test_openai_chat(capturing: Capture, replay: Replay, traces: Traces, stream: bool) -> None:
    """Recorded answers of the service itself."""
    openai = library("openai", "openai")
    service, body = replay("openai", "chat.completions", stream=stream, having="usage")
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.chat.completions.create(**body)
        if stream:
            list(answer)
    [found] = traces()
    assert (found.kind, found.status) == ("LLM", "OK")
    assert found.completion is not None
    assert found.completion.text or found.completion.tool_calls
    assert found.prompt.model.name == body["model"]


def test_openai_responses(capturing: Capture, replay: Replay, traces: Traces) -> None:
    """The Responses API."""
    openai = library("openai", "openai")
    service, body = replay("openai", "responses", stream=False, having="output_text")
    with openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.responses.create(**body)
    found = only_call(traces)
    assert found.completion is not None
    assert found.completion.text == answer.output_text


LITELLM = """
import litellm, sys

answer = litellm.completion(
    model="openai/smollm2",
    api_base=sys.argv[1],
    api_key="none",
    messages=[{"role": "user", "content": "Hello"}],
    max_tokens=4,
    temperature=0,
)
print(answer.choices[0].message.content, end="")
"""
LANGCHAIN = """
import sys
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="smollm2", base_url=sys.argv[1], api_key="none", max_tokens=4, temperature=0
)
chain = ChatPromptTemplate.from_messages([("user", "Say {what}")]) | model
print(chain.invoke({"what": "hello"}).content, end="")
"""


def launched(program: str, served: str, database: Path) -> str:
    """What a program that knows nothing of capture says, under ``p2re capture``; these libraries
    leave loops and sockets behind, which a process of their own takes along."""
    p2re = Path(sys.executable).with_name("p2re")
    command = [p2re, "capture", "--db", database, "--", sys.executable, "-c", program]
    done = subprocess.run(
        [*command, f"{served}/v1"], capture_output=True, text=True, check=True, timeout=100
    )
    return done.stdout


def test_litellm(served: str, database: Path, traces: Traces) -> None:
    """One trace, though the SDK below it is captured too; its tokens are counted once."""
    library("litellm", "litellm")
    said = launched(LITELLM, served, database)
    found = only_call(traces)
    assert found.completion is not None
    assert found.completion.text == said
    assert found.prompt.messages[0].text == "Hello"
    inner = [one.completion for one in found.spans if one.kind == "LLM"]
    assert all(one is not None and one.usage == found.completion.usage for one in inner)


def test_langchain(served: str, database: Path, traces: Traces) -> None:
    """A chain is one trace; the SDK's call is below the model's, which alone is counted."""
    library("langchain_openai", "langchain")
    said = launched(LANGCHAIN, served, database)
    [found] = traces()
    assert (found.kind, found.status) == ("CHAIN", "OK")
    spans = {one.name: one for one in found.spans}
    assert set(spans) == {"ChatPromptTemplate", "ChatOpenAI", "ChatCompletion"}
    call = spans["ChatOpenAI"]
    assert (call.kind, call.parent_id) == ("LLM", found.span_id)
    assert spans["ChatCompletion"].parent_id == call.span_id
    assert call.prompt is not None
    assert call.prompt.messages[-1].text == "Say hello"
    assert call.completion is not None
    assert call.completion.text == said
    assert found.completion is not None
    assert found.completion.usage.input_tokens == call.completion.usage.input_tokens


ASYNC = """
import asyncio, sys
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="smollm2", base_url=sys.argv[1], api_key="none", max_tokens=4, temperature=0,
    stream_usage=True,
)
chain = ChatPromptTemplate.from_messages([("user", "Say {what}")]) | model

async def streamed():
    async for _ in chain.astream({"what": "hello"}):
        pass

async def gathered():
    await asyncio.gather(*(chain.ainvoke({"what": what}) for what in ("one", "two", "three")))

async def alone():
    await model.ainvoke("hello")

asyncio.run({"invoke": lambda: chain.ainvoke({"what": "hello"}), "stream": streamed,
             "gather": gathered, "alone": alone}["WAY"]())
"""


@pytest.mark.parametrize(
    ("way", "calls"), [("invoke", 1), ("stream", 1), ("gather", 3), ("alone", 1)]
)
def test_langchain_async(served: str, database: Path, traces: Traces, way: str, calls: int) -> None:
    """The SDK's call stands below the model's own, and each is counted once, as when it is sync;
    LangChain tells of its steps from threads of its own unless it is asked not to."""
    library("langchain_openai", "langchain")
    launched(ASYNC.replace("WAY", way), served, database)
    found = traces()
    assert len(found) == calls
    for trace in found:
        assert trace.completion is not None
        models = {trace.span_id: trace.completion} if trace.kind == "LLM" else {}
        models |= {one.span_id: one.completion for one in trace.spans if one.name == "ChatOpenAI"}
        [(outer, answered)] = models.items()
        [inner] = [one for one in trace.spans if one.name == "ChatCompletion"]
        assert inner.parent_id == outer
        assert answered is not None
        assert trace.completion.usage.output_tokens == answered.usage.output_tokens
