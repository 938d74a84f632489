"""How many calls are in flight: limits that adapt, keys that share a load, dead lanes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from p2re_eval.engine.calls import Caller, Providers
from p2re_eval.engine.lanes import Line, Slot, merged
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    InvalidRequest,
    NotRun,
    Overloaded,
    ProviderError,
    RateLimited,
)
from p2re_eval.interfaces import Clock
from p2re_eval.records import Completion, Message, ModelSettings, RenderedPrompt


async def _take(line: Line, count: int) -> list[Slot]:
    """As many slots as there are at once, at most so many."""
    lanes = line.lanes_of(["m"])
    taken = []
    for _ in range(count):
        try:
            taken.append(await asyncio.wait_for(line.take(lanes), 0.001))
        except TimeoutError:
            break
    return taken


def test_a_lane_starts_modest_and_triples_until_what_was_asked() -> None:
    """24 calls, then 72, then the 200 that were asked for."""

    async def rounds() -> list[int]:
        line, sizes = Line(200), []
        for _ in range(4):
            slots = await _take(line, 300)
            sizes.append(len(slots))
            for slot in slots:
                line.give_back(slot)
        return sizes

    assert asyncio.run(rounds()) == [24, 72, 200, 200]


def test_what_was_asked_is_used_at_once_where_it_is_less() -> None:
    """The default of 10 is never held back."""

    async def first() -> int:
        return len(await _take(Line(10), 50))

    assert asyncio.run(first()) == 10


def test_a_burst_of_refusals_is_one_cut() -> None:
    """24 calls in flight are refused together: 12 remain, not one."""

    async def burst() -> tuple[list[int], int]:
        line = Line(50)
        for slot in await _take(line, 50):
            line.give_back(slot, RateLimited("slow down"))
        return line.lanes["m"].cuts, len(await _take(line, 50))

    assert asyncio.run(burst()) == ([12], 12)


def test_an_overload_after_the_cut_is_another_cut_and_growth_is_one_a_round() -> None:
    """12, 6, and from there 7, 8 ...: no storm is provoked again by leaps."""

    async def later() -> tuple[list[int], list[int]]:
        line = Line(50)
        for error in (RateLimited("x"), Overloaded("x")):
            for slot in await _take(line, 50):
                line.give_back(slot, error)
        sizes = []
        for _ in range(3):
            slots = await _take(line, 50)
            sizes.append(len(slots))
            for slot in slots:
                line.give_back(slot)
        return line.lanes["m"].cuts, sizes

    assert asyncio.run(later()) == ([12, 6], [6, 6, 7])


def test_other_errors_change_no_limit() -> None:
    """A bad prompt says nothing about the service's limits."""

    async def refused() -> int:
        line = Line(50)
        for slot in await _take(line, 50):
            line.give_back(slot, InvalidRequest("no"))
        return len(await _take(line, 50))

    assert asyncio.run(refused()) == 24


def test_those_who_wait_are_let_in_in_turn_and_the_cancelled_are_forgotten() -> None:
    """A cancelled waiter neither takes a slot nor leaks one."""

    async def queue() -> list[str]:
        line = Line(1)
        lanes = line.lanes_of(["m"])
        came: list[str] = []

        async def wait(name: str) -> None:
            slot = await line.take(lanes)
            came.append(name)
            line.give_back(slot)

        held = await line.take(lanes)
        waiters = [asyncio.ensure_future(wait(name)) for name in "abcd"]
        await asyncio.sleep(0)
        waiters[1].cancel()
        line.give_back(held)
        waiters[2].cancel()  # let in already or not: either way nothing is lost
        await asyncio.gather(*waiters, return_exceptions=True)
        assert len(await _take(line, 5)) == 1
        return came

    assert asyncio.run(queue()) in (["a", "d"], ["a", "c", "d"])


class Keyed:
    """A provider of several keys, each of which raises what ``errors`` says of it."""

    name = "keyed"
    concurrency = None

    def __init__(self, errors: dict[int, Callable[[], ProviderError]], *, keys: int = 2) -> None:
        self.errors = errors
        self.keys = keys
        self.calls: Counter[int] = Counter()
        self.in_flight = self.most_in_flight = 0

    def check(self, prompt: RenderedPrompt) -> None: ...

    def identity(self, model: ModelSettings) -> str:
        return ""

    def lanes(self, model: ModelSettings) -> Sequence[str]:
        return [f"KEY#{number}" for number in range(1, self.keys + 1)]

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        self.calls[lane] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        await asyncio.sleep(0)
        self.in_flight -= 1
        if lane in self.errors:
            raise self.errors[lane]()
        return Completion(text="ok")

    async def close(self) -> None: ...


class InLine:
    """A run that is recorded: it waits in line, twice as many as may be in flight at a time."""

    async def near(self) -> None: ...

    def come(self) -> None: ...


def _prompt() -> RenderedPrompt:
    model = ModelSettings(provider="keyed", name="m")
    return RenderedPrompt(name="p", messages=(Message(role="user", content="hi"),), model=model)


