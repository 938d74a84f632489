"""What the anthropic provider sends, and what it refuses to send."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import (
    AuthenticationFailed,
    ContextTooLong,
    InvalidRequest,
    NotFound,
    QuotaExhausted,
    Unsupported,
)
from p2re_eval.providers.anthropic import AnthropicProvider
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.providers.messages_answer import read_message
from p2re_eval.providers.messages_request import messages_body
from p2re_eval.providers.messages_schema import answer_tool, fits_format
from p2re_eval.records import ImagePart, Message, Price, TextPart, Tool, ToolCall

CALL = Call(provider="anthropic", model="m", url="https://api.anthropic.com/v1/messages")
CLOSED = {
    "type": "object",
    "properties": {"team": {"type": "string"}},
    "required": ["team"],
    "additionalProperties": False,
}
CACHE = {"type": "ephemeral"}


@pytest.fixture
def prompt_of(ask):
    """A prompt for Claude; ``messages``, ``tools`` and ``output_schema`` beside model settings."""

    def build(base_url=None, **given):
        own = {k: given.pop(k) for k in ("messages", "tools", "output_schema") if k in given}
        settings = {"provider": "anthropic", "name": "claude-sonnet-4-5", **given}
        return ask(base_url, **settings).model_copy(update=own)

    return build


@pytest.fixture
def body_of(prompt_of):
    def build(*, stream=False, **given):
        return messages_body(CALL, prompt_of(**given), stream=stream)

    return build


def test_messages_body_holds_only_what_was_given(body_of):
    """Parameters that are not set are left to the service, which demands a limit."""
    assert body_of() == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hello"}],
    }


def test_messages_body_holds_every_parameter_and_extra_wins(body_of):
    """Settings by their names on the wire; extra is merged as it is."""
    extra = {"top_k": 3, "top_p": 0.9, "betas": ["x"]}
    body = body_of(
        stream=True, temperature=0, top_p=0.5, max_tokens=9, stop=("a", "b"), extra=extra
    )
    del body["messages"]
    assert body == {
        "model": "claude-sonnet-4-5",
        "max_tokens": 9,
        "temperature": 0.0,
        "top_p": 0.9,
        "stop_sequences": ["a", "b"],
        "stream": True,
        "top_k": 3,
    }


def test_budget_of_thinking_comes_on_top_of_the_default_limit(body_of):
    """The service refuses a limit that thinking alone would use up."""
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = body_of(extra={"thinking": thinking})
    assert body["max_tokens"] == 6096
    assert body["thinking"] == thinking


def test_conversation_has_its_wire_form(body_of):
    """System on top; images, tool calls and parallel answers as blocks of alternating turns."""
    messages = (
        Message(role="system", content="Be brief."),
        Message(role="developer", content="Be kind."),
        Message(
            role="user",
            content=(
                TextPart(text="see"),
                ImagePart(url="data:image/png;base64,AA==", detail="low"),
                ImagePart(url="data:image/jpg,%01"),
                ImagePart(url="https://example.org/x.png"),
            ),
        ),
        Message(
            role="assistant",
            content="Looking.",
            tool_calls=(
                ToolCall(id="a", name="f", arguments='{"x": 1}'),
                ToolCall(id="b", name="g", arguments=""),
            ),
        ),
        Message(role="tool", content="7", tool_call_id="a", name="f"),
        Message(role="tool", content=(TextPart(text="8"),), tool_call_id="b"),
        Message(role="user", content="And?"),
    )
    body = body_of(messages=messages)
    assert body["system"] == [
        {"type": "text", "text": "Be brief."},
        {"type": "text", "text": "Be kind."},
    ]
    png = {"type": "base64", "media_type": "image/png", "data": "AA=="}
    jpeg = {"type": "base64", "media_type": "image/jpeg", "data": "AQ=="}
    assert body["messages"] == [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "see"},
                {"type": "image", "source": png},
                {"type": "image", "source": jpeg},
                {"type": "image", "source": {"type": "url", "url": "https://example.org/x.png"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Looking."},
                {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}},
                {"type": "tool_use", "id": "b", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "a", "content": "7"},
                {
                    "type": "tool_result",
                    "tool_use_id": "b",
                    "content": [{"type": "text", "text": "8"}],
                },
                {"type": "text", "text": "And?"},
            ],
        },
    ]


def test_tools_have_their_wire_form_and_the_services_own_follow(body_of):
    """A schema without a type is an object's; extra.tools are added, not put in their place."""
    search = {"type": "web_search_20250305", "name": "web_search"}
    body = body_of(tools=(Tool(name="f", description="d"),), extra={"tools": [search]})
    schema = {"type": "object", "properties": {}}
    assert body["tools"] == [{"name": "f", "description": "d", "input_schema": schema}, search]


