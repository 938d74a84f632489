"""What the gemini provider sends, and what it refuses to send."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import AuthenticationFailed, InvalidRequest, NotFound, Unsupported
from p2re_eval.providers.gemini import GeminiProvider
from p2re_eval.providers.generate_request import generate_body
from p2re_eval.providers.vertex import vertex_service
from p2re_eval.records import (
    ImagePart,
    Message,
    ModelSettings,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

SECRET = "AIzaSy-test-0123456789abcdefghijk"
SCHEMA = {"type": "object", "properties": {"team": {"type": "string"}}}
WEATHER = Tool(name="weather", description="d", parameters={"type": "object", "properties": {}})
DATA_URI = "data:image/png;base64,AAAA"


def _prompt(*messages: Message, name="gemini-2.5-flash", schema=None, tools=(), **settings):
    model = ModelSettings(provider="gemini", name=name, **settings)
    messages = messages or (Message(role="user", content="Hello"),)
    return RenderedPrompt(
        name="greet", messages=messages, model=model, output_schema=schema, tools=tools
    )


@pytest.fixture(autouse=True)
def _google(monkeypatch):
    """A key that must never show, and no address of the machine's own."""
    monkeypatch.setenv("GEMINI_API_KEY", SECRET)
    for name in ("GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "P2RE_KEYS", "GEMINI_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def asked(context, serving, http_reply):
    """What the service receives for a prompt: the request line, the headers, the body."""
    answer = {"candidates": [{"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}]}

    def send(prompt, *, below=""):
        received: list[bytes] = []

        async def respond(request, writer):
            received.append(request)
            if b"alt=sse" in request:
                event = b"data: " + json.dumps(answer).encode() + b"\r\n\r\n"
                writer.write(http_reply(event, headers={"content-type": "text/event-stream"}))
            else:
                writer.write(http_reply(json.dumps(answer).encode()))

        async def run():
            provider = GeminiProvider(context)
            async with serving(respond) as base_url:
                address = base_url.removesuffix("/v1") + below
                model = prompt.model.model_copy(update={"base_url": address})
                completion = await provider.complete(prompt.model_copy(update={"model": model}))
                await provider.close()
                return completion

        assert asyncio.run(run()).text == "hi"
        head, _, body = received[0].partition(b"\r\n\r\n")
        line, *headers = head.decode().split("\r\n")
        return line.split(" ")[1], dict(h.split(": ", 1) for h in headers), json.loads(body)

    return send


def test_body_holds_only_what_was_given():
    """Parameters that are not set are left to the service."""
    assert generate_body(_prompt()) == {
        "contents": [{"role": "user", "parts": [{"text": "Hello"}]}],
    }


def test_configuration_holds_every_parameter_and_extra_wins():
    """Settings by their names on the wire; extra's configuration is merged key by key."""
    prompt = _prompt(
        temperature=0,
        top_p=0.5,
        max_tokens=9,
        seed=0,
        stop=("a", "b"),
        extra={
            "generationConfig": {"topP": 0.9, "thinkingConfig": {"thinkingBudget": 0}},
            "safetySettings": [{"category": "c", "threshold": "BLOCK_NONE"}],
        },
    )
    body = generate_body(prompt)
    assert body["generationConfig"] == {
        "temperature": 0.0,
        "topP": 0.9,
        "maxOutputTokens": 9,
        "seed": 0,
        "stopSequences": ["a", "b"],
        "thinkingConfig": {"thinkingBudget": 0},
    }
    assert body["safetySettings"] == [{"category": "c", "threshold": "BLOCK_NONE"}]


def test_schema_asks_for_json_in_the_services_own_form():
    """The JSON Schema as it is, unless extra brings a schema in Google's dialect."""
    assert generate_body(_prompt(schema=SCHEMA))["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseJsonSchema": SCHEMA,
    }
    own = {"generationConfig": {"responseSchema": {"type": "OBJECT"}}}
    assert generate_body(_prompt(schema=SCHEMA, extra=own))["generationConfig"] == {
        "responseMimeType": "application/json",
        "responseSchema": {"type": "OBJECT"},
    }


def test_system_messages_become_the_instruction():
    """System and developer messages of the beginning, in their order, outside the contents."""
    prompt = _prompt(
        Message(role="system", content="One."),
        Message(role="developer", content="Two."),
        Message(role="user", content="Hi"),
        Message(role="assistant", content="Yes?"),
        Message(role="user", content="Go"),
    )
    body = generate_body(prompt)
    assert body["systemInstruction"] == {"parts": [{"text": "One."}, {"text": "Two."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "Hi"}]},
        {"role": "model", "parts": [{"text": "Yes?"}]},
        {"role": "user", "parts": [{"text": "Go"}]},
    ]


def test_tools_their_calls_and_answers_have_their_wire_form():
    """Parallel answers are one turn, named after the calls; text answers become an object."""
    calls = (
        ToolCall(id="a", name="weather", arguments='{"city": "Oslo"}'),
        ToolCall(id="b", name="weather", arguments=""),
    )
    prompt = _prompt(
        Message(role="user", content="Weather?"),
        Message(role="assistant", tool_calls=calls),
        Message(role="tool", content='{"c": 7}', tool_call_id="a"),
        Message(role="tool", content="rain", tool_call_id="b"),
        tools=(WEATHER, Tool(name="now")),
        extra={"tools": [{"googleSearch": {}}]},
    )
    body = generate_body(prompt)
    assert body["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "d",
                    "parametersJsonSchema": {"type": "object", "properties": {}},
                },
                {"name": "now"},
            ]
        },
        {"googleSearch": {}},
    ]
    assert body["contents"][1:] == [
        {
            "role": "model",
            "parts": [
                {"functionCall": {"id": "a", "name": "weather", "args": {"city": "Oslo"}}},
                {"functionCall": {"id": "b", "name": "weather", "args": {}}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"id": "a", "name": "weather", "response": {"c": 7}}},
                {
                    "functionResponse": {
                        "id": "b",
                        "name": "weather",
                        "response": {"result": "rain"},
                    }
                },
            ],
        },
    ]