def _run(provider: Keyed, clock: Clock, count: int, *, most: int = 4) -> tuple[list, Caller]:
    providers = Providers({"keyed": lambda _: provider}, root=Path(), clock=clock)

    async def all_() -> tuple[list, Caller]:
        caller = Caller(providers, clock=clock, concurrency=most, retry=RetryPolicy(attempts=2))
        calls = (caller.call(_prompt(), InLine()) for _ in range(count))
        return await asyncio.gather(*calls, return_exceptions=True), caller

    return asyncio.run(all_())


def test_keys_share_the_load_within_what_was_asked(clock: Clock) -> None:
    """Two keys, four calls in flight in all, half of the calls on each."""
    provider = Keyed({})
    answers, _ = _run(provider, clock, 100)
    assert [answer.completion.text for answer in answers] == ["ok"] * 100
    assert provider.most_in_flight == 4
    assert sorted(provider.calls.values()) == [50, 50]


def test_a_refused_key_leaves_its_calls_to_the_others(clock: Clock) -> None:
    """One of two keys is wrong: every call is answered, and the wrong key is not asked for long."""
    provider = Keyed({0: lambda: AuthenticationFailed("who are you")})
    answers, caller = _run(provider, clock, 50)
    assert {answer.completion.text for answer in answers} == {"ok"}
    assert provider.calls[0] <= 6
    closed = caller.limits()["keyed/m at KEY#1"]["closed"]
    assert closed.startswith("keyed/m at KEY#1: 3 runs in a row ended with 'authentication'")
    assert list(caller.limits()) == ["keyed/m at KEY#1"]


def test_a_dead_provider_is_left_alone_and_says_what_was_not_run(clock: Clock) -> None:
    """Three refusals of the only key: the rest of 100 runs is not run, and counted."""
    provider = Keyed({0: lambda: AuthenticationFailed("who are you")}, keys=1)
    outcomes, caller = _run(provider, clock, 100)
    failed = [error for error in outcomes if isinstance(error, AuthenticationFailed)]
    not_run = [error for error in outcomes if isinstance(error, NotRun)]
    assert len(failed) == sum(provider.calls.values()) <= 7
    assert len(failed) + len(not_run) == 100
    assert "no more were sent there; the last said: who are you" in str(not_run[0])
    assert caller.limits()["keyed/m at KEY#1"]["not_run"] == len(not_run)


def test_a_server_that_is_down_is_given_up_after_eight_runs(clock: Clock) -> None:
    """Each run still has its attempts: 8 runs of two, and those that were in flight."""
    provider = Keyed({0: lambda: ConnectionFailed("refused")}, keys=1)
    outcomes, _ = _run(provider, clock, 100, most=1)
    assert [type(error) for error in outcomes].count(ConnectionFailed) in range(8, 11)
    assert provider.calls[0] <= 20


def test_an_answer_in_between_keeps_a_lane_open(clock: Clock) -> None:
    """Every third run fails for good; that is no dead provider."""
    provider = Keyed({}, keys=1)

    def sometimes(lane: int) -> bool:
        return lane == 0 and provider.calls[0] % 3 == 0

    class Sometimes(dict):
        def __contains__(self, lane: object) -> bool:
            return sometimes(int(str(lane)))

    provider.errors = Sometimes({0: lambda: AuthenticationFailed("not now")})
    outcomes, caller = _run(provider, clock, 60, most=1)
    assert sum(isinstance(error, AuthenticationFailed) for error in outcomes) == 20
    assert caller.limits() == {}


def test_a_wrong_prompt_closes_nothing(clock: Clock) -> None:
    """A hundred invalid requests are a hundred errors."""
    provider = Keyed({0: lambda: InvalidRequest("no such parameter")}, keys=1)
    outcomes, _ = _run(provider, clock, 100)
    assert {type(error) for error in outcomes} == {InvalidRequest}


def test_a_wait_that_the_service_names_is_everybodys(clock: Clock) -> None:
    """While one call waits out its Retry-After, no other goes to that lane."""

    async def held() -> list[int]:
        line = Line(10)
        lanes = line.lanes_of(["m"])
        line.hold(lanes[0])
        before = len(await _take(line, 10))
        line.go_on(lanes[0])
        return [before, len(await _take(line, 10))]

    assert asyncio.run(held()) == [0, 10]


def test_the_logs_of_several_processes_are_one() -> None:
    """Numbers add up, cuts follow each other, the first reason stays."""
    one = {
        "m": {
            "asked": 5,
            "reached": 5,
            "cuts": [2],
            "cut": 1,
            "now": 3,
            "closed": "why",
            "not_run": 4,
        }
    }
    two = {
        "m": {
            "asked": 5,
            "reached": 4,
            "cuts": [1],
            "cut": 1,
            "now": 2,
            "closed": "also",
            "not_run": 1,
        }
    }
    assert merged([one, two]) == {
        "m": {
            "asked": 10,
            "reached": 9,
            "cuts": [2, 1],
            "cut": 2,
            "now": 5,
            "closed": "why",
            "not_run": 5,
        }
    }
