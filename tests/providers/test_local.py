"""Local models: the real library and, where it is pulled, the real model."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import struct

import pytest

from p2re_eval.errors import (
    ContextTooLong,
    InvalidRequest,
    MissingExtra,
    NotFound,
    ProviderError,
    Unsupported,
)
from p2re_eval.providers.gguf import GGUFError, read_header
from p2re_eval.providers.local import LocalProvider, _body
from p2re_eval.providers.models import is_pulled, known_model
from p2re_eval.records import ImagePart, Message, ModelSettings, RenderedPrompt, Tool

SMOLLM = known_model("smollm2-135m")
INSTALLED = importlib.util.find_spec("xllamacpp") is not None
needs_library = pytest.mark.skipif(not INSTALLED, reason="xllamacpp is not installed")
needs_model = pytest.mark.skipif(
    not (INSTALLED and is_pulled(SMOLLM)), reason="run: p2re models pull smollm2-135m"
)


@pytest.fixture
def local(ask):
    def build(text="What is the capital of France?", **settings):
        settings = {"name": "smollm2-135m", "temperature": 0, "max_tokens": 12, **settings}
        return ask(text=text, provider="local", **settings)

    return build


@pytest.fixture(scope="module")
def loop():
    """One loop for the module: the model is loaded once."""
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture(scope="module")
def loaded(loop, tmp_path_factory):
    from p2re_eval.clock import SystemClock
    from p2re_eval.interfaces import ProviderContext

    context = ProviderContext(root=tmp_path_factory.mktemp("root"), clock=SystemClock())
    provider = LocalProvider(context)
    yield provider
    loop.run_until_complete(provider.close())


def _string(text):
    return struct.pack("<Q", len(text)) + text.encode()


def _gguf(template="{{ messages }}", context=512):
    """The header of a model without a single tensor."""
    entries = [
        _string("general.architecture") + struct.pack("<I", 8) + _string("llama"),
        _string("llama.context_length") + struct.pack("<II", 4, context),
        _string("tokens") + struct.pack("<IIQ", 9, 8, 2) + _string("a") + _string("b"),
        _string("scores") + struct.pack("<IIQ", 9, 6, 2) + struct.pack("<ff", 0, 1),
        _string("tokenizer.chat_template") + struct.pack("<I", 8) + _string(template),
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + b"".join(entries)


def test_header_tells_context_and_tools(tmp_path):
    """Without reading the tensors."""
    path = tmp_path / "x.gguf"
    path.write_bytes(_gguf("{% if tools %}{% endif %}"))
    header = read_header(path)
    assert (header.architecture, header.context, header.takes_tools) == ("llama", 512, True)
    path.write_bytes(_gguf())
    assert read_header(path).takes_tools is False


@pytest.mark.parametrize("length", [0, 3, 10, 40, 100])
def test_damaged_header_is_an_error(tmp_path, length):
    """Cut off anywhere."""
    path = tmp_path / "x.gguf"
    path.write_bytes(_gguf()[:length])
    with pytest.raises(GGUFError):
        read_header(path)


@needs_library
def test_model_that_is_not_pulled_says_how_to_get_it(context, local, monkeypatch):
    """The one command."""
    monkeypatch.setenv("P2RE_MODELS", str(context.root))
    with pytest.raises(NotFound, match="run: p2re models pull smollm2-135m"):
        LocalProvider(context).check(local())


@needs_library
def test_model_that_nobody_knows_is_refused(context, local):
    """A name like a known one gets a hint; a path starts at the root folder."""
    provider = LocalProvider(context)
    with pytest.raises(NotFound, match="did you mean 'smollm2-135m'"):
        provider.check(local(name="smollm2-136m"))
    with pytest.raises(NotFound, match=rf"{context.root}/models/x\.gguf is not there"):
        provider.check(local(name="models/x.gguf"))


@needs_library
def test_file_that_is_no_model_is_refused(context, local):
    """Before llama.cpp sees it."""
    (context.root / "x.gguf").write_text("hello")
    with pytest.raises(InvalidRequest, match="does not begin like a GGUF file"):
        LocalProvider(context).check(local(name="x.gguf"))


@needs_library
def test_what_the_model_cannot_do_is_refused(context, local):
    """Images, tools its template ignores, addresses, and settings llama.cpp would pass over."""
    provider = LocalProvider(context)
    (context.root / "x.gguf").write_bytes(_gguf())
    image = Message(role="user", content=(ImagePart(url="data:image/png;base64,AA"),))
    for update, said in (
        ({"messages": (image,)}, "see no images"),
        ({"tools": (Tool(name="f"),)}, "shows the model no tools"),
        ({"model": local(name="x.gguf", extra={"top_q": 1}).model}, "did you mean 'top_k'"),
        ({"model": local(name="x.gguf", extra={"n_ctx": "9"}).model}, "whole number of tokens"),
        ({"model": local("http://x/v1", name="x.gguf", base_url="http://x").model}, "no base_url"),
    ):
        with pytest.raises(Unsupported, match=said):
            provider.check(local(name="x.gguf").model_copy(update=update))
    (context.root / "y.gguf").write_bytes(_gguf("{{ tools }}"))
    provider.check(local(name="y.gguf").model_copy(update={"tools": (Tool(name="f"),)}))


@needs_library
def test_model_that_cannot_be_loaded_is_an_error(context, local):
    """A header without tensors: llama.cpp refuses it, and the next call tries again."""
    (context.root / "x.gguf").write_bytes(_gguf())
    provider = LocalProvider(context)

    async def run():
        for _ in range(2):
            with pytest.raises(InvalidRequest, match="cannot load"):
                await provider.complete(local(name="x.gguf"))
        await provider.close()

    asyncio.run(run())


def test_missing_library_names_the_extra(context, local, monkeypatch):
    """Said before the call, as an error of this run and as a missing extra."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install \"p2re-eval\[local\]\"") as caught:
        LocalProvider(context).check(local())
    assert isinstance(caught.value, ProviderError)