def test_schema_is_asked_by_the_output_format(body_of):
    """Models that know it; other output settings stay."""
    body = body_of(output_schema=CLOSED, extra={"output_config": {"effort": "low"}})
    assert body["output_config"] == {
        "format": {"type": "json_schema", "schema": CLOSED},
        "effort": "low",
    }
    assert "tools" not in body


def test_schema_is_asked_by_a_tool_where_there_is_no_output_format(body_of):
    """Older models, and schemas that the format cannot enforce: the model must call the tool."""
    body = body_of(name="claude-3-5-haiku-latest", output_schema=CLOSED)
    assert [tool["name"] for tool in body["tools"]] == ["structured_answer"]
    assert body["tools"][0]["input_schema"] == CLOSED
    forced = {"type": "tool", "name": "structured_answer", "disable_parallel_tool_use": True}
    assert body["tool_choice"] == forced


@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ({"tools": (Tool(name="f"),)}, {"type": "any"}),
        ({"extra": {"thinking": {"type": "adaptive"}}}, {"type": "auto"}),
        ({"extra": {"tool_choice": {"type": "none"}}}, {"type": "none"}),
    ],
)
def test_tool_of_the_answer_is_forced_as_far_as_the_service_allows(body_of, given, choice):
    """Beside other tools any of them will do; a model that thinks cannot be forced."""
    body = body_of(output_schema={"type": "object"}, **given)
    assert body["tool_choice"] == choice


@pytest.mark.parametrize(
    ("name", "by_tool"),
    [
        ("claude-2.1", True),
        ("claude-instant-1.2", True),
        ("claude-3-7-sonnet-20250219", True),
        ("claude-sonnet-4-0", True),
        ("claude-sonnet-4-20250514", True),
        ("claude-opus-4-1-20250805", True),
        ("claude-sonnet-4-5-20250929", False),
        ("claude-haiku-4-5", False),
        ("claude-opus-4-6", False),
        ("claude-sonnet-5", False),
        ("anthropic/claude-opus-4.7", False),
        ("MiniMax-M2", True),
    ],
)
def test_models_since_claude_4_5_know_the_output_format(prompt_of, name, by_tool):
    """Earlier ones, and other makers' models behind this API, are given a tool."""
    prompt = prompt_of(name=name, output_schema=CLOSED)
    assert answer_tool(prompt) == ("structured_answer" if by_tool else None)


def test_tool_of_the_answer_never_takes_another_tools_name(prompt_of):
    """A prompt may have a tool of that very name."""
    tools = (Tool(name="structured_answer"),)
    prompt = prompt_of(output_schema={"type": "object"}, tools=tools)
    assert answer_tool(prompt) == "structured_answer_"


@pytest.mark.parametrize(
    ("schema", "fits"),
    [
        (CLOSED, True),
        ({**CLOSED, "required": []}, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({"type": "object"}, False),
        ({**CLOSED, "properties": {"n": {"type": "integer", "minimum": 1}}}, False),
        ({**CLOSED, "properties": {"n": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"n": {"type": "array", "minItems": 2}}}, False),
        ({**CLOSED, "properties": {"n": {"anyOf": [CLOSED, {"type": "null"}]}}}, True),
        ({**CLOSED, "properties": {"n": {"anyOf": [CLOSED, {"type": "object"}]}}}, False),
        ({"$ref": "#/$defs/a", "$defs": {"a": CLOSED}}, True),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, False),
        ({"$ref": "#/$defs/nowhere"}, False),
        ({"$ref": "https://example.org/schema"}, False),
        (True, False),
    ],
)
def test_output_format_is_used_where_it_can_enforce_the_schema(schema, fits):
    """Closed objects, no bounds, no recursion."""
    assert fits_format(schema) is fits


def test_cache_mark_stands_where_cases_begin_to_differ(body_of):
    """Before the last user turn: examples first, else the system text, else the tools."""
    system = Message(role="system", content="s")
    example = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    last = Message(role="user", content="mine")
    extra = {"cache_control": CACHE}
    body = body_of(messages=(system, *example, last), extra=extra)
    marked = [{"type": "text", "text": "a", "cache_control": CACHE}]
    assert body["messages"][1]["content"] == marked
    assert "cache_control" not in body
    body = body_of(messages=(system, last), extra=extra, tools=(Tool(name="f"),))
    assert body["system"] == [{"type": "text", "text": "s", "cache_control": CACHE}]
    assert "cache_control" not in body["tools"][0]
    own = {"type": "web_search_20250305", "name": "web_search"}
    body = body_of(messages=(last,), extra={**extra, "tools": [own]})
    assert body["tools"] == [{**own, "cache_control": CACHE}]
    assert "cache_control" not in own