@pytest.mark.parametrize(
    ("name", "signed"),
    [
        ("gemini-3-flash-preview", [True, False]),
        ("gemini-3.1-pro-preview", [True, False]),
        ("gemini-2.5-flash", [False, False]),
        ("gemma-3-27b-it", [False, False]),
    ],
)
def test_calls_in_a_history_are_signed_where_models_want_it(name, signed):
    """From gemini-3 on the first call of a turn needs a signature, which no prompt file has."""
    calls = tuple(ToolCall(id=i, name="f", arguments="{}") for i in "ab")
    messages = (Message(role="user", content="x"), Message(role="assistant", tool_calls=calls))
    parts = generate_body(_prompt(*messages, name=name))["contents"][1]["parts"]
    assert ["thoughtSignature" in part for part in parts] == signed


@pytest.mark.parametrize(
    ("url", "part"),
    [
        (DATA_URI, {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}),
        (
            "data:image/svg+xml,%3Csvg/%3E",
            {"inlineData": {"mimeType": "image/svg+xml", "data": "PHN2Zy8+"}},
        ),
        (
            "https://a.example/b/c.jpg?d=1",
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://a.example/b/c.jpg?d=1"}},
        ),
        ("https://a.example/b", {"fileData": {"fileUri": "https://a.example/b"}}),
    ],
)
def test_image_is_sent_inline_or_by_address(url, part):
    """A data: URI as bytes, an address as a file the service fetches."""
    image = Message(role="user", content=(TextPart(text="see"), ImagePart(url=url, detail="low")))
    body = generate_body(_prompt(image))
    assert body["contents"][0]["parts"] == [{"text": "see"}, part]
    assert body["generationConfig"] == {"mediaResolution": "MEDIA_RESOLUTION_LOW"}


