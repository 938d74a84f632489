"""The user's own functions as models."""

from __future__ import annotations

import asyncio
import sys
import uuid

import pytest

from p2re_eval.errors import FunctionFailed, InvalidRequest, NotFound, RateLimited, Unsupported
from p2re_eval.providers.function import FunctionProvider
from p2re_eval.records import Message, ModelSettings, RenderedPrompt


@pytest.fixture
def module(tmp_path):
    """Writes a module below the root under a fresh name; forgets it afterwards."""
    made = []

    def write(source: str) -> str:
        name = f"bot_{uuid.uuid4().hex[:8]}"
        (tmp_path / f"{name}.py").write_text(source)
        made.append(name)
        return name

    yield write
    for name in made:
        sys.modules.pop(name, None)


@pytest.fixture
def provider(context):
    provider = FunctionProvider(context)
    yield provider
    asyncio.run(provider.close())


def _prompt(target, *, stream=None, extra=None, **inputs):
    model = ModelSettings(provider="function", name=target, stream=stream, extra=extra)
    messages = (Message(role="user", content="Hello"),)
    return RenderedPrompt(name="x", messages=messages, model=model, variables=inputs)


def _complete(provider, prompt, **keywords):
    provider.check(prompt)
    return asyncio.run(provider.complete(prompt, **keywords))


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("def f(ticket): return ticket.upper()", "HI"),
        ("async def f(ticket): return ticket", "hi"),
        ("def f(ticket, /, *, n=3): return ticket * n", "hihihi"),
        ("def f(prompt): return prompt.messages[0].text", "Hello"),
        ("def f(messages): return messages[0]['role'] + messages[0]['content']", "userHello"),
        ("def f(**inputs): return sorted(inputs)", '["team", "ticket"]'),
        ("def f(ticket, **rest): return rest", '{"team": "a"}'),
        ("def f(): return 'nothing needed'", "nothing needed"),
        ("class F:\n  async def __call__(self, team): return team\nf = F()", "a"),
        ("class f:\n  @staticmethod\n  def g(team): return team", "a"),
        (
            "from p2re_eval.records import Completion\n"
            "def f(): return Completion(text='own', model='m', cost_usd=0.5)",
            "own",
        ),
    ],
)
def test_function_receives_what_its_signature_names(provider, module, source, text):
    """Inputs by name, the prompt, the messages, or the rest; sync, async or an object."""
    target = f"{module(source)}:{'f.g' if 'def g' in source else 'f'}"
    completion = _complete(provider, _prompt(target, ticket="hi", team="a"))
    assert completion.text == text
    assert completion.duration_ns > 0


def test_input_named_prompt_goes_before_the_prompt(provider, module):
    """The prompt's own inputs have the first claim on a name."""
    target = f"{module('def f(prompt): return prompt')}:f"
    assert _complete(provider, _prompt(target, prompt="mine")).text == "mine"


def test_exception_names_itself_and_the_last_line_of_the_project(provider, module):
    """Frames inside libraries are not where the user can look."""
    name = module(
        "import json\ndef f(ticket):\n    return inner()\ndef inner():\n    json.loads('x')"
    )
    with pytest.raises(FunctionFailed) as caught:
        _complete(provider, _prompt(f"{name}:f", ticket="x"))
    assert str(caught.value) == (
        f"function/{name}:f raised JSONDecodeError: Expecting value: line 1 column 1 (char 0) "
        f"({name}.py:5 in inner)"
    )
    assert caught.value.retryable is False


def test_function_that_exits_is_an_error_like_any_other(provider, module):
    """sys.exit in a bot does not end the session; StopIteration does not hang it."""
    for statement in ("raise SystemExit(3)", "raise StopIteration"):
        name = module(f"def f():\n    {statement}")
        with pytest.raises(FunctionFailed, match="raised"):
            _complete(provider, _prompt(f"{name}:f"))


def test_provider_error_of_the_function_passes_through(provider, module):
    """So that a bot can say what is worth another attempt."""
    name = module("from p2re_eval.errors import RateLimited\ndef f(): raise RateLimited('later')")
    with pytest.raises(RateLimited, match="later"):
        _complete(provider, _prompt(f"{name}:f"))


