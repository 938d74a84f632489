"""What the ollama provider sends, what it refuses to send, and faults inside its lines."""

from __future__ import annotations

import asyncio
import json

import pytest

from p2re_eval.errors import (
    MalformedResponse,
    NotFound,
    ProviderError,
    ServerFault,
    TruncatedResponse,
    Unsupported,
)
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.ollama import OllamaProvider
from p2re_eval.providers.ollama_answer import read_ollama
from p2re_eval.providers.ollama_request import host_address, ollama_body
from p2re_eval.records import (
    ImagePart,
    Message,
    ModelSettings,
    RenderedPrompt,
    TextPart,
    Tool,
    ToolCall,
)

CALL = Call(provider="ollama", model="m", url="http://localhost:11434/api/chat")
DATA_URI = "data:image/png;base64,AAAA"


def _prompt(*messages: Message, name="llama3.2", schema=None, tools=(), **settings):
    model = ModelSettings(provider="ollama", name=name, **settings)
    messages = messages or (Message(role="user", content="Hello"),)
    return RenderedPrompt(
        name="greet", messages=messages, model=model, output_schema=schema, tools=tools
    )


@pytest.fixture(autouse=True)
def _ollama(monkeypatch):
    """No key and no address of the machine's own."""
    for name in ("OLLAMA_HOST", "OLLAMA_API_KEY", "P2RE_KEYS", "OLLAMA_API_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)


def test_body_holds_every_parameter_and_extra_wins():
    """Settings by their names among the options; options of extra are merged key by key."""
    assert ollama_body(_prompt()) == {
        "model": "llama3.2",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": False,
    }
    prompt = _prompt(
        temperature=0,
        top_p=0.5,
        max_tokens=9,
        seed=7,
        stop=("a",),
        stream=True,
        schema={"type": "object"},
        extra={"options": {"num_ctx": 4096, "top_p": 0.9}, "think": False},
    )
    body = ollama_body(prompt)
    del body["messages"]
    assert body == {
        "model": "llama3.2",
        "stream": True,
        "options": {
            "temperature": 0.0,
            "top_p": 0.9,
            "num_predict": 9,
            "seed": 7,
            "stop": ["a"],
            "num_ctx": 4096,
        },
        "format": {"type": "object"},
        "think": False,
    }


def test_messages_tools_and_images_have_their_wire_form():
    """Images stand beside the text, arguments are objects, answers name their tool."""
    prompt = _prompt(
        Message(role="developer", content="Be brief."),
        Message(role="user", content=(TextPart(text="see"), ImagePart(url=DATA_URI))),
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments='{"a": 1}'),)),
        Message(role="tool", content="7", tool_call_id="c"),
        tools=(Tool(name="f", description="d"),),
    )
    body = ollama_body(prompt)
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "see", "images": ["AAAA"]},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "7", "tool_name": "f", "tool_call_id": "c"},
    ]
    parameters = {"type": "object", "properties": {}}
    function = {"name": "f", "parameters": parameters, "description": "d"}
    assert body["tools"] == [{"type": "function", "function": function}]


@pytest.mark.parametrize(
    ("prompt", "advice"),
    [
        (_prompt(extra={"stream": True}), "cannot be set in extra"),
        (_prompt(Message(role="user", name="Ada", content="x")), "into the text"),
        (
            _prompt(Message(role="user", content=(ImagePart(url="https://a.example/b.png"),))),
            "give the image as a file",
        ),
        (
            _prompt(Message(role="user", content=(ImagePart(url=DATA_URI, detail="low"),))),
            "remove 'detail'",
        ),
        (
            _prompt(
                Message(role="assistant", tool_calls=(ToolCall(id="a", name="f", arguments="[1]"),))
            ),
            "as a JSON object",
        ),
    ],
)
def test_what_the_service_cannot_do_is_said_before_the_call(context, prompt, advice):
    """Unsupported, with what to do."""
    with pytest.raises(Unsupported) as caught:
        OllamaProvider(context).check(prompt)
    assert advice in str(caught.value)