@pytest.mark.parametrize(
    ("name", "stream", "below", "target"),
    [
        ("gemini-2.5-flash", False, "/v1", "/v1/models/gemini-2.5-flash:generateContent"),
        ("gemini-2.5-flash", False, "", "/v1beta/models/gemini-2.5-flash:generateContent"),
        ("g", True, "/v1beta?a=1", "/v1beta/models/g:streamGenerateContent?a=1&alt=sse"),
        ("tunedModels/x", False, "", "/v1beta/tunedModels/x:generateContent"),
        ("a b?c", False, "", "/v1beta/models/a%20b%3Fc:generateContent"),
        (
            "gemini-2.5-pro",
            True,
            "/v1/projects/p/locations/l/publishers/google",
            "/v1/projects/p/locations/l/publishers/google/models/gemini-2.5-pro"
            ":streamGenerateContent?alt=sse",
        ),
    ],
)
def test_address_is_base_url_version_model_and_method(asked, name, stream, below, target):
    """Google's own form of a base address has no version; Vertex's has one in the middle."""
    line, headers, _ = asked(_prompt(name=name, stream=stream), below=below)
    assert line == target
    assert headers["x-goog-api-key"] == SECRET
    assert "Authorization" not in headers


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        (_prompt(stop=tuple("abcdef")), "at most 5 stop texts"),
        (_prompt(schema=SCHEMA, tools=(WEATHER,)), "use a gemini-3 model"),
        (_prompt(extra={"contents": []}), "cannot be set in extra"),
        (_prompt(extra={"generationConfig": {"candidateCount": 2}}), "with 'repeat'"),
        (
            _prompt(
                extra={
                    "toolConfig": {"functionCallingConfig": {"streamFunctionCallArguments": True}}
                }
            ),
            "calls are read whole",
        ),
        (
            _prompt(Message(role="user", content="x"), Message(role="system", content="y")),
            "only at the beginning",
        ),
        (_prompt(Message(role="system", content="y")), "add a user message"),
        (_prompt(Message(role="user", name="Ada", content="x")), "into the text"),
        (_prompt(Message(role="tool", content="x", tool_call_id="a")), "that call's id"),
        (
            _prompt(
                Message(role="assistant", tool_calls=(ToolCall(id="a", name="f", arguments="[1]"),))
            ),
            "as a JSON object",
        ),
        (
            _prompt(Message(role="tool", name="f", content=(ImagePart(url=DATA_URI),))),
            "no image in a tool message",
        ),
        (
            _prompt(Message(role="user", content=(ImagePart(url=DATA_URI, detail="huge"),))),
            "one image detail",
        ),
        (
            _prompt(
                Message(
                    role="user",
                    content=(ImagePart(url=DATA_URI, detail="low"), ImagePart(url=DATA_URI)),
                )
            ),
            "one image detail",
        ),
    ],
)
def test_what_the_service_cannot_do_is_said_before_the_call(context, prompt, advice):
    """Unsupported, with what to do."""
    with pytest.raises(Unsupported) as caught:
        GeminiProvider(context).check(prompt)
    assert advice in str(caught.value)


def test_schema_with_tools_goes_out_to_models_that_can(context):
    """Models from gemini-3 on combine the two."""
    GeminiProvider(context).check(_prompt(schema=SCHEMA, tools=(WEATHER,), name="gemini-3-flash"))


def test_model_and_address_are_checked_before_the_call(context, monkeypatch):
    """No model, a path instead of a model, a key inside the address."""
    provider = GeminiProvider(context)
    with pytest.raises(NotFound, match="gemini/NAME"):
        provider.check(_prompt(name=None))
    with pytest.raises(InvalidRequest, match="no model's name"):
        provider.check(_prompt(name="../../secret"))
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", f"https://gateway.example/?key={SECRET}")
    with pytest.raises(InvalidRequest, match="carries a key") as caught:
        provider.check(_prompt())
    assert SECRET not in str(caught.value)


