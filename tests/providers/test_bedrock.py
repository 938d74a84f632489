"""Bedrock's Converse API: what goes out, how it is signed, and what cannot be said."""

from __future__ import annotations

import asyncio
import builtins
import json

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    ContextTooLong,
    ProviderNotInstalled,
    RateLimited,
    Unsupported,
)
from p2re_eval.providers.bedrock import BedrockProvider
from p2re_eval.providers.converse_request import converse_body
from p2re_eval.records import (
    ImagePart,
    Message,
    ModelSettings,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 1, "cacheReadInputTokens": 7},
}
PIXEL = "data:image/png;base64,aGk="
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.fixture(autouse=True)
def _credentials(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_BEARER_TOKEN_BEDROCK", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session-token-that-is-secret")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def _prompt(*messages: Message, base_url: str | None = None, **more) -> RenderedPrompt:
    settings = {key: more.pop(key) for key in list(more) if key not in {"tools", "output_schema"}}
    model = ModelSettings(provider="bedrock", name=MODEL, base_url=base_url, **settings)
    return RenderedPrompt(
        name="route it",
        messages=messages or (Message(role="user", content="x"),),
        model=model,
        **more,
    )


def _ask(context, serving, reply: bytes, **settings):
    """The completion, and the request as the server saw it."""
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(reply)

    async def run():
        provider = BedrockProvider(context)
        try:
            async with serving(respond) as base_url:
                prompt = _prompt(base_url=base_url.removesuffix("/v1"), **settings)
                provider.check(prompt)
                return await provider.complete(prompt), seen[0]
        finally:
            await provider.close()

    return asyncio.run(run())


def test_a_whole_conversation_in_the_services_form():
    """System on top, neighbours of one role in one turn, tools and their answers, an image."""
    call = ToolCall(id="t1", name="look", arguments='{"at": 1}')
    body = converse_body(
        _prompt(
            Message(role="system", content="Be brief."),
            Message(role="user", content=(TextPart(text="See"), ImagePart(url=PIXEL))),
            Message(role="assistant", tool_calls=(call, call.model_copy(update={"id": "t2"}))),
            Message(role="tool", content="one", tool_call_id="t1"),
            Message(role="tool", content="two", tool_call_id="t2"),
            Message(role="user", content="And now?"),
            tools=(Tool(name="look", description="Looks.", parameters={"properties": {}}),),
            output_schema={"type": "object"},
            max_tokens=5,
            temperature=0,
            stop=("END",),
            extra={"inferenceConfig": {"topP": 0.5}, "guardrailConfig": {"trace": "enabled"}},
        )
    )
    assert body["system"] == [{"text": "Be brief."}]
    first, second, third = body["messages"]
    image = {"image": {"format": "png", "source": {"bytes": "aGk="}}}
    assert first == {"role": "user", "content": [{"text": "See"}, image]}
    uses = [{"toolUse": {"toolUseId": i, "name": "look", "input": {"at": 1}}} for i in ("t1", "t2")]
    assert second == {"role": "assistant", "content": uses}
    results = [
        {"toolResult": {"toolUseId": i, "content": [{"text": said}]}}
        for i, said in (("t1", "one"), ("t2", "two"))
    ]
    assert third == {"role": "user", "content": [*results, {"text": "And now?"}]}
    assert body["inferenceConfig"] == {
        "maxTokens": 5, "temperature": 0.0, "stopSequences": ["END"], "topP": 0.5,
    }  # fmt: skip
    spec = {"name": "look", "description": "Looks."}
    schema = {"json": {"type": "object", "properties": {}}}
    assert body["toolConfig"] == {"tools": [{"toolSpec": {**spec, "inputSchema": schema}}]}
    wanted = {"name": "route_it", "schema": '{"type": "object"}'}
    structure = {"type": "json_schema", "structure": {"jsonSchema": wanted}}
    assert body["outputConfig"] == {"textFormat": structure}
    assert body["guardrailConfig"] == {"trace": "enabled"}


