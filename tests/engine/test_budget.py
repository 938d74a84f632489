"""Money is held before a call and settled after it; what may not be spent never is."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Literal

import pytest

from p2re_eval.clock import SystemClock
from p2re_eval.engine.budget import (
    Account,
    Budget,
    MemoryLedger,
    most_input_tokens,
    most_usd,
    output_limit,
)
from p2re_eval.engine.calls import Caller, Providers
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import OverBudget, ProviderError, ProviderTimeout, ServerFault
from p2re_eval.providers.scripted import ScriptedProvider
from p2re_eval.records import (
    ImagePart,
    Message,
    ModelSettings,
    Price,
    RenderedPrompt,
    Tool,
)

DOLLAR_A_TOKEN = Price(input=0, output=1e6)
"""Input is free and an output token costs a dollar: what is held is ``max_tokens`` dollars."""


def in_a_loop(test: Callable[..., Coroutine[object, object, None]]) -> Callable[..., None]:
    """Run the test in a loop of its own."""

    @functools.wraps(test)
    def run(*arguments: object, **named: object) -> None:
        asyncio.run(test(*arguments, **named))

    return run


def prompt(max_tokens: int | None = 2, **settings: object) -> RenderedPrompt:
    values = {"provider": "scripted", "name": "m", "price": DOLLAR_A_TOKEN, **settings}
    model = ModelSettings(max_tokens=max_tokens, **values)  # type: ignore[arg-type]
    return RenderedPrompt(name="p", messages=(Message(role="user", content="hi"),), model=model)


def caller(provider: object, budget: Budget, attempts: int = 1) -> Caller:
    providers = Providers(
        {"scripted": lambda context: provider},  # type: ignore[dict-item,return-value]
        root=Path(),
        clock=SystemClock(),
    )
    retry = RetryPolicy(attempts=attempts, first_delay_s=0.001)
    return Caller(providers, clock=SystemClock(), concurrency=10, retry=retry, budget=budget)


def words(number: int) -> ScriptedProvider:
    """Answers in so many words, of a dollar each."""
    return ScriptedProvider(lambda prompt: " ".join(["word"] * number))


def test_what_a_call_can_cost_is_never_less_than_what_it_costs() -> None:
    """Every byte a token, a few around each message, the schema, the tools; an image for 10,000."""
    text = "Grüße, 世界"
    plain = RenderedPrompt(
        name="p",
        messages=(Message(role="user", content=text),),
        model=ModelSettings(provider="scripted", name="m", max_tokens=7),
    )
    assert most_input_tokens(plain) == len(text.encode()) + 64 + 64
    tools = (Tool(name="find", parameters={"type": "object"}),)
    assert most_input_tokens(plain.model_copy(update={"tools": tools})) > most_input_tokens(plain)
    image = Message(role="user", content=(ImagePart(url="data:image/png;base64,AA"),))
    shown = plain.model_copy(update={"messages": (*plain.messages, image)})
    assert most_input_tokens(shown) == most_input_tokens(plain) + 10_000 + 64
    assert output_limit(plain) == 7


@pytest.mark.parametrize(
    ("provider", "limit"), [("anthropic", 4096), ("local", 1024), ("openai", 32_768)]
)
def test_an_answer_nobody_limited_is_held_for_in_full(provider: str, limit: int) -> None:
    """What the provider limits by itself, else what no answer reaches."""
    assert output_limit(prompt(None, provider=provider)) == limit


def test_a_price_is_the_users_the_lists_or_unknown() -> None:
    """A model in this process is free; nobody knows another's price unless it is given."""
    assert most_usd(ScriptedProvider(), prompt(5)) == 5.0
    assert most_usd(ScriptedProvider(), prompt(5, price=None)) == 0.0

    class Elsewhere(ScriptedProvider):
        free = False

    assert most_usd(Elsewhere(), prompt(5, price=None)) is None


@in_a_loop
async def test_calls_stop_where_the_next_could_pass_the_limit() -> None:
    """Each holds two dollars and spends one: of five dollars four calls are made, not five."""
    budget = Budget(5.0, MemoryLedger(5.0))
    calls, provider = [], words(1)
    of_five = caller(provider, budget)
    for _ in range(4):
        calls.append(await of_five.call(prompt()))
    with pytest.raises(OverBudget, match=r"has no room: \$4.00 is spent, and p on scripted/m"):
        await of_five.call(prompt())
    assert budget.ledger.spent_usd == 4.0
    assert provider.calls == 4


