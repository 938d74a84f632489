"""What services say when they refuse: the kind of error, whether to try again, and when."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    NotFound,
    Overloaded,
    PermissionDenied,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    ServerFault,
)
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.providers.openai import OpenAIProvider

POSTED = Path(__file__).parents[2] / ".." / "shared" / "data" / "errors_posted.jsonl"
CALL = Call(
    provider="openai",
    model="m",
    url="https://api.example/v1/chat/completions",
    secret="topsecretvalue",
    key_name="OPENAI_API_KEY",
)


def _posted():
    if not POSTED.exists():
        return []
    return [json.loads(line) for line in POSTED.read_text("utf-8").splitlines()]


ROWS = _posted()
WAITS = {"rate_limit_tokens": 26.604, "rate_limit_tokens_ms_hint": 0.006}


@pytest.mark.skipif(not ROWS, reason=f"no posted errors at {POSTED}")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['provider']}-{row['kind']}")
def test_posted_error_is_retried_only_where_that_helps(row, context, ask, serving, http_reply):
    """Errors that users of services posted, sent over HTTP: retryable as the row says."""
    body = row.get("body")
    if row.get("stream"):
        raw = row.get("raw") or f"event: error\ndata: {json.dumps(body)}\n\n"
        reply = http_reply(raw.encode(), headers={"content-type": "text/event-stream"})
    else:
        headers = {k: v for k, v in (row.get("headers") or {}).items() if k != "content-length"}
        content = b"" if body is None else json.dumps(body).encode()
        reply = http_reply(content, status=row["status"], headers=headers)

    async def respond(request, writer):
        writer.write(reply)

    async def run():
        provider = OpenAIProvider(context)
        async with serving(respond) as base_url:
            with pytest.raises(ProviderError) as caught:
                await provider.complete(ask(base_url, stream=bool(row.get("stream"))))
            await provider.close()
        return caught.value

    error = asyncio.run(run())
    expected = row["retryable"]
    if expected == "depends: PerDay => no":
        expected = False  # this one names a quota per day among others
    assert error.retryable is expected
    if row["kind"] in WAITS:
        assert error.retry_after_s == pytest.approx(WAITS[row["kind"]])
    if row["kind"] == "insufficient_quota":
        assert type(error) is QuotaExhausted


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, {"error": {"message": "no"}}, InvalidRequest),
        (422, {"detail": [{"msg": "field required"}]}, InvalidRequest),
        (400, {"error": {"code": "context_length_exceeded", "message": "x"}}, ContextTooLong),
        (400, {"error": {"type": "exceed_context_size_error", "message": "x"}}, ContextTooLong),
        (400, {"message": "This model's maximum context length is 8192 tokens"}, ContextTooLong),
        (400, {"error": {"code": "content_filter", "message": "x"}}, ContentFiltered),
        (400, {"error": {"code": 400, "status": "API_KEY_INVALID"}}, AuthenticationFailed),
        (401, "<html><title>401 Unauthorized</title></html>", AuthenticationFailed),
        (402, {"error": {"message": "Insufficient Balance"}}, QuotaExhausted),
        (403, {}, PermissionDenied),
        (404, {"detail": "Not Found"}, NotFound),
        (408, "", ProviderTimeout),
        (429, "slow down", RateLimited),
        (500, {"error": {"message": "content_filter crashed"}}, ServerFault),
        (502, "<html>bad gateway</html>", ServerFault),
        (503, "busy", Overloaded),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, Overloaded),
    ],
)
def test_status_and_words_choose_the_kind(status, body, kind):
    """The status decides, except where the words name something more exact."""
    assert type(refusal(CALL, status, {}, body)) is kind


def test_message_says_what_where_and_what_to_do():
    """One sentence for a person: model, host, status, the service's words, the request, advice."""
    error = refusal(CALL, 401, {"x-request-id": "req_1"}, {"error": {"message": "Bad key."}})
    assert str(error) == (
        "openai/m: api.example answered 401: Bad key. (request req_1); "
        "check the key in OPENAI_API_KEY"
    )


@pytest.mark.parametrize(
    "said",
    [
        "Incorrect API key provided: topsecretvalue",
        "Incorrect API key provided: sk-proj-abcdefgh12345678",
        "header was 'Authorization: Bearer abcdefgh'",
        "see https://user:hunter2@proxy.example/x",
    ],
)
def test_secrets_never_reach_a_message(said):
    """The key in use, anything that looks like a key, and passwords in addresses are struck out."""
    shown = str(refusal(CALL, 401, {}, {"error": {"message": said}}))
    assert "***" in shown
    for secret in ("topsecretvalue", "abcdefgh", "hunter2"):
        assert secret not in shown


def test_service_has_the_last_word_on_trying_again():
    """x-should-retry overrides what the status suggests, both ways."""
    assert refusal(CALL, 500, {"x-should-retry": "false"}, "").retryable is False
    assert refusal(CALL, 400, {"x-should-retry": "true"}, "").retryable is True


def test_request_larger_than_the_whole_limit_is_not_retried():
    """Waiting makes no room for a request that never fits."""
    said = "Request too large for gpt-4o: Limit 30000, Requested 43000. Tokens must be reduced."
    error = refusal(CALL, 429, {}, {"error": {"message": said, "code": "rate_limit_exceeded"}})
    assert type(error) is RateLimited
    assert error.retryable is False