def test_cache_mark_of_a_lone_message_is_its_own(body_of):
    """With nothing before it, repeats of the case share the message itself."""
    body = body_of(extra={"cache_control": CACHE})
    content = [{"type": "text", "text": "Hello", "cache_control": CACHE}]
    assert body["messages"] == [{"role": "user", "content": content}]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"seed": 1}, "has no seed; remove it"),
        ({"temperature": 1.5}, "a temperature from 0 to 1, not 1.5"),
        ({"extra": {"system": "x"}}, "'system' cannot be set in extra"),
        ({"extra": {"betas": "x"}}, "'betas' in extra is no list; write it as one"),
        ({"extra": {"output_config": "x"}}, "'output_config' in extra is no mapping"),
        ({"messages": (Message(role="system", content="x"),)}, "has no user message"),
        (
            {"messages": (Message(role="user"), Message(role="system", content="x"))},
            "no system message after the first turn; move it to the top",
        ),
        (
            {"messages": (Message(role="system", content=(ImagePart(url="https://x/y"),)),)},
            "no image in a system message",
        ),
        ({"messages": (Message(role="user", name="Ann"),)}, "no place for the name 'Ann'"),
        ({"messages": (Message(role="tool", content="x"),)}, "give it a tool_call_id"),
        (
            {"messages": (Message(role="user", content=(ImagePart(url="data:image/tiff,x"),)),)},
            "no image/tiff as an image; use png",
        ),
        (
            {
                "messages": (
                    Message(
                        role="assistant", tool_calls=(ToolCall(id="a", name="f", arguments="[1]"),)
                    ),
                )
            },
            "the earlier call of 'f' are no JSON object",
        ),
        (
            {"name": "claude-2.1", "output_schema": {"type": "array"}},
            "structured answers as objects only; wrap the schema",
        ),
    ],
)
def test_what_the_service_cannot_do_is_said_before_the_call(context, prompt_of, given, said):
    """One sentence with what to do, from ``check``."""
    with pytest.raises(Unsupported, match=said):
        AnthropicProvider(context).check(prompt_of(**given))


def test_prompt_without_a_model_is_refused(context, prompt_of):
    """There is no default model."""
    with pytest.raises(NotFound, match="write anthropic/NAME"):
        AnthropicProvider(context).check(prompt_of(name=None))