def test_no_key_is_needed_and_none_is_sent_elsewhere(context, monkeypatch):
    """The key is ollama.com's; a model is needed everywhere."""
    provider = OllamaProvider(context)
    monkeypatch.setenv("OLLAMA_API_KEY", "topsecretvalue")
    provider.check(_prompt())
    provider.check(_prompt(base_url="http://gpu.example:11434"))
    with pytest.raises(NotFound, match="ollama/NAME"):
        provider.check(_prompt(name=None))


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("localhost", "http://localhost:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:1234", "http://127.0.0.1:1234"),
        (":5555", "http://127.0.0.1:5555"),
        ("[::]:11434", "http://127.0.0.1:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("https://gpu.example", "https://gpu.example"),
        ('"gpu:1"', "http://gpu:1"),
    ],
)
def test_host_is_read_as_ollama_reads_it(context, monkeypatch, host, address):
    """Without scheme and port too; a server that listens everywhere is asked here."""
    assert host_address(host) == address
    monkeypatch.setenv("OLLAMA_HOST", host)
    provider = OllamaProvider(context)
    assert provider.identity(ModelSettings()) == address
    assert provider.identity(ModelSettings(base_url="http://x")) == ""
    assert provider.requirements().base_url == address


def test_diagnosis_counts_the_models(context, serving, http_reply, monkeypatch):
    """For p2re doctor."""

    async def respond(request, writer):
        assert request.startswith(b"GET /api/tags ")
        writer.write(http_reply(b'{"models": [{}]}'))

    async def run():
        provider = OllamaProvider(context)
        async with serving(respond) as base_url:
            monkeypatch.setenv("OLLAMA_HOST", base_url)
            said = await provider.diagnose()
            await provider.close()
        return said

    assert asyncio.run(run()).endswith("answers with 1 models")


def _line(**more):
    return json.dumps({"model": "m", "message": {"role": "assistant", "content": "a"}, **more})


@pytest.mark.parametrize(
    ("body", "kind", "partial"),
    [
        (_line(done=False) + '\n{"error": "the runner died"}\n', ServerFault, "a"),
        (_line(done=False) + "\n", TruncatedResponse, "a"),
        (_line(done=False) + '\n{"model": "m", "mess', TruncatedResponse, "a"),
        (_line(done=False) + "\n<html>\n", MalformedResponse, "a"),
        ("", TruncatedResponse, None),
        ('{"model": "m", "done": true}\n', MalformedResponse, None),
    ],
)
def test_fault_inside_the_lines_is_an_error(context, serving, http_reply, body, kind, partial):
    """After a status of 200, too; the text that arrived is kept."""

    async def respond(request, writer):
        headers = {"content-type": "application/x-ndjson"}
        writer.write(http_reply(body.encode(), headers=headers))

    async def run():
        provider = OllamaProvider(context)
        async with serving(respond) as base_url:
            with pytest.raises(ProviderError) as caught:
                await provider.complete(_prompt(base_url=base_url, stream=True))
            await provider.close()
        return caught.value

    error = asyncio.run(run())
    assert type(error) is kind
    assert error.partial == partial


@pytest.mark.parametrize(
    ("said", "reason"), [("stop", "stop"), ("length", "length"), ("load", "other"), (None, "other")]
)
def test_finish_reason_is_mapped_and_kept(said, reason):
    """One vocabulary; a server too old to say gives no reason."""
    message = {"role": "assistant", "content": "a"}
    completion = read_ollama(CALL, {"message": message, "done": True, "done_reason": said})
    assert (completion.finish_reason, completion.raw_finish_reason) == (reason, said)


@pytest.mark.parametrize("payload", [{}, {"message": None}, [], "x"])
def test_answer_without_a_message_is_malformed(payload):
    """Something else answers there."""
    with pytest.raises(MalformedResponse, match="/api/chat"):
        read_ollama(CALL, payload)
