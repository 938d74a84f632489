"""LiteLLM as one more provider: the real library against a real server on loopback."""

from __future__ import annotations

import asyncio
import importlib.util
import json

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    NotFound,
    ProviderNotInstalled,
    RateLimited,
    Unsupported,
)
from p2re_eval.providers.litellm import LiteLLMProvider
from p2re_eval.records import Message, ModelSettings, Price, RenderedPrompt, Tool

HERE = importlib.util.find_spec("litellm") is not None
installed = pytest.mark.skipif(not HERE, reason="pip install litellm")
# The library's own warnings are not ours to fix.
pytestmark = pytest.mark.filterwarnings("ignore")
ANSWER = {
    "id": "r-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-x-2026",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "t1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at": 1}'},
                    }
                ],
            },
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
}


def _prompt(name: str | None = "openai/gpt-x", **settings) -> RenderedPrompt:
    model = ModelSettings(provider="litellm", name=name, **settings)
    tools = (Tool(name="look"),)
    messages = (Message(role="user", content="x"),)
    return RenderedPrompt(name="p", messages=messages, model=model, tools=tools)


def _ask(context, serving, reply: bytes, monkeypatch, **settings):
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(reply)

    async def run():
        provider = LiteLLMProvider(context)
        async with serving(respond) as base_url:
            monkeypatch.setenv("OPENAI_API_BASE", base_url)
            monkeypatch.setenv("OPENAI_BASE_URL", base_url)
            prompt = _prompt(**settings)
            provider.check(prompt)
            return await provider.complete(prompt)

    return seen, lambda: asyncio.run(run())


@installed
def test_the_library_is_asked_once_and_read_like_any_other(
    context, serving, http_reply, monkeypatch
):
    """Calls, usage, finish reason and the user's own price."""
    reply = http_reply(json.dumps(ANSWER).encode())
    seen, ask = _ask(
        context, serving, reply, monkeypatch, temperature=0.5, price=Price(input=1, output=1)
    )
    completion = ask()
    assert [(c.id, c.name, c.arguments) for c in completion.tool_calls] == [
        ("t1", "look", '{"at": 1}')
    ]
    assert completion.finish_reason == "tool_calls"
    assert (completion.usage.input_tokens, completion.usage.output_tokens) == (7, 2)
    assert completion.cost_usd == pytest.approx(9e-6)
    body = json.loads(seen[0].partition(b"\r\n\r\n")[2])
    assert (body["model"], body["temperature"]) == ("gpt-x", 0.5)


@installed
@pytest.mark.parametrize(
    ("status", "kind"), [(401, AuthenticationFailed), (404, NotFound), (429, RateLimited)]
)
def test_its_errors_are_ours_and_nothing_is_retried_twice(
    context, serving, http_reply, monkeypatch, status, kind
):
    """One request; the engine decides whether there is another."""
    reply = http_reply(b'{"error": {"message": "no"}}', status=status)
    seen, ask = _ask(context, serving, reply, monkeypatch)
    with pytest.raises(kind) as caught:
        ask()
    assert caught.value.status == status
    assert len(seen) == 1
    assert "sk-test" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"stream": True}, "a stream that broke as a whole answer"),
        ({"base_url": "https://elsewhere.example"}, "remove base_url"),
        ({"extra": {"num_retries": 3}}, "'num_retries' cannot be set in extra"),
        ({"name": "gpt-x"}, "write litellm/SERVICE/NAME"),
    ],
)
def test_what_the_adapter_does_not_do_is_a_sentence_before_the_call(context, settings, says):
    """Unsupported or not found, with what to do."""
    with pytest.raises((Unsupported, NotFound), match=says):
        LiteLLMProvider(context).check(_prompt(**settings))


@pytest.mark.skipif(HERE, reason="litellm is installed")
def test_without_the_extra_a_sentence_names_it(context):
    """Said before the call, and by `p2re providers`."""
    with pytest.raises(ProviderNotInstalled, match=r"p2re-eval\[litellm\]"):
        LiteLLMProvider(context).check(_prompt())
    assert "p2re-eval[litellm]" in LiteLLMProvider(context).requirements().note
