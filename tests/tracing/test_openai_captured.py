"""The real OpenAI SDK against the embedded model: each call is on disk when it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import p2re_eval
from p2re_eval.records import Message, Trace
from p2re_eval.tracing import Capture, session, span, trace

openai = pytest.importorskip("openai")
pytest.importorskip("openinference.instrumentation.openai", reason="install the dev group")

TICKET = [
    {"role": "system", "content": "Answer in one word."},
    {"role": "user", "content": "I was charged twice."},
]
ANSWER = {
    "id": "r1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "billing"},
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6},
}
Traces = Callable[[], list[Trace]]


@pytest.fixture
def client(served: str) -> Any:
    with openai.OpenAI(base_url=f"{served}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_a_call(capturing: Capture, client: Any, traces: Traces) -> None:
    """Messages, answer, model, parameters, tokens, time; no price for a server of one's own."""
    answer = client.chat.completions.create(
        model="smollm2", messages=TICKET, temperature=0, max_tokens=8, seed=7
    )
    [found] = traces()
    assert (found.kind, found.status, found.name) == ("LLM", "OK", "ChatCompletion")
    assert found.prompt.model.id == "openai/smollm2"
    assert (found.prompt.model.temperature, found.prompt.model.max_tokens) == (0, 8)
    assert found.prompt.model.seed == 7
    assert found.prompt.messages == tuple(Message.model_validate(one) for one in TICKET)
    assert found.completion is not None
    assert found.completion.text == answer.choices[0].message.content
    usage = found.completion.usage
    assert usage.input_tokens == answer.usage.prompt_tokens
    assert usage.output_tokens == answer.usage.completion_tokens
    assert found.completion.cost_usd is None
    assert found.end_ns is not None
    assert found.end_ns > found.start_ns
    assert found.attributes["llm.system"] == "openai"
    assert (capturing.recorded, capturing.lost) == (1, 0)


