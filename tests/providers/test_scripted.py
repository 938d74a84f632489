"""Scripted answers: chosen by words, by order, or by a function."""

from __future__ import annotations

import asyncio

import pytest

from p2re_eval.errors import InvalidRequest, RateLimited, Unsupported
from p2re_eval.providers.scripted import ScriptedProvider
from p2re_eval.records import Completion, Price, Usage


class CountingClock:
    """Time that passes only when somebody sleeps."""

    def __init__(self):
        self.elapsed_ns = 0

    def now_ns(self):
        return self.elapsed_ns

    def monotonic_ns(self):
        return self.elapsed_ns

    async def sleep(self, seconds):
        self.elapsed_ns += int(seconds * 1e9)
        await asyncio.sleep(0)


def _complete(provider, *prompts, **keywords):
    async def run():
        return [await provider.complete(prompt, **keywords) for prompt in prompts]

    return asyncio.run(run())


def test_first_matching_expression_answers(ask):
    """In the order written, on the last user message."""
    extra = {"answers": {"charged|invoice": "billing", ".*": "technical"}}
    prompts = [ask(text=text, extra=extra) for text in ("I was charged twice", "It broke")]
    answers = _complete(ScriptedProvider(), *prompts)
    assert [answer.text for answer in answers] == ["billing", "technical"]


def test_list_is_gone_through_call_by_call(ask):
    """And begins again."""
    prompt = ask(extra={"answers": ["a", "b"]})
    answers = _complete(ScriptedProvider(), prompt, prompt, prompt)
    assert [answer.text for answer in answers] == ["a", "b", "a"]


def test_without_answers_the_question_comes_back(ask):
    """Tokens are words, the model is the one asked for, and nothing is paid."""
    (answer,) = _complete(ScriptedProvider(), ask(text="two words", name="echo"))
    assert answer == Completion(
        text="two words",
        model="echo",
        usage=Usage(input_tokens=2, output_tokens=2),
        cost_usd=0.0,
        duration_ns=answer.duration_ns,
    )


def test_answer_may_be_a_whole_completion(ask):
    """Any field of Completion."""
    call = {"id": "c", "name": "f", "arguments": "{}"}
    answer = {"tool_calls": [call], "finish_reason": "tool_calls", "cost_usd": 0.5}
    (completion,) = _complete(ScriptedProvider(), ask(extra={"answers": [answer]}))
    assert completion.tool_calls[0].name == "f"
    assert completion.cost_usd == 0.5


def test_latency_passes_on_the_sessions_clock(ask):
    """No real time is spent."""
    clock = CountingClock()
    (answer,) = _complete(ScriptedProvider(clock=clock), ask(extra={"latency_s": 30}))
    assert clock.elapsed_ns == 30_000_000_000
    assert answer.duration_ns == 30_000_000_000


def test_error_of_any_kind_for_the_first_calls(ask):
    """error_times: then the answer comes."""
    provider = ScriptedProvider()
    prompt = ask(text="hi", extra={"error": "rate_limited", "error_times": 1})
    with pytest.raises(RateLimited, match="scripted error 'rate_limited'") as caught:
        _complete(provider, prompt)
    assert caught.value.retryable is True
    assert _complete(provider, prompt)[0].text == "hi"
    always = ask(extra={"error": "rate_limited"})
    for _ in range(3):
        with pytest.raises(RateLimited):
            _complete(provider, always)
    assert provider.calls == 5
    assert provider.in_flight == 0


def test_function_answers_sync_or_async(ask):
    """In Python, a function of the rendered prompt."""

    async def shout(prompt):
        return prompt.messages[-1].text.upper()

    assert _complete(ScriptedProvider(lambda prompt: "yes"), ask())[0].text == "yes"
    assert _complete(ScriptedProvider(shout), ask(text="no"))[0].text == "NO"


def test_calls_in_flight_are_counted(ask):
    """The most there were at once."""
    provider = ScriptedProvider(clock=CountingClock())

    async def run():
        prompt = ask(extra={"latency_s": 1})
        await asyncio.gather(*(provider.complete(prompt) for _ in range(3)))

    asyncio.run(run())
    assert (provider.calls, provider.in_flight, provider.most_in_flight) == (3, 0, 3)


def test_streamed_answer_comes_word_by_word(ask):
    """The pieces are the text."""
    pieces = []
    text = "one  two\nthree "
    _complete(ScriptedProvider(), ask(text=text, stream=True), on_text=pieces.append)
    assert "".join(pieces) == text
    assert len(pieces) > 2


def test_price_of_the_settings_is_paid(ask):
    """Costs can be tried out without a service."""
    (answer,) = _complete(ScriptedProvider(), ask(text="a b", price=Price(input=1e6, output=5e5)))
    assert answer.cost_usd == 3.0


@pytest.mark.parametrize(
    ("extra", "kind", "said"),
    [
        ({"answer": "x"}, Unsupported, "did you mean 'answers'"),
        ({"answers": "x"}, InvalidRequest, "must be a mapping"),
        ({"answers": []}, InvalidRequest, "not empty"),
        ({"answers": {"(": "x"}}, InvalidRequest, "no regular expression"),
        ({"error": "rate_limit"}, InvalidRequest, "did you mean 'rate_limited'"),
    ],
)
def test_mistakes_in_the_script_are_found_before_any_call(ask, extra, kind, said):
    """check() refuses them."""
    with pytest.raises(kind, match=said):
        ScriptedProvider().check(ask(extra=extra))


def test_question_without_an_answer_is_an_error(ask):
    """Never an empty text."""
    with pytest.raises(InvalidRequest, match="no scripted answer matches 'Hello'"):
        _complete(ScriptedProvider(), ask(extra={"answers": {"x": "y"}}))


def test_answer_that_is_no_completion_is_an_error(ask):
    """The field is named."""
    with pytest.raises(InvalidRequest, match="txt"):
        _complete(ScriptedProvider(), ask(extra={"answers": [{"txt": "y"}]}))