@in_a_loop
async def test_calls_at_once_never_hold_more_than_the_limit() -> None:
    """Twenty at once on five dollars: at most two in flight, four answered, sixteen refused."""
    budget = Budget(5.0, MemoryLedger(5.0))

    async def answer(prompt: RenderedPrompt) -> str:
        await asyncio.sleep(0.001)
        return "word"

    provider = ScriptedProvider(answer)
    of_five = caller(provider, budget)
    ended = await asyncio.gather(
        *(of_five.call(prompt()) for _ in range(20)), return_exceptions=True
    )
    assert sum(isinstance(one, OverBudget) for one in ended) == 16
    assert (provider.calls, provider.most_in_flight) == (4, 2)
    assert budget.ledger.spent_usd == 4.0


@in_a_loop
async def test_an_unknown_price_is_refused_unless_it_is_allowed() -> None:
    """Not free, and not guessed."""

    class Elsewhere(ScriptedProvider):
        free = False

    unpriced = prompt(price=None)
    with pytest.raises(OverBudget, match="nobody knows the price of scripted/m"):
        await caller(Elsewhere(), Budget(5.0, MemoryLedger(5.0))).call(unpriced)
    allowing = Budget(5.0, MemoryLedger(5.0), allow_unpriced=True)
    assert (await caller(Elsewhere(), allowing).call(unpriced)).completion.text == "hi"


@pytest.mark.parametrize(
    ("error", "spent"),
    [(ServerFault("503", status=503), 0.0), (ProviderTimeout("late"), 2.0)],
)
@in_a_loop
async def test_an_attempt_that_may_have_been_charged_counts_in_full(
    error: ProviderError, spent: float
) -> None:
    """A refusal costs nothing; an answer that got lost may be on the bill."""
    budget = Budget(9.0, MemoryLedger(9.0))

    def fail(prompt: RenderedPrompt) -> str:
        raise error

    with pytest.raises(type(error)):
        await caller(ScriptedProvider(fail), budget).call(prompt())
    assert budget.ledger.spent_usd == spent


@in_a_loop
async def test_a_retry_needs_money_of_its_own() -> None:
    """One lost attempt of three dollars fits into five, a second does not: the error says so."""
    budget = Budget(5.0, MemoryLedger(5.0))
    provider = ScriptedProvider(lambda prompt: _raise(ProviderTimeout("late")))
    with pytest.raises(ProviderTimeout, match=r"late; not tried again: the budget of"):
        await caller(provider, budget, attempts=9).call(prompt(3))
    assert budget.ledger.spent_usd == 3.0


def _raise(error: Exception) -> str:
    raise error


@in_a_loop
async def test_a_call_cancelled_in_flight_counts_and_one_before_it_does_not() -> None:
    """Who hangs up after asking may be charged; who never asked is not."""
    budget = Budget(5.0, MemoryLedger(5.0))
    account = Account(budget, ScriptedProvider(), prompt())
    await account.open()
    await account.close()
    assert budget.ledger.spent_usd == 0.0
    await account.open()
    account.calling()
    await account.close()
    assert budget.ledger.spent_usd == 2.0


@in_a_loop
async def test_an_answer_of_unknown_cost_counts_with_what_was_held() -> None:
    """Better too much than over the limit."""
    budget = Budget(5.0, MemoryLedger(5.0))
    account = Account(budget, ScriptedProvider(), prompt())
    await account.open()
    await account.answered(None)
    assert budget.ledger.spent_usd == 2.0


def test_a_ledger_says_whether_waiting_helps() -> None:
    """``busy`` while something open may come back, ``spent`` when it cannot be enough."""
    ledger = MemoryLedger(3.0)
    said: list[Literal["held", "busy", "spent"]] = [ledger.hold(2.0), ledger.hold(2.0)]
    said.append(ledger.hold(4.0))
    ledger.settle(2.0, 1.5)
    said += [ledger.hold(2.0), ledger.hold(1.5)]
    assert said == ["held", "busy", "spent", "spent", "held"]