def test_key_comes_from_either_variable_and_goes_to_the_service_only(context, monkeypatch):
    """GEMINI_API_KEY before GOOGLE_API_KEY; a foreign address in a prompt file gets none."""
    provider = GeminiProvider(context)
    provider.check(_prompt())
    with pytest.raises(AuthenticationFailed, match=r"evil\.example is not gemini's own address"):
        provider.check(_prompt(base_url="https://evil.example"))
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(AuthenticationFailed, match="set GEMINI_API_KEY"):
        provider.check(_prompt())
    monkeypatch.setenv("GOOGLE_API_KEY", "other")
    provider.check(_prompt())
    monkeypatch.setenv("GOOGLE_API_KEY", "ключ")
    with pytest.raises(AuthenticationFailed, match="GOOGLE_API_KEY holds characters"):
        provider.check(_prompt())


def test_identity_is_the_address_the_environment_chose(context, monkeypatch):
    """Part of the cache key only where the prompt does not say it, and it is not the official."""
    provider = GeminiProvider(context)
    assert provider.identity(ModelSettings()) == ""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://generativelanguage.googleapis.com")
    assert provider.identity(ModelSettings()) == ""
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "https://gateway.example/")
    assert provider.identity(ModelSettings()) == "https://gateway.example/"
    assert provider.identity(ModelSettings(base_url="https://x.example")) == ""
    assert provider.requirements().base_url == "https://gateway.example/"


def test_diagnosis_counts_the_models(context, serving, http_reply, monkeypatch):
    """For p2re doctor: the address answers, and the key is set, never shown."""

    async def respond(request, writer):
        assert request.startswith(b"GET /v1/models ")
        writer.write(http_reply(b'{"models": [{}, {}]}'))

    async def run():
        provider = GeminiProvider(context)
        async with serving(respond) as base_url:
            monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", base_url)
            said = await provider.diagnose()
            await provider.close()
        return said

    said = asyncio.run(run())
    assert said.endswith("answers with 2 models; GEMINI_API_KEY is set")


@pytest.fixture
def vertex(context, monkeypatch):
    """The provider of Vertex AI, nothing set."""
    names = ("PROJECT", "LOCATION")
    for name in (*(f"GOOGLE_CLOUD_{name}" for name in names), "GOOGLE_VERTEX_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("GOOGLE_OAUTH_ACCESS_TOKEN", "CLOUDSDK_AUTH_ACCESS_TOKEN"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    return GeminiProvider(context, vertex_service)


def test_vertex_address_is_made_of_project_and_location(vertex, monkeypatch):
    """Global without a location; part of the cache key, since the environment decides it."""
    with pytest.raises(InvalidRequest, match="needs GOOGLE_CLOUD_PROJECT"):
        vertex.check(_prompt())
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    address = "https://aiplatform.googleapis.com/v1beta1/projects/p/locations/global"
    assert vertex.identity(ModelSettings()) == f"{address}/publishers/google"
    monkeypatch.setenv("GOOGLE_CLOUD_LOCATION", "us-central1")
    assert vertex.requirements().base_url == (
        "https://us-central1-aiplatform.googleapis.com/v1beta1/projects/p/locations/us-central1"
        "/publishers/google"
    )


def test_vertex_takes_a_token_and_no_key(vertex, monkeypatch, serving, http_reply):
    """From the environment, as a bearer, to the project's own address and to this machine."""
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p")
    with pytest.raises(AuthenticationFailed, match="set GOOGLE_OAUTH_ACCESS_TOKEN"):
        vertex.check(_prompt())
    monkeypatch.setenv("CLOUDSDK_AUTH_ACCESS_TOKEN", "ya29.token")
    vertex.check(_prompt())
    received: list[bytes] = []

    async def respond(request, writer):
        received.append(request)
        writer.write(http_reply(b'{"candidates": [{"finishReason": 1}]}'))

    async def run():
        async with serving(respond) as base_url:
            completion = await vertex.complete(_prompt(base_url=base_url))
            await vertex.close()
            return completion

    assert asyncio.run(run()).finish_reason == "stop"
    assert b"Authorization: Bearer ya29.token" in received[0]
    assert b"x-goog-api-key" not in received[0]