@pytest.mark.parametrize(("value", "kind"), [("None", "nothing"), ("7", "int"), ("{1}", "set")])
def test_function_must_return_an_answer(provider, module, value, kind):
    """Text, a dict, a list or a Completion."""
    name = module(f"def f(): return {value}")
    with pytest.raises(FunctionFailed, match=f"returned {kind}"):
        _complete(provider, _prompt(f"{name}:f"))


def test_function_must_return_what_json_can_hold(provider, module):
    """A dict of objects is no answer."""
    name = module("def f(): return {'x': object()}")
    with pytest.raises(FunctionFailed, match="JSON cannot hold"):
        _complete(provider, _prompt(f"{name}:f"))


def test_mistakes_are_found_before_any_call(provider, module):
    """check() says what is wrong and what was meant."""
    name = module("def answer(ticket): return ticket\nnumber = 3")
    for target, said in {
        "nothing": "write function/package.module:callable",
        f"{name}:anser": "did you mean 'answer'",
        f"{name}:number": "is a int, not a function",
        f"{name[:-1]}:answer": f"did you mean '{name}'",
    }.items():
        with pytest.raises(NotFound, match=said):
            provider.check(_prompt(target, ticket="x"))
    with pytest.raises(InvalidRequest, match=r"takes 'ticket'.*did you mean 'tickets'"):
        provider.check(_prompt(f"{name}:answer", tickets="x"))
    with pytest.raises(Unsupported, match="takes no 'extra'"):
        provider.check(_prompt(f"{name}:answer", ticket="x", extra={"a": 1}))


def test_module_that_breaks_at_import_names_its_line(provider, module):
    """Also when what is missing is another module."""
    name = module("x = 1\nraise ValueError('no config')")
    with pytest.raises(FunctionFailed, match=rf"ValueError: no config .*{name}\.py:2"):
        provider.check(_prompt(f"{name}:f"))
    name = module("import no_such_library")
    with pytest.raises(FunctionFailed, match="No module named 'no_such_library'"):
        provider.check(_prompt(f"{name}:f"))
    name = module("def f(:")
    with pytest.raises(FunctionFailed, match=rf"SyntaxError.*{name}\.py:1"):
        provider.check(_prompt(f"{name}:f"))


def test_identity_changes_with_the_source(context, module, tmp_path):
    """A changed function is another model to the cache."""
    name = module("def f(): return 'a'")
    first = FunctionProvider(context).identity(ModelSettings(name=f"{name}:f"))
    again = FunctionProvider(context).identity(ModelSettings(name=f"{name}:f"))
    (tmp_path / f"{name}.py").write_text("def f(): return 'b'")
    changed = FunctionProvider(context).identity(ModelSettings(name=f"{name}:f"))
    assert first == again
    assert len(first) == 64
    assert changed != first


def test_root_is_on_the_path_only_while_the_provider_is_open(context, module):
    """close() leaves the import path as it was."""
    before = list(sys.path)
    provider = FunctionProvider(context)
    provider.check(_prompt(f"{module('def f(): return 1')}:f"))
    assert str(context.root) in sys.path
    asyncio.run(provider.close())
    assert sys.path == before


def test_function_in_a_thread_leaves_the_loop_free(provider, module):
    """Two sync functions that wait for each other both finish."""
    name = module(
        "import threading\nboth = threading.Barrier(2)\n"
        "def f():\n    both.wait(5)\n    return 'met'"
    )
    prompt = _prompt(f"{name}:f")

    async def run():
        return await asyncio.gather(provider.complete(prompt), provider.complete(prompt))

    assert [completion.text for completion in asyncio.run(run())] == ["met", "met"]


def test_text_is_handed_over_when_streaming(provider, module):
    """A function streams in one piece."""
    pieces = []
    name = module("def f(): return 'all'")
    _complete(provider, _prompt(f"{name}:f", stream=True), on_text=pieces.append)
    assert pieces == ["all"]