def test_a_streamed_call(capturing: Capture, client: Any, traces: Traces) -> None:
    """It is recorded when the stream has been read, with the whole text."""
    stream = client.chat.completions.create(
        model="smollm2",
        messages=TICKET,
        temperature=0,
        max_tokens=8,
        stream=True,
        stream_options={"include_usage": True},
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    [found] = traces()
    assert found.completion is not None
    assert text
    assert found.completion.text == text
    assert found.completion.usage.output_tokens
    assert found.prompt.model.stream is True


def test_async_calls_at_once(capturing: Capture, served: str, traces: Traces) -> None:
    """Each is a trace of its own, in the session of its task."""

    async def ask(name: str) -> None:
        with session(name):
            await client.chat.completions.create(
                model="smollm2", messages=TICKET, temperature=0, max_tokens=2
            )

    async def all_of_them() -> None:
        await asyncio.gather(*(ask(f"chat-{number}") for number in range(3)))
        await client.close()

    client = openai.AsyncOpenAI(base_url=f"{served}/v1", api_key="none")
    asyncio.run(all_of_them())
    found = traces()
    assert sorted(one.session_id or "" for one in found) == ["chat-0", "chat-1", "chat-2"]
    assert {one.status for one in found} == {"OK"}


def test_nested_in_the_users_own_steps(capturing: Capture, client: Any, traces: Traces) -> None:
    """One trace: the function, its block, and the call inside; tokens are added up at the top."""

    @trace
    def route(ticket: str) -> str:
        with span("ask", kind="AGENT", attempt=1):
            answer = client.chat.completions.create(
                model="smollm2", messages=TICKET, temperature=0, max_tokens=4
            )
        return str(answer.choices[0].message.content)

    with session("chat-42", user="ada", tags=["beta"], metadata={"shop": 7}):
        said = route("I was charged twice.")
    [found] = traces()
    assert (found.name, found.kind) == (route.__qualname__, "CHAIN")
    assert (found.session_id, found.user, found.tags) == ("chat-42", "ada", ("beta",))
    assert found.metadata == {"shop": 7}
    assert found.prompt.messages[0].text == '{"ticket":"I was charged twice."}'
    assert found.completion is not None
    assert found.completion.text == said
    by_name = {one.name: one for one in found.spans}
    assert by_name["ask"].parent_id == found.span_id
    assert by_name["ask"].attributes["attempt"] == 1
    assert by_name["ChatCompletion"].parent_id == by_name["ask"].span_id
    call = by_name["ChatCompletion"].completion
    assert call is not None
    assert found.completion.usage == call.usage


def test_an_embedding(capturing: Capture, serve: Callable[..., Any], traces: Traces) -> None:
    """The texts that went in; vectors are no text."""
    reply = {
        "object": "list",
        "model": "small",
        "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 0.25]}],
        "usage": {"prompt_tokens": 3, "total_tokens": 3},
    }
    with openai.OpenAI(base_url=f"{serve(reply).url}/v1", api_key="none") as client:
        client.embeddings.create(model="small", input="hello", encoding_format="float")
    [found] = traces()
    assert (found.kind, found.prompt.messages[0].text) == ("EMBEDDING", "hello")
    assert found.completion is not None
    assert found.completion.usage.input_tokens == 3


def test_a_refused_call(capturing: Capture, serve: Callable[..., Any], traces: Traces) -> None:
    """The program sees its exception, the record the fault."""
    service = serve({"error": {"message": "slow down"}}, status=429)
    with (
        openai.OpenAI(base_url=f"{service.url}/v1", api_key="none", max_retries=0) as client,
        pytest.raises(openai.RateLimitError),
    ):
        client.chat.completions.create(model="m", messages=TICKET)
    [found] = traces()
    assert found.fault is not None
    assert (found.status, found.fault.kind) == ("ERROR", "rate_limited")
    assert "slow down" in found.fault.message


def test_nothing_is_recorded_after_the_end(database: Any, client: Any, traces: Traces) -> None:
    """The library is as it was, and a second capture begins again."""
    ask = {"model": "smollm2", "messages": TICKET, "max_tokens": 1}
    with p2re_eval.capture(database):
        client.chat.completions.create(**ask)
    client.chat.completions.create(**ask)
    assert len(traces()) == 1
    with p2re_eval.capture(database, session="again"):
        client.chat.completions.create(**ask)
    assert [one.session_id for one in traces()] == [None, "again"]


def test_the_programs_own_opentelemetry_is_heard(
    database: Any, client: Any, traces: Traces
) -> None:
    """Its spans around a call are part of the trace; a span that encloses no call is not kept."""
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    with p2re_eval.capture(database, provider=provider):
        tracer = provider.get_tracer("shop")
        with tracer.start_as_current_span("POST /chat"):
            with tracer.start_as_current_span("SELECT"):
                pass
            client.chat.completions.create(model="smollm2", messages=TICKET, max_tokens=1)
        with tracer.start_as_current_span("GET /health"):
            pass
    [found] = traces()
    assert (found.name, found.status) == ("POST /chat", "OK")
    assert [one.name for one in found.spans] == ["ChatCompletion"]
    assert found.spans[0].parent_id == found.span_id


def test_the_processor_alone(database: Any, serve: Callable[..., Any], traces: Traces) -> None:
    """In a program that has set up OpenTelemetry, one line records to the database."""
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    from p2re_eval.tracing.otel import StoreSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(StoreSpanProcessor(database))
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    try:
        with openai.OpenAI(base_url=f"{serve(ANSWER).url}/v1", api_key="none") as client:
            client.chat.completions.create(model="m", messages=TICKET)
    finally:
        OpenAIInstrumentor().uninstrument()
        provider.shutdown()
    [found] = traces()
    assert found.completion is not None
    assert (found.status, found.completion.text) == ("OK", "billing")


def test_long_conversations_are_whole(
    capturing: Capture, serve: Callable[..., Any], traces: Traces
) -> None:
    """OpenTelemetry keeps 128 attributes of a span unless it is told otherwise."""
    said = [{"role": "user", "content": f"turn {number}"} for number in range(100)]
    with openai.OpenAI(base_url=f"{serve(ANSWER).url}/v1", api_key="none") as client:
        client.chat.completions.create(model="m", messages=said)
    [found] = traces()
    assert [message.text for message in found.prompt.messages] == [one["content"] for one in said]


def test_instrumented_by_the_program_itself(
    database: Any, serve: Callable[..., Any], traces: Traces
) -> None:
    """No call is told twice: what the program turned on stays on, and is heard at its provider."""
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    try:
        with (
            p2re_eval.capture(database, provider=provider),
            openai.OpenAI(base_url=f"{serve(ANSWER).url}/v1", api_key="none") as client,
        ):
            client.chat.completions.create(model="m", messages=TICKET)
        assert OpenAIInstrumentor().is_instrumented_by_opentelemetry
    finally:
        OpenAIInstrumentor().uninstrument()
    assert len(traces()) == 1
