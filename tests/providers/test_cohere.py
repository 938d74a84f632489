"""Cohere's v2 chat: what goes out, what cannot be said, and answers that ended badly."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import ProviderError, QuotaExhausted, RateLimited, ServerFault, Unsupported
from p2re_eval.providers.cohere import CohereProvider
from p2re_eval.providers.cohere_request import cohere_body
from p2re_eval.records import (
    ImagePart,
    Message,
    ModelSettings,
    Price,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

ANSWER = {
    "id": "c-1",
    "message": {"role": "assistant", "content": [{"type": "text", "text": "hi"}]},
    "finish_reason": "COMPLETE",
    "usage": {
        "billed_units": {"input_tokens": 10, "output_tokens": 2},
        "tokens": {"input_tokens": 200, "output_tokens": 3},
        "cached_tokens": 4,
    },
}


def _prompt(*messages: Message, base_url: str | None = None, **more) -> RenderedPrompt:
    settings = {key: more.pop(key) for key in list(more) if key not in {"tools", "output_schema"}}
    model = ModelSettings(provider="cohere", name="command-a", base_url=base_url, **settings)
    messages = messages or (Message(role="user", content="x"),)
    return RenderedPrompt(name="route", messages=messages, model=model, **more)


def _ask(context, serving, reply: bytes, **settings):
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(reply)

    async def run():
        provider = CohereProvider(context)
        try:
            async with serving(respond) as base_url:
                address = base_url.removesuffix("/v1")
                return await provider.complete(_prompt(base_url=address, **settings)), seen[0]
        finally:
            await provider.close()

    return asyncio.run(run())


def test_a_whole_conversation_in_the_services_form():
    """Its names for parameters, no empty content beside calls, the schema in its own place."""
    call = ToolCall(id="t1", name="look", arguments="{}")
    image = (TextPart(text="See"), ImagePart(url="data:image/png;base64,aGk="))
    body = cohere_body(
        _prompt(
            Message(role="developer", content="Be brief."),
            Message(role="user", content=image),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="4", tool_call_id="t1", name="look"),
            tools=(Tool(name="look"),),
            top_p=0.5,
            stop=("END",),
            extra={"k": 3},
        )
    )
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]
    assert "content" not in body["messages"][2]
    assert body["messages"][3] == {"role": "tool", "content": "4", "tool_call_id": "t1"}
    assert (body["p"], body["stop_sequences"], body["k"], body["stream"]) == (
        0.5, ["END"], 3, False,
    )  # fmt: skip
    assert body["tools"][0]["function"]["name"] == "look"
    schema = cohere_body(_prompt(output_schema={"type": "object"}))["response_format"]
    assert schema == {"type": "json_object", "json_schema": {"type": "object"}}


def test_what_was_used_is_counted_and_what_is_billed_is_paid(
    context, serving, http_reply, monkeypatch
):
    """The service adds tokens of its own to the prompt, and does not charge for them."""
    monkeypatch.setenv("CO_API_KEY", "co-key-0123456789")
    price = Price(input=1.0, output=2.0)
    completion, request = _ask(
        context, serving, http_reply(json.dumps(ANSWER).encode()), price=price
    )
    assert request.startswith(b"POST /v2/chat HTTP/1.1")
    assert b"Authorization: Bearer co-key-0123456789" in request
    assert completion.usage.input_tokens == 200
    assert completion.usage.cached_tokens == 4
    assert completion.cost_usd == pytest.approx((10 * 1 + 2 * 2) / 1e6)


@pytest.mark.parametrize("base", ["", "/v1", "/v2", "/proxy/v2/"])
def test_the_address_may_carry_a_version(context, base):
    """Cohere's own variable and its SDK disagree about it."""
    provider = CohereProvider(context)
    url = provider._call(ModelSettings(name="m", base_url=f"http://127.0.0.1:9{base}")).url
    assert url == f"http://127.0.0.1:9{base.rstrip('/')[:-3] if base else ''}/v2/chat"


@pytest.mark.parametrize(
    ("message", "more", "says"),
    [
        (Message(role="user", content="x", name="Ann"), {}, "no names of speakers"),
        (Message(role="tool", content="x"), {}, "give it a tool_call_id"),
        (
            Message(role="system", content=(ImagePart(url="data:image/png;base64,aGk="),)),
            {},
            "move it to a user message",
        ),
        (
            Message(role="user", content="x"),
            {"tools": (Tool(name="t"),), "output_schema": {"type": "object"}},
            "while it has tools",
        ),
        (Message(role="user", content="x"), {"extra": {"stream": True}}, "cannot be set in extra"),
    ],
)
def test_what_the_service_cannot_do_is_a_sentence_before_the_call(context, message, more, says):
    """Unsupported, with what to do."""
    prompt = _prompt(message, base_url="http://127.0.0.1:9", **more)
    with pytest.raises(Unsupported, match=says):
        CohereProvider(context).check(prompt)


def test_an_answer_that_ended_in_an_error_is_none(context, serving, http_reply):
    """Whole or in a stream, with what had arrived."""
    ended = {**ANSWER, "finish_reason": "ERROR"}
    with pytest.raises(ServerFault, match="ended with ERROR"):
        _ask(context, serving, http_reply(json.dumps(ended).encode()))
    said = {"content": {"text": "half"}}
    events = [
        {"type": "content-delta", "index": 0, "delta": {"message": said}},
        {"type": "message-end", "delta": {"finish_reason": "ERROR", "error": "it broke"}},
    ]
    body = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
    reply = http_reply(body, headers={"content-type": "text/event-stream"})
    with pytest.raises(ProviderError, match="it broke") as caught:
        _ask(context, serving, reply, stream=True)
    assert caught.value.partial == "half"


@pytest.mark.parametrize(("per", "kind"), [("minute", RateLimited), ("month", QuotaExhausted)])
def test_a_trial_key_that_is_used_up_is_not_tried_again(context, serving, http_reply, per, kind):
    """A minute passes, a month does not."""
    said = {"message": f"You are using a Trial key, which is limited to 40 API calls / {per}."}
    with pytest.raises(kind) as caught:
        _ask(context, serving, http_reply(json.dumps(said).encode(), status=429))
    assert caught.value.retryable is (per == "minute")
