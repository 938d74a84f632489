"""What the openai provider sends, and what it refuses to send."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

import pytest

from p2re_eval.errors import AuthenticationFailed, InvalidRequest, NotFound, Unsupported
from p2re_eval.providers.chat_request import allows_strict, chat_body
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.records import ImagePart, Message, TextPart, Tool, ToolCall

CLOSED = {
    "type": "object",
    "properties": {"team": {"type": "string"}},
    "required": ["team"],
    "additionalProperties": False,
}


def test_body_holds_only_what_was_given(ask):
    """Parameters that are not set are left to the service."""
    assert chat_body(ask(), stream=False) == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_body_holds_every_parameter_and_extra_wins(ask):
    """Settings by their names on the wire; extra is merged as it is."""
    prompt = ask(
        temperature=0,
        top_p=0.5,
        max_tokens=9,
        seed=0,
        stop=("a", "b"),
        extra={"top_p": 0.9, "logprobs": True},
    )
    body = chat_body(prompt, stream=True)
    del body["messages"]
    assert body == {
        "model": "gpt-4o-mini",
        "temperature": 0.0,
        "top_p": 0.9,
        "max_tokens": 9,
        "seed": 0,
        "stop": ["a", "b"],
        "stream": True,
        "stream_options": {"include_usage": True},
        "logprobs": True,
    }


def test_messages_tools_and_images_have_their_wire_form(ask):
    """Parts, tool calls, tool answers and tools."""
    messages = (
        Message(
            role="user",
            content=(TextPart(text="see"), ImagePart(url="data:image/png;base64,AA", detail="low")),
        ),
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{}"),)),
        Message(role="tool", content="7", tool_call_id="c"),
    )
    tools = (Tool(name="f", description="d"),)
    body = chat_body(ask().model_copy(update={"messages": messages, "tools": tools}), stream=False)
    image = {"url": "data:image/png;base64,AA", "detail": "low"}
    function = {"name": "f", "arguments": "{}"}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image_url", "image_url": image},
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "7", "tool_call_id": "c"},
    ]
    parameters = {"type": "object", "properties": {}}
    assert body["tools"] == [
        {
            "type": "function",
            "function": {"name": "f", "parameters": parameters, "description": "d"},
        }
    ]


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": []}, False),
        ({"type": "object"}, False),
        ({"type": "array", "items": CLOSED}, False),
        ({**CLOSED, "properties": {"team": {"oneOf": [{"type": "string"}]}}}, False),
        ({**CLOSED, "properties": {"team": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"team": {"anyOf": [CLOSED, {"type": "object"}]}}}, False),
        ({**CLOSED, "$defs": {"open": {"type": "object"}}}, False),
    ],
)
def test_schema_is_strict_where_the_service_can_enforce_it(ask, schema, strict):
    """Closed objects with every property required, all the way down."""
    prompt = ask().model_copy(update={"output_schema": schema, "name": "route ticket/ä"})
    assert chat_body(prompt, stream=False)["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "route_ticket__", "schema": schema, "strict": strict},
    }


def test_boolean_schema_is_not_strict():
    """``true`` allows everything."""
    assert allows_strict(True) is False


@pytest.mark.parametrize(
    ("base_url", "name", "key"),
    [
        (None, "gpt-4o-mini", "max_tokens"),
        (None, "o3-mini", "max_completion_tokens"),
        (None, "gpt-5-mini", "max_completion_tokens"),
        (None, "ft:gpt-5:me", "max_completion_tokens"),
        ("https://x.openai.azure.com/openai/v1", "gpt-5", "max_completion_tokens"),
        ("http://localhost:8000/v1", "gpt-5", "max_tokens"),
    ],
)
def test_token_limit_has_the_name_that_the_service_takes(context, ask, base_url, name, key):
    """The official service refuses max_tokens for models that reason; others know only that."""
    provider = OpenAIProvider(context)
    prompt = ask(base_url, name=name, max_tokens=5)
    body = json.loads(provider._encoded(provider._call(prompt.model), prompt))
    assert body[key] == 5
    assert len({"max_tokens", "max_completion_tokens"} & set(body)) == 1


def test_request_carries_the_key_and_the_path(context, ask, serving, http_reply):
    """POST to base_url/chat/completions with the key; a query of base_url is kept."""
    seen = []

    async def respond(request, writer):
        seen.append(request)
        body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
        writer.write(http_reply(body))

    async def run():
        provider = OpenAIProvider(context)
        async with serving(respond) as base_url:
            completion = await provider.complete(ask(f"{base_url}/?api-version=3"))
            await provider.close()
        return completion

    completion = asyncio.run(run())
    assert seen[0].startswith(b"POST /v1/chat/completions?api-version=3 HTTP/1.1\r\n")
    assert b"\r\nAuthorization: Bearer sk-test-0123456789abcdef\r\n" in seen[0]
    assert completion.duration_ns > 0
    assert completion.time_to_first_token_ns is None
    assert completion.cost_usd is None


@pytest.mark.parametrize(
    "base_url", ["localhost:8000", "ftp://x/v1", "https://", "http://[::1", "http://x:99999/v1"]
)
def test_unusable_address_is_refused_before_any_call(context, ask, base_url):
    """The address is what is wrong, and the message says how one looks."""
    with pytest.raises(InvalidRequest, match="write it like https://host:port/v1"):
        OpenAIProvider(context).check(ask(base_url))


def test_password_in_the_address_is_refused_and_not_shown(context, ask, monkeypatch):
    """A key belongs into a variable of its own."""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://me:hunter2@x.example/v1")
    with pytest.raises(InvalidRequest, match="user name or password") as caught:
        OpenAIProvider(context).check(ask())
    assert "hunter2" not in str(caught.value)


def test_missing_key_is_refused_except_on_this_machine(context, ask, monkeypatch):
    """The message names the variable; loopback servers need no key."""
    monkeypatch.delenv("OPENAI_API_KEY")
    provider = OpenAIProvider(context)
    with pytest.raises(AuthenticationFailed, match="set OPENAI_API_KEY") as caught:
        provider.check(ask())
    assert caught.value.retryable is False
    for address in ("http://localhost:1/v1", "http://127.0.0.2:1/v1", "http://[::1]:1/v1"):
        provider.check(ask(address))


def test_key_with_a_line_break_inside_is_refused(context, ask, monkeypatch):
    """It could never be sent as a header; white space around it is forgiven."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a\nb")
    with pytest.raises(AuthenticationFailed, match="characters no key has") as caught:
        OpenAIProvider(context).check(ask())
    assert "sk-a" not in str(caught.value)
    monkeypatch.setenv("OPENAI_API_KEY", " sk-a\n")
    OpenAIProvider(context).check(ask())