def test_key_is_needed_and_must_be_one(context, prompt_of, monkeypatch):
    """Said before the call, with the variable's name and never its value."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "geheim\u00e4")
    with pytest.raises(AuthenticationFailed, match="characters no key has") as caught:
        AnthropicProvider(context).check(prompt_of())
    assert "geheim" not in str(caught.value)
    monkeypatch.delenv("ANTHROPIC_API_KEY")
    with pytest.raises(AuthenticationFailed, match="set ANTHROPIC_API_KEY"):
        AnthropicProvider(context).check(prompt_of())


def test_key_goes_to_no_address_that_a_file_names(context, prompt_of):
    """Another host in base_url gets no key unless the environment allows it."""
    with pytest.raises(AuthenticationFailed, match="P2RE_KEYS"):
        AnthropicProvider(context).check(prompt_of("https://gateway.example.com"))
    with pytest.raises(InvalidRequest, match="write it like"):
        AnthropicProvider(context).check(prompt_of("gateway.example.com"))


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/", "https://api.anthropic.com/v1/messages"),
        ("https://api.anthropic.com/v1", "https://api.anthropic.com/v1/messages"),
        ("https://h/v1/messages", "https://h/v1/messages"),
        ("https://h/anthropic?beta=true", "https://h/anthropic/v1/messages?beta=true"),
    ],
)
def test_address_may_be_given_with_or_without_its_version(context, prompt_of, base_url, url):
    """Anthropic's own variable names it without, other providers' addresses end in /v1."""
    assert AnthropicProvider(context)._call(prompt_of(base_url).model).url == url


def test_identity_is_the_address_of_the_environment(context, prompt_of, monkeypatch):
    """The cache of one address never answers for another; the official one is the default."""
    provider, model = AnthropicProvider(context), prompt_of().model
    assert provider.identity(model) == ""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://api.anthropic.com/v1/")
    assert provider.identity(model) == ""
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "https://gateway.example")
    assert provider.identity(model) == "https://gateway.example"
    assert provider.identity(prompt_of("https://h/v1").model) == ""


def _answer(context, serving, http_reply, prompt_of, message, **given):
    """The completion of this whole message, and the request that asked for it."""
    seen: list[bytes] = []

    async def respond(request, writer):
        seen.append(request)
        writer.write(http_reply(json.dumps(message).encode()))

    async def run():
        provider = AnthropicProvider(context)
        async with serving(respond) as base_url:
            try:
                return await provider.complete(prompt_of(base_url, **given))
            finally:
                await provider.close()

    return asyncio.run(run()), seen[0]


def _message(*blocks, stop="end_turn", **usage):
    return {"content": list(blocks), "stop_reason": stop, "usage": usage, "model": "m"}


def test_request_carries_key_version_and_betas(context, serving, http_reply, prompt_of):
    """In headers, to /v1/messages."""
    message = _message({"type": "text", "text": "hi"})
    given = {"extra": {"betas": ["a-1", "b-2"]}}
    _, request = _answer(context, serving, http_reply, prompt_of, message, **given)
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\n")
    assert b"\r\nx-api-key: sk-ant-test-0123456789abcdef\r\n" in head
    assert b"\r\nanthropic-version: 2023-06-01\r\n" in head
    assert b"\r\nanthropic-beta: a-1,b-2\r\n" in head
    assert "betas" not in json.loads(body)


def test_price_of_the_settings_counts_the_cache(context, serving, http_reply, prompt_of):
    """5 fresh, 3 written and 2 read tokens are 10 of input, of which 2 at the cached rate."""
    usage = {
        "input_tokens": 5,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 2,
        "output_tokens": 1,
    }
    price = Price(input=1e6, output=1e6, cached=1e5)
    message = _message({"type": "text", "text": "hi"}, **usage)
    completion, _ = _answer(context, serving, http_reply, prompt_of, message, price=price)
    assert completion.usage.input_tokens == 10
    assert completion.cost_usd == pytest.approx(8 + 0.2 + 1)


def test_structured_answer_of_a_tool_is_text(context, serving, http_reply, prompt_of):
    """The tool that the schema became is no tool call of the answer."""
    block = {"type": "tool_use", "id": "t", "name": "structured_answer", "input": {"n": 3}}
    message = _message(block, stop="tool_use")
    given = {"name": "claude-3-haiku-20240307", "output_schema": {"type": "object"}}
    completion, _ = _answer(context, serving, http_reply, prompt_of, message, **given)
    assert completion.text == '{"n": 3}'
    assert completion.tool_calls == ()
    assert completion.finish_reason == "stop"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "other"),
        ("something_new", "other"),
        (None, "other"),
    ],
)
def test_stop_reasons_are_translated_and_kept(said, expected):
    """One vocabulary, with the service's own word beside it."""
    completion = read_message(CALL, _message({"type": "text", "text": "x"}, stop=said))
    assert completion.finish_reason == expected
    assert completion.raw_finish_reason == said


def test_refusal_keeps_the_services_explanation():
    """An answer that the service stopped may have no content at all."""
    details = {"type": "refusal", "category": "cyber", "explanation": "Not this."}
    completion = read_message(CALL, {**_message(stop="refusal"), "stop_details": details})
    assert (completion.text, completion.refusal) == ("", "Not this.")


@pytest.mark.parametrize(
    ("status", "kind", "said", "expected"),
    [
        (400, "invalid_request_error", "prompt is too long: 9 tokens > 8", ContextTooLong),
        (
            400,
            "invalid_request_error",
            "input length and `max_tokens` exceed context limit: 9 + 1 > 9",
            ContextTooLong,
        ),
        (400, "invalid_request_error", "Your credit balance is too low", QuotaExhausted),
        (
            400,
            "invalid_request_error",
            "You have reached your specified API usage limits.",
            QuotaExhausted,
        ),
        (402, "billing_error", "pay", QuotaExhausted),
        (413, "request_too_large", "Request exceeds the maximum size", InvalidRequest),
    ],
)
def test_refusals_of_the_service_have_their_kind(status, kind, said, expected):
    """By the status, or by the words where they say something more exact."""
    body = {"type": "error", "error": {"type": kind, "message": said}}
    assert type(refusal(CALL, status, {}, body)) is expected


def test_diagnose_asks_for_the_models(context, serving, http_reply, monkeypatch):
    """Free of cost: the list of models, and whether a key is set."""

    async def respond(request, writer):
        assert request.startswith(b"GET /v1/models HTTP/1.1\r\n")
        writer.write(http_reply(b'{"data": [{"id": "claude-x"}]}'))

    async def run():
        provider = AnthropicProvider(context)
        async with serving(respond) as base_url:
            monkeypatch.setenv("ANTHROPIC_BASE_URL", base_url)
            try:
                return await provider.diagnose()
            finally:
                await provider.close()

    said = asyncio.run(run())
    assert said.endswith("answers with 1 models; ANTHROPIC_API_KEY is set")