@needs_model
def test_model_answers_the_same_twice(loop, loaded, local):
    """Temperature 0; tokens counted, nothing paid, no path of this machine in the answer."""
    loaded.check(local())
    first = loop.run_until_complete(loaded.complete(local()))
    again = loop.run_until_complete(loaded.complete(local()))
    assert first.text == again.text != ""
    assert first.model == "smollm2-135m"
    assert first.usage.input_tokens > 5
    assert first.usage.output_tokens == 12
    assert first.finish_reason == "length"
    assert first.cost_usd == 0.0
    assert first.duration_ns > 0
    assert "gguf" not in json.dumps(first.raw)


@needs_model
def test_streamed_text_is_the_text(loop, loaded, local):
    """In the loop's thread, piece by piece."""
    pieces = []
    answer = loop.run_until_complete(loaded.complete(local(stream=True), on_text=pieces.append))
    assert "".join(pieces) == answer.text
    assert len(pieces) > 3
    assert 0 < answer.time_to_first_token_ns <= answer.duration_ns


@needs_model
def test_output_schema_holds(loop, loaded, local):
    """llama.cpp samples by the schema's grammar."""
    schema = {
        "type": "object",
        "properties": {"team": {"enum": ["billing", "technical"]}},
        "required": ["team"],
    }
    prompt = local("I was charged twice.", max_tokens=30)
    prompt = prompt.model_copy(update={"output_schema": schema})
    answer = loop.run_until_complete(loaded.complete(prompt))
    assert json.loads(answer.text)["team"] in {"billing", "technical"}


@needs_model
def test_prompt_that_does_not_fit_is_too_long(loop, loaded, local):
    """llama.cpp's own word for it, ours in the tree."""
    with pytest.raises(ContextTooLong, match="exceeds the available context"):
        loop.run_until_complete(loaded.complete(local("word " * 9000)))


@needs_model
def test_request_that_llama_cpp_refuses_is_invalid(loop, loaded, local):
    """A schema that is none."""
    prompt = local().model_copy(update={"output_schema": {"type": "nonsense"}})
    with pytest.raises(InvalidRequest, match="unrecognized type"):
        loop.run_until_complete(loaded.complete(prompt))


@needs_model
def test_cancelled_call_frees_the_model(loop, loaded, local):
    """Both slots are busy with endless stories; cancelled, the next call gets its turn."""

    async def run():
        begun = [asyncio.Event(), asyncio.Event()]
        stories = [
            asyncio.create_task(
                loaded.complete(
                    local("Tell a very long story.", max_tokens=3000, stream=True),
                    on_text=lambda text, event=event: event.set(),
                )
            )
            for event in begun
        ]
        for event in begun:
            await event.wait()
        for story in stories:
            story.cancel()
        await asyncio.wait(stories)
        assert all(story.cancelled() for story in stories)
        return await asyncio.wait_for(loaded.complete(local(max_tokens=2)), 10)

    assert loop.run_until_complete(run()).usage.output_tokens == 2


@needs_model
def test_identity_is_the_files_hash(loaded, local):
    """The catalogue's."""
    assert loaded.identity(local().model) == SMOLLM.sha256


def test_an_answer_without_max_tokens_has_an_end() -> None:
    """Small models repeat themselves until somebody stops them."""
    model = ModelSettings(provider="local", name="smollm2-135m")
    asked = RenderedPrompt(
        name="p", messages=(Message(role="user", content="Go on."),), model=model
    )
    assert _body(asked)["max_tokens"] == 1024
    given = model.model_copy(update={"max_tokens": 3000})
    assert _body(asked.model_copy(update={"model": given}))["max_tokens"] == 3000