def test_the_signature_is_the_one_botocore_itself_would_make(context, serving, http_reply):
    """The server signs what it received anew, and gets the same; the path is sent as signed."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    completion, request = _ask(context, serving, http_reply(json.dumps(ANSWER).encode()))
    assert completion.text == "hi"
    assert completion.usage.input_tokens == 10
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == f"POST /model/{MODEL.replace(':', '%3A')}/converse HTTP/1.1"
    headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:])}
    signed = headers["authorization"].partition("SignedHeaders=")[2].partition(",")[0].split(";")
    again = AWSRequest(
        method="POST",
        url=f"http://{headers['host']}{lines[0].split()[1]}",
        data=body,
        headers={name: headers[name] for name in signed if name != "x-amz-security-token"},
    )
    again.context["timestamp"] = headers["x-amz-date"]
    credentials = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET, "session-token-that-is-secret")
    signer = SigV4Auth(credentials, "bedrock", "eu-central-1")
    text = signer.string_to_sign(again, _canonical(signer, again, headers))
    assert headers["authorization"].endswith(signer.signature(text, again))


def _canonical(signer, request, headers) -> str:
    request.headers["x-amz-security-token"] = headers["x-amz-security-token"]
    return signer.canonical_request(request)


def test_an_api_key_travels_as_a_bearer_token(context, serving, http_reply, monkeypatch):
    """No signature, and botocore is not needed."""
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "bedrock-api-key-x")
    _, request = _ask(context, serving, http_reply(json.dumps(ANSWER).encode()))
    assert b"Authorization: Bearer bedrock-api-key-x\r\n" in request
    assert b"AWS4-HMAC" not in request


def test_without_credentials_a_sentence_says_what_to_set(context, serving, monkeypatch):
    """Nothing is sent."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(AuthenticationFailed, match="no AWS credentials were found; set AWS_BEARER"):
        _ask(context, serving, b"")


def test_without_botocore_the_extra_is_named(context, monkeypatch):
    """Said before the call, and only where a signature is needed."""
    real = builtins.__import__

    def absent(name, *rest):
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(ProviderNotInstalled, match=r"p2re-eval\[bedrock\]"):
        BedrockProvider(context).check(_prompt())
    monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "key")
    BedrockProvider(context).check(_prompt())


@pytest.mark.parametrize(
    "address",
    ["https://evil.example", "https://bedrock-runtime.us-east-1.amazonaws.com.evil.example"],
)
def test_no_signature_goes_to_a_stranger(context, address):
    """A file in a repository cannot have a request signed for another host."""
    with pytest.raises(AuthenticationFailed, match="P2RE_KEYS"):
        BedrockProvider(context).check(_prompt(base_url=address))


def test_the_region_is_in_the_address_and_the_environment_may_name_another(context, monkeypatch):
    """A private endpoint counts as the user's own."""
    told = BedrockProvider(context).requirements()
    assert told.base_url == "https://bedrock-runtime.eu-central-1.amazonaws.com"
    monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "https://vpce-1.example")
    BedrockProvider(context).check(_prompt())
    BedrockProvider(context).check(
        _prompt(base_url="https://bedrock-runtime.us-west-2.amazonaws.com")
    )


@pytest.mark.parametrize(
    ("messages", "settings", "says"),
    [
        ((), {"seed": 1}, "no seed"),
        ((), {"extra": {"messages": []}}, "'messages' cannot be set in extra"),
        ((Message(role="system", content="x"),), {}, "no user message"),
        (
            (Message(role="user", content="x"), Message(role="system", content="x")),
            {},
            "only at the beginning",
        ),
        ((Message(role="user", content="x", name="Ann"),), {}, "no names of speakers"),
        ((Message(role="tool", content="x"),), {}, "give it a tool_call_id"),
        (
            (Message(role="user", content=(ImagePart(url="https://x.example/a.png"),)),),
            {},
            "fetches no images",
        ),
        (
            (Message(role="user", content=(ImagePart(url="data:image/bmp;base64,aGk="),)),),
            {},
            "use png, jpeg, gif or webp",
        ),
    ],
)
def test_what_the_service_cannot_do_is_a_sentence_before_the_call(
    context, messages, settings, says
):
    """Unsupported, with what to do."""
    with pytest.raises(Unsupported, match=says):
        BedrockProvider(context).check(_prompt(*messages, **settings))


@pytest.mark.parametrize(
    ("status", "name", "message", "kind"),
    [
        (400, "ValidationException", "Input is too long for requested model.", ContextTooLong),
        (429, "ThrottlingException", "Too many tokens, please wait.", RateLimited),
        (
            403,
            "UnrecognizedClientException",
            "The token is invalid.",
            AuthenticationFailed,
        ),
    ],
)
def test_errors_are_named_by_their_header(
    context, serving, http_reply, status, name, message, kind
):
    """The body is a sentence; the name of the error stands in a header."""
    headers = {"x-amzn-errortype": f"{name}:http://internal.amazon.com/", "x-amzn-requestid": "r-1"}
    reply = http_reply(json.dumps({"message": message}).encode(), status=status, headers=headers)
    with pytest.raises(kind, match=r"request r-1") as caught:
        _ask(context, serving, reply)
    assert caught.value.status == status


def test_nothing_of_the_credentials_is_in_an_error(context, serving, http_reply):
    """A service that repeats the request's headers gives nothing away."""
    said = {"message": "bad: AKIAIOSFODNN7EXAMPLE session-token-that-is-secret"}
    with pytest.raises(Exception, match="bad") as caught:
        _ask(context, serving, http_reply(json.dumps(said).encode(), status=400))
    for secret in ("AKIAIOSFODNN7EXAMPLE", "session-token-that-is-secret", SECRET):
        assert secret not in str(caught.value)