@pytest.mark.parametrize("name", ["n", "stream", "messages", "model", "stream_options"])
def test_extra_may_not_contradict_the_prompt(context, ask, name):
    """What the prompt file says in its own words is not said twice."""
    with pytest.raises(Unsupported, match=f"'{name}' cannot be set in extra"):
        OpenAIProvider(context).check(ask(extra={name: 2}))


def test_request_that_is_no_json_is_refused(context, ask):
    """NaN has no JSON form."""
    provider = OpenAIProvider(context)
    with pytest.raises(InvalidRequest, match="the request is no JSON"):
        asyncio.run(provider.complete(ask(extra={"x": float("nan")})))


def test_model_without_a_name_is_refused(context, ask):
    """There is no default model."""
    with pytest.raises(NotFound, match="write openai/NAME"):
        OpenAIProvider(context).check(ask(name=""))


def test_address_of_the_environment_is_part_of_the_identity(context, ask, monkeypatch):
    """Two machines with different OPENAI_BASE_URL do not share a cache entry."""
    provider = OpenAIProvider(context)
    assert provider.identity(ask().model) == ""
    monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
    assert provider.identity(ask().model) == "https://gateway.example/v1"
    assert provider.identity(ask("http://localhost:1/v1").model) == ""


def test_importing_the_provider_imports_neither_client_nor_price_list():
    """aiohttp and genai_prices wait for the first call that needs them."""
    code = (
        "import sys, p2re_eval.providers.builtin, p2re_eval.providers.openai;"
        "print([m for m in ('aiohttp', 'genai_prices', 'xllamacpp') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
