"""Errors that users of the real services posted, through the real adapters over real HTTP."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from p2re_eval.errors import ProviderError
from p2re_eval.plugins import Plugins
from p2re_eval.records import Message, ModelSettings, RenderedPrompt

POSTED = Path(__file__).parents[2] / ".." / "shared" / "data" / "errors_posted.jsonl"
ROWS = [json.loads(line) for line in POSTED.read_text().splitlines()] if POSTED.exists() else []
pytestmark = pytest.mark.skipif(not ROWS, reason=f"no posted errors at {POSTED}")
KINDS = {
    "rate_limit_tokens": "rate_limited",
    "rate_limit_tokens_ms_hint": "rate_limited",
    "insufficient_quota": "quota_exhausted",
    "server_error": "server",
    "in_stream_error_event": "server",
    "rate_limit_headers_without_retry_after": "rate_limited",
    "rate_limit_input_tokens": "rate_limited",
    "in_stream_overloaded": "overloaded",
    "overloaded": "overloaded",
    "resource_exhausted_multi_quota": "quota_exhausted",
    "resource_exhausted_json_array": "rate_limited",
    "double_encoded": "rate_limited",
    "throttling": "rate_limited",
    "model_not_pulled": "not_found",
}
WAITS = {"rate_limit_tokens": 26.604, "rate_limit_tokens_ms_hint": 0.006}
PROVIDERS = {"ollama-openai-compat": ("ollama-openai", "/v1"), "bedrock": ("bedrock", "")}


def _provider(row) -> tuple[str, str]:
    if row["kind"] == "in_stream_error_event":
        return "openai-responses", "/v1"
    return PROVIDERS.get(row["provider"], (row["provider"], "/v1"))


def _reply(row, http_reply) -> bytes:
    if row.get("stream"):
        event = f"event: error\ndata: {json.dumps(row.get('body'))}\n\n"
        raw = row.get("raw", event).encode()
        return http_reply(raw, headers={"content-type": "text/event-stream"})
    body = row["body"]
    if "body_message" in row:
        body = json.loads(json.dumps(body).replace("<body_message>", row["body_message"]))
    headers = {k: v for k, v in row.get("headers", {}).items() if k != "content-length"}
    return http_reply(json.dumps(body).encode(), status=row["status"], headers=headers)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['provider']}-{row['kind']}")
def test_a_posted_error_has_its_kind_and_its_wait(row, context, serving, http_reply, monkeypatch):
    """The right class, retried where that helps, after as long as the service says."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-key")
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    name, base = _provider(row)
    provider = Plugins(entry_points=False).providers[name](context)

    async def respond(request, writer):
        writer.write(_reply(row, http_reply))

    async def run():
        async with serving(respond) as base_url:
            model = ModelSettings(
                provider=name,
                name="m",
                base_url=base_url.removesuffix("/v1") + base,
                stream=bool(row.get("stream")),
            )
            messages = (Message(role="user", content="x"),)
            try:
                await provider.complete(RenderedPrompt(name="x", messages=messages, model=model))
            finally:
                await provider.close()

    with pytest.raises(ProviderError) as caught:
        asyncio.run(run())
    assert caught.value.kind == KINDS[row["kind"]]
    assert caught.value.retryable is (caught.value.kind not in {"quota_exhausted", "not_found"})
    if row["kind"] in WAITS:
        assert caught.value.retry_after_s == pytest.approx(WAITS[row["kind"]])
