"""The older completions form: one text in, its continuation out."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import MalformedResponse, Unsupported
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.services import service
from p2re_eval.providers.text_completions import TextStream, read_text, text_body
from p2re_eval.records import ImagePart, Message, ModelSettings, RenderedPrompt, Tool

CALL = Call("vllm-completions", "m", "http://127.0.0.1:9/v1/completions")


def _prompt(*messages: Message, base_url: str = "http://127.0.0.1:9/v1", **more) -> RenderedPrompt:
    settings = {key: more.pop(key) for key in list(more) if key not in {"tools", "output_schema"}}
    model = ModelSettings(provider="vllm-completions", name="m", base_url=base_url, **settings)
    return RenderedPrompt(name="go on", messages=messages, model=model, **more)


ONE = Message(role="user", content="Once upon")


def test_the_text_goes_out_with_the_parameters():
    """No chat template: the text as it was rendered."""
    body = text_body(_prompt(ONE, max_tokens=5, seed=1, extra={"suffix": "!"}), stream=True)
    assert body == {
        "model": "m", "prompt": "Once upon", "max_tokens": 5, "seed": 1, "suffix": "!",
        "stream": True, "stream_options": {"include_usage": True},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("messages", "more", "says"),
    [
        ((Message(role="system", content="x"), ONE), {}, "takes one text"),
        ((ONE,), {"tools": (Tool(name="t"),)}, "no tools and no output schema"),
        ((ONE,), {"output_schema": {}}, "no tools and no output schema"),
        ((Message(role="user", content=(ImagePart(url="data:,x"),)),), {}, "takes no image"),
        ((ONE,), {"extra": {"n": 2}}, "ask for several answers with 'repeat'"),
    ],
)
def test_what_the_form_cannot_say_is_a_sentence_before_the_call(context, messages, more, says):
    """Unsupported, with what to do."""
    provider = OpenAIProvider(context, service("vllm-completions"))
    with pytest.raises(Unsupported, match=says):
        provider.check(_prompt(*messages, **more))


def test_a_server_that_speaks_the_form_is_asked_at_its_own_path(context, serving, http_reply):
    """/v1/completions, and the first choice is the answer."""
    choices = [{"index": 0, "text": " a time", "finish_reason": "length"}]
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(http_reply(json.dumps({"choices": choices}).encode()))

    async def run():
        provider = OpenAIProvider(context, service("vllm-completions"))
        try:
            async with serving(respond) as base_url:
                return await provider.complete(_prompt(ONE, base_url=base_url))
        finally:
            await provider.close()

    completion = asyncio.run(run())
    assert (completion.text, completion.finish_reason) == (" a time", "length")
    assert seen[0].startswith(b"POST /v1/completions HTTP/1.1")


@pytest.mark.parametrize("payload", [{}, {"choices": []}, [], "x", None])
def test_no_choice_is_malformed(payload):
    """Never an empty text."""
    with pytest.raises(MalformedResponse, match="without any choice"):
        read_text(CALL, payload)
    stream = TextStream(CALL)
    stream.done()
    with pytest.raises(MalformedResponse, match="without any choice"):
        stream.completion()
