"""Texts to vectors: recorded answers of real services, and a scorer that asks for some."""

from __future__ import annotations

import asyncio
import base64
import json
import struct

import pytest

from p2re_eval.engine.calls import Caller, Providers
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import MalformedResponse, ProviderError, Unsupported
from p2re_eval.plugins import Plugins
from p2re_eval.providers.gemini import GeminiProvider
from p2re_eval.providers.openai import OpenAIProvider
from p2re_eval.providers.scripted import ScriptedProvider
from p2re_eval.providers.services import service
from p2re_eval.records import Message, ModelSettings, RenderedPrompt
from wire.claims import WIRE, read

ROWS = [row for row in read(WIRE) if row["endpoint"] == "embeddings"] if WIRE.exists() else []
REFUSED = {400: "invalid_request", 401: "authentication", 404: "not_found"}


def _embed(name, context, serving, reply: bytes, texts, *, model="m", **settings):
    """What the provider makes of this reply, and the request that the server saw."""
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(reply)

    async def run():
        provider = Plugins(entry_points=False).providers[name](context)
        try:
            async with serving(respond) as base_url:
                asked = ModelSettings(provider=name, name=model, base_url=base_url, **settings)
                return await provider.embed(asked, texts)
        finally:
            await provider.close()

    return asyncio.run(run()), json.loads(seen[0].partition(b"\r\n\r\n")[2])


def _numbers(value) -> list[float]:
    if isinstance(value, str):
        data = base64.b64decode(value)
        return [n for (n,) in struct.iter_unpack("<f", data)]
    return value


@pytest.mark.skipif(not ROWS, reason=f"no recorded traffic at {WIRE}")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['provider']}-{row['id']}")
def test_recorded_vectors_come_out_as_they_were(row, context, serving, http_reply):
    """OpenAI, Azure, Gemini, Cohere and Voyage: every number, the tokens, or the right error."""
    body = json.loads(row["response"]["body"])
    reply = http_reply(row["response"]["body"].encode(), status=row["status"])
    asked = row["request"]["body"]
    texts = asked.get("input") or asked.get("texts") or ["x"] * len(asked.get("requests", []))
    texts = [texts] if isinstance(texts, str) else texts
    name = {"azure-openai": "azure"}.get(row["provider"], row["provider"])
    if row["status"] != 200:
        with pytest.raises(ProviderError) as caught:
            _embed(name, context, serving, reply, texts)
        assert caught.value.kind == REFUSED[row["status"]]
        return
    found, _ = _embed(name, context, serving, reply, texts)
    rows = body.get("data") or body["embeddings"]
    vectors = [_numbers(one.get("embedding") or one.get("values")) for one in rows]
    assert [list(vector) for vector in found.vectors] == vectors
    usage = body.get("usage", {})
    assert found.usage.input_tokens == usage.get("prompt_tokens", usage.get("total_tokens"))
    assert found.model == body.get("model")


def test_vectors_are_in_the_order_of_the_texts(context, serving, http_reply):
    """Services may answer out of order; their index says which is which."""
    rows = [{"index": 1, "embedding": [2, 3]}, {"index": 0, "embedding": [0.5, 1]}]
    reply = http_reply(json.dumps({"data": rows}).encode())
    found, asked = _embed("openai", context, serving, reply, ["a", "b"], extra={"dimensions": 2})
    assert found.vectors == ((0.5, 1.0), (2.0, 3.0))
    assert asked == {
        "model": "m", "input": ["a", "b"], "encoding_format": "base64", "dimensions": 2,
    }  # fmt: skip


@pytest.mark.parametrize(
    "payload",
    [{}, {"data": []}, {"data": [{"embedding": "!!"}]}, {"data": [{"embedding": ["x"]}]}, []],
)
def test_anything_but_a_vector_for_each_text_is_malformed(context, serving, http_reply, payload):
    """Never fewer vectors than texts."""
    reply = http_reply(json.dumps(payload).encode())
    with pytest.raises(MalformedResponse, match="answered 1 texts with 0 vectors"):
        _embed("openai", context, serving, reply, ["a"])


def test_cohere_and_gemini_have_forms_of_their_own(context, serving, http_reply):
    """Texts under their own names; Gemini repeats the settings for every text."""
    reply = http_reply(json.dumps({"embeddings": {"float": [[1, 2]]}}).encode())
    found, asked = _embed("cohere", context, serving, reply, ["a"])
    assert (found.vectors, asked["texts"]) == (((1.0, 2.0),), ["a"])
    reply = http_reply(json.dumps({"embeddings": [{"values": [1]}, {"values": [2]}]}).encode())
    found, asked = _embed(
        "gemini", context, serving, reply, ["a", "b"], extra={"taskType": "CLUSTERING"}
    )
    assert found.vectors == ((1.0,), (2.0,))
    assert [one["taskType"] for one in asked["requests"]] == ["CLUSTERING"] * 2


def test_a_service_of_vectors_answers_no_prompt(context):
    """voyage/... in a suite is a sentence before the call."""
    model = ModelSettings(provider="voyage", name="voyage-4", base_url="http://127.0.0.1:9/v1")
    prompt = RenderedPrompt(name="p", messages=(Message(role="user", content="x"),), model=model)
    with pytest.raises(Unsupported, match="turns texts into vectors"):
        OpenAIProvider(context, service("voyage")).check(prompt)
    assert hasattr(GeminiProvider(context), "embed")


def test_a_provider_without_vectors_is_a_sentence(context):
    """The engine asks no provider for what it does not do."""
    factories = {"scripted": lambda made: ScriptedProvider(clock=made.clock)}
    providers = Providers(factories, root=context.root, clock=context.clock)
    caller = Caller(providers, clock=context.clock, concurrency=1, retry=RetryPolicy())
    with pytest.raises(Unsupported, match="scripted makes no embeddings"):
        asyncio.run(caller.embed(ModelSettings(provider="scripted", name="m"), ["a"]))
