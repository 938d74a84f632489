"""One call with its slot, its time limit and its retries."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from p2re_eval.clock import SystemClock
from p2re_eval.engine.calls import Caller, Providers
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import (
    InvalidRequest,
    NotFound,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    ServerFault,
)
from p2re_eval.interfaces import Clock, ProviderContext
from p2re_eval.records import Completion, Message, ModelSettings, RenderedPrompt

ANSWER = Completion(text="billing")


class Flaky:
    """A provider that raises what it is given, then answers."""

    name = "flaky"

    def __init__(self, errors: list[Exception], *, concurrency: int | None = None) -> None:
        self.errors = errors
        self.concurrency = concurrency
        self.calls = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.closed = False

    def check(self, prompt: RenderedPrompt) -> None:
        if prompt.name == "refused":
            raise InvalidRequest("refused before the call")

    def identity(self, model: ModelSettings) -> str:
        return ""

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        self.calls += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(3600 if prompt.name == "hangs" else 0)
            if self.errors:
                raise self.errors.pop(0)
        finally:
            self.in_flight -= 1
        return ANSWER

    async def close(self) -> None:
        self.closed = True


def prompt(name: str = "p", **settings: object) -> RenderedPrompt:
    model = ModelSettings(provider="flaky", name="m", **settings)  # type: ignore[arg-type]
    return RenderedPrompt(name=name, messages=(Message(role="user", content="hi"),), model=model)


def caller(provider: Flaky, clock: Clock, *, concurrency: int = 10, attempts: int = 3) -> Caller:
    providers = Providers({"flaky": lambda _: provider}, root=Path(), clock=clock)
    retry = RetryPolicy(attempts=attempts)
    return Caller(providers, clock=clock, concurrency=concurrency, retry=retry)


def test_a_call_that_succeeds_later_counts_its_attempts(clock: Clock) -> None:
    """Two rate limits with hints, then an answer: three attempts, the hints slept."""
    provider = Flaky([RateLimited("x", retry_after_s=2.0), RateLimited("x", retry_after_s=5.0)])
    answer = asyncio.run(caller(provider, clock).call(prompt()))
    assert answer.completion.text == "billing"
    assert answer.attempts == 3
    assert clock.slept == [2.0, 5.0]  # type: ignore[attr-defined]


def test_attempts_are_bounded(clock: Clock) -> None:
    """The last error comes through and knows how many attempts there were."""
    provider = Flaky([ServerFault(f"fault {n}") for n in range(9)])
    with pytest.raises(ServerFault, match="fault 2") as caught:
        asyncio.run(caller(provider, clock).call(prompt()))
    assert caught.value.attempts == 3
    assert provider.calls == 3


def test_waiting_past_the_runs_limit_is_refused_at_once(clock: Clock) -> None:
    """A service that says "in an hour" does not hold the session for an hour."""
    provider = Flaky([RateLimited("slow down", retry_after_s=3600.0)])
    with pytest.raises(RateLimited, match=r"slow down; the next attempt would be in 3600 s, past"):
        asyncio.run(caller(provider, clock).call(prompt()))
    assert clock.slept == []  # type: ignore[attr-defined]


def test_a_refusal_before_the_call_calls_nothing(clock: Clock) -> None:
    """check() speaks before any model is called."""
    provider = Flaky([])
    with pytest.raises(InvalidRequest, match="refused before the call"):
        asyncio.run(caller(provider, clock).call(prompt("refused")))
    assert provider.calls == 0


def test_a_hanging_provider_times_out_with_a_sentence() -> None:
    """The attempt's limit is the prompt's own; the call is cancelled, so its slot is free again."""
    provider = Flaky([])
    with pytest.raises(ProviderTimeout, match=r"flaky/m gave no answer within 0\.02 s; raise"):
        asyncio.run(
            caller(provider, SystemClock(), attempts=1).call(prompt("hangs", timeout_s=0.02))
        )
    assert provider.in_flight == 0


def test_the_runs_limit_is_named_when_it_ends_the_attempt() -> None:
    """Raising timeout_s would not help, and there is no time for another attempt."""
    provider = Flaky([])
    says = r"flaky/m gave no answer within the run's 0\.02 s; raise run_timeout_s in the model"
    with pytest.raises(ProviderTimeout, match=says):
        asyncio.run(caller(provider, SystemClock()).call(prompt("hangs", run_timeout_s=0.02)))
    assert provider.calls == 1


def test_waiting_for_a_slot_costs_nothing_of_the_runs_time(clock: Clock) -> None:
    """The last of a long queue may try again like the first."""
    provider = Flaky([RateLimited("slow down", retry_after_s=6.0) for _ in range(3)])

    async def three() -> list[int]:
        one = caller(provider, clock, concurrency=1)
        answers = await asyncio.gather(*(one.call(prompt(run_timeout_s=7)) for _ in range(3)))
        return [answer.attempts for answer in answers]

    assert asyncio.run(three()) == [2, 2, 2]


@pytest.mark.parametrize(("session", "own", "most"), [(3, None, 3), (10, 2, 2), (2, 5, 2)])
def test_in_flight_never_exceeds_the_sessions_or_the_providers_limit(
    clock: Clock, session: int, own: int | None, most: int
) -> None:
    """The lower of the two limits holds, and it is used."""
    provider = Flaky([], concurrency=own)

    async def many() -> None:
        one = caller(provider, clock, concurrency=session)
        await asyncio.gather(*(one.call(prompt()) for _ in range(20)))

    asyncio.run(many())
    assert provider.most_in_flight == most
    assert provider.calls == 20


def test_what_a_provider_should_not_raise_is_an_error_with_its_name(clock: Clock) -> None:
    """A plug-in with a bug breaks its own runs, with a sentence, and is not tried again."""
    provider = Flaky([TypeError("takes 4 arguments"), RateLimited("never reached")])
    with pytest.raises(ProviderError, match="'flaky' broke: TypeError: takes 4 arguments"):
        asyncio.run(caller(provider, clock).call(prompt()))
    assert provider.calls == 1


class Noted:
    """A turn that notes how many calls there had been when it was near and when it came."""

    def __init__(self, provider: Flaky) -> None:
        self.provider = provider
        self.notes: list[tuple[str, int]] = []

    async def near(self) -> None:
        self.notes.append(("near", self.provider.calls))

    def come(self) -> None:
        self.notes.append(("come", self.provider.calls))


def test_a_turn_is_near_then_comes_and_only_once(clock: Clock) -> None:
    """A second attempt does not begin again."""
    provider = Flaky([ServerFault("first")])
    turn = Noted(provider)
    asyncio.run(caller(provider, clock).call(prompt(), turn))
    assert turn.notes == [("near", 0), ("come", 0)]
    assert provider.calls == 2


def test_at_most_as_many_runs_as_slots_are_near(clock: Clock) -> None:
    """With one slot a second run may get ready; a third has not begun in any way."""
    provider = Flaky([], concurrency=1)
    turns = [Noted(provider) for _ in range(3)]

    async def stuck() -> None:
        one = caller(provider, clock)
        calls = [asyncio.ensure_future(one.call(prompt("hangs"), turn)) for turn in turns]
        while provider.calls == 0:
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)

    asyncio.run(stuck())
    assert [[what for what, _ in turn.notes] for turn in turns] == [["near", "come"], ["near"], []]


def test_an_unknown_provider_is_a_sentence_with_a_suggestion(clock: Clock) -> None:
    """A typo in a provider's name names the near one."""
    providers = Providers({"openai": lambda _: Flaky([])}, root=Path(), clock=clock)
    with pytest.raises(NotFound, match="no provider is called 'opnai'; did you mean 'openai'"):
        providers.get("opnai")


def test_providers_are_made_once_and_closed_together(clock: Clock) -> None:
    """A factory runs on first use only; closing reaches every provider made."""
    made: list[Flaky] = []

    def factory(context: ProviderContext) -> Flaky:
        made.append(Flaky([]))
        return made[-1]

    providers = Providers({"flaky": factory}, root=Path(), clock=clock)
    assert providers.get("flaky") is providers.get("flaky")
    asyncio.run(providers.close())
    assert [provider.closed for provider in made] == [True]
