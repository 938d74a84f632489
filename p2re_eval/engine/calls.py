"""One model call done properly: a slot, a time limit, retries, and an error with a reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from p2re_eval.documents import did_you_mean
from p2re_eval.engine.budget import Account, Budget
from p2re_eval.engine.lanes import FATAL, LONGEST_HOLD_S, Lane, Line, Slot
from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import (
    NotFound,
    NotRun,
    OverBudget,
    ProviderError,
    ProviderTimeout,
    RateLimited,
    Unsupported,
)
from p2re_eval.interfaces import (
    Clock,
    Embedder,
    LanedProvider,
    Provider,
    ProviderContext,
    ProviderFactory,
)
from p2re_eval.records import (
    JSON,
    Completion,
    Embeddings,
    Message,
    ModelSettings,
    RenderedPrompt,
)

_Value = TypeVar("_Value")
ATTEMPT_TIMEOUT_S = 120.0
RUN_TIMEOUT_S = 600.0


class Providers:
    """The session's providers, each made on first use and closed together."""

    def __init__(
        self, factories: Mapping[str, ProviderFactory], *, root: Path, clock: Clock
    ) -> None:
        self._factories = factories
        self._context = ProviderContext(root=root, clock=clock)
        self._made: dict[str, Provider] = {}

    def get(self, name: str) -> Provider:
        """The provider of this name. Raises NotFound with a did-you-mean."""
        if name not in self._made:
            if name not in self._factories:
                raise NotFound(
                    f"no provider is called '{name}'{did_you_mean(name, self._factories)}",
                    provider=name,
                )
            self._made[name] = self._factories[name](self._context)
        return self._made[name]

    async def close(self) -> None:
        """Give back every connection and model."""
        made, self._made = list(self._made.values()), {}
        await asyncio.gather(*(provider.close() for provider in made))


@dataclass(frozen=True)
class Answer:
    """A completion and how many attempts it took."""

    completion: Completion
    attempts: int


class Turn(Protocol):
    """A run in the line of those that wait for a slot."""

    async def near(self) -> None:
        """It will be called soon: what must be on disk by then is written now, while others are
        still being answered."""

    def come(self) -> None:
        """It has a slot: the provider is called next."""


class Caller:
    """Calls providers within the session's limits."""

    def __init__(
        self,
        providers: Providers,
        *,
        clock: Clock,
        concurrency: int,
        retry: RetryPolicy,
        budget: Budget | None = None,
    ) -> None:
        self.providers = providers
        self._budget = budget
        self._clock = clock
        self._retry = retry
        self._concurrency = concurrency
        self._lines: dict[str, Line] = {}

    async def call(
        self,
        prompt: RenderedPrompt,
        turn: Turn | None = None,
        *,
        on_text: Callable[[str], None] | None = None,
    ) -> Answer:
        """The provider's answer after as many attempts as make sense; ``turn`` is told when it is
        near and when it has come, ``on_text`` each piece of a streaming one, of every attempt.

        Raises ProviderError with ``attempts`` set: the last attempt's, or the reason why waiting
        longer is pointless. Raises OverBudget before anything is begun, NotRun where so many calls
        failed that no more are sent.
        """
        provider = self.providers.get(prompt.model.provider or "")
        provider.check(prompt)
        errand = _Errand(
            provider,
            prompt.model,
            partial(self._completed, provider, prompt, on_text),
            Account(self._budget, provider, prompt),
        )
        line, lanes = self._line(errand)
        async with errand.account:
            if turn is None:
                return Answer(*await self._in_line(line, lanes, errand, None))
            async with line.near:
                line.refuse_closed(lanes)
                await turn.near()
                return Answer(*await self._in_line(line, lanes, errand, turn))

    async def embed(self, model: ModelSettings, texts: Sequence[str]) -> Embeddings:
        """The texts' vectors, within the same limits. Raises ProviderError as :meth:`call` does,
        and Unsupported when the provider makes none."""
        provider = self.providers.get(model.provider or "")
        if not isinstance(provider, Embedder):
            what = f"{model.provider} makes no embeddings; choose a provider that does"
            raise Unsupported(what, provider=model.provider or "", model=model.name or "")
        ask: Callable[..., Awaitable[Embeddings]] = provider.embed

        def send(lane: int) -> Awaitable[Embeddings]:
            return ask(model, texts, lane=lane) if lane else ask(model, texts)

        account = Account(self._budget, provider, _as_prompt(model, texts))
        errand = _Errand(provider, model, send, account)
        async with account:
            vectors, _ = await self._in_line(*self._line(errand), errand, None)
        return vectors

    def limits(self) -> dict[str, JSON]:
        """Where not everything went as asked: calls in flight asked for and reached, cuts, and why
        nothing more was sent."""
        logs = [line.log() for line in self._lines.values()]
        return {name: told for log in logs for name, told in log.items()}

    async def _in_line(
        self, line: Line, lanes: Sequence[Lane], errand: _Errand[_Value], turn: Turn | None
    ) -> tuple[_Value, int]:
        limit_s = errand.model.run_timeout_s or RUN_TIMEOUT_S
        spent_s = 0.0  # in attempts and pauses: waiting for a slot is nobody's fault
        attempt = 1
        last: ProviderError | None = None
        while True:
            slot = await _taken(line, lanes, last)
            if turn is not None and attempt == 1:
                turn.come()
            began = self._clock.monotonic_ns()
            try:
                with _given_back(line, slot):
                    done = await _paid(errand, limit_s - spent_s, slot.lane.number)
                return done, attempt
            except ProviderError as error:
                last = error
                last.attempts = attempt
                spent_s += (self._clock.monotonic_ns() - began) / 1e9
                lanes = _elsewhere(lanes, slot.lane, error)
                if slot.lane in lanes:
                    delay_s = self._pause_s(line, slot.lane, error, limit_s - spent_s, limit_s)
                    await self._wait(line, slot.lane, error, delay_s)
                    spent_s += delay_s
                else:
                    line.gave_up(slot.lane, error)
            await _again(errand.account, last)
            attempt += 1

    def _pause_s(
        self, line: Line, lane: Lane, error: ProviderError, left_s: float, limit_s: float
    ) -> float:
        """Seconds to wait before the next attempt; where none makes sense the lane is told, and
        the error raised."""
        try:
            return self._delay_s(error, left_s, limit_s)
        except ProviderError as given_up:
            line.gave_up(lane, given_up)
            raise

    async def _wait(self, line: Line, lane: Lane, error: ProviderError, delay_s: float) -> None:
        """Let the pause pass; a service that names it means everybody on the lane."""
        asked = isinstance(error, RateLimited) and error.retry_after_s is not None
        if not asked or delay_s > LONGEST_HOLD_S:
            await self._clock.sleep(delay_s)
            return
        line.hold(lane)
        try:
            await self._clock.sleep(delay_s)
        finally:
            line.go_on(lane)

    def _delay_s(self, error: ProviderError, left_s: float, limit_s: float) -> float:
        """Seconds to wait before the next attempt. Raises the error when none makes sense."""
        delay_s = self._retry.delay_s(error, error.attempts)
        if delay_s is None:
            raise error
        if delay_s > left_s:
            raise _out_of_time(error, delay_s, limit_s) from error
        return delay_s

    async def _completed(
        self,
        provider: Provider | LanedProvider,
        prompt: RenderedPrompt,
        on_text: Callable[[str], None] | None,
        lane: int,
    ) -> Completion:
        started = self._clock.monotonic_ns()
        if lane:
            assert isinstance(provider, LanedProvider)
            completion = await provider.complete(prompt, on_text=on_text, lane=lane)
        elif on_text is not None:
            completion = await provider.complete(prompt, on_text=on_text)
        else:  # as a provider that never streams may have it
            completion = await provider.complete(prompt)
        if completion.duration_ns is None:
            elapsed = self._clock.monotonic_ns() - started
            completion = completion.model_copy(update={"duration_ns": elapsed})
        return completion

    def _line(self, errand: _Errand[_Value]) -> tuple[Line, Sequence[Lane]]:
        """The provider's line, and the lanes that can serve the errand."""
        provider = errand.provider
        line = self._lines.get(provider.name)
        if line is None:
            most = self._concurrency
            if provider.concurrency is not None:
                most = min(most, provider.concurrency)
            line = self._lines[provider.name] = Line(max(1, most))
        return line, line.lanes_of(_lane_names(provider, errand.model))


@dataclass(frozen=True)
class _Errand(Generic[_Value]):
    """What a provider is asked for: ``send`` makes one attempt on the lane of this number."""

    provider: Provider
    model: ModelSettings
    send: Callable[[int], Awaitable[_Value]]
    account: Account


def _as_prompt(model: ModelSettings, texts: Sequence[str]) -> RenderedPrompt:
    """The texts to embed as a budget counts them: input only."""
    return RenderedPrompt(
        name="embeddings",
        messages=tuple(Message(role="user", content=text) for text in texts),
        model=model.model_copy(update={"max_tokens": 1}),
    )


async def _paid(errand: _Errand[_Value], left_s: float, lane: int) -> _Value:
    errand.account.calling()
    try:
        value = await _attempt(errand, left_s, lane)
    except ProviderError as error:
        await errand.account.failed(error)
        raise
    await errand.account.answered(getattr(value, "cost_usd", None))
    return value


async def _attempt(errand: _Errand[_Value], left_s: float, lane: int) -> _Value:
    name = errand.provider.name
    try:
        async with asyncio.timeout(min(_attempt_limit_s(errand.model), left_s)):
            return await errand.send(lane)
    except TimeoutError:
        raise _timed_out(name, errand.model, left_s) from None
    except (ProviderError, NotRun):
        raise
    except Exception as error:  # a plug-in's provider may raise anything
        what = f"the provider '{name}' broke: {type(error).__name__}: {error}"
        raise ProviderError(what, provider=name) from error


async def _again(account: Account, failed: ProviderError) -> None:
    """Money for the next attempt. Raises the error of the last one where there is none."""
    try:
        await account.open()
    except OverBudget as error:
        failed.args = (f"{failed}; not tried again: {error}",)
        raise failed from error


def _lane_names(provider: Provider, model: ModelSettings) -> Sequence[str]:
    """The keys and addresses that can be asked for this model."""
    lanes = getattr(provider, "lanes", None)
    return [model.id] if lanes is None else [f"{model.id} at {name}" for name in lanes(model)]


def _elsewhere(lanes: Sequence[Lane], lane: Lane, error: ProviderError) -> Sequence[Lane]:
    """The lanes for the next attempt: after an error that is this key's own, the other keys'."""
    others = [other for other in lanes if other is not lane and not other.closed]
    return others if others and error.kind in FATAL else lanes


async def _taken(line: Line, lanes: Sequence[Lane], last: ProviderError | None) -> Slot:
    """A place in flight. Raises NotRun, or the last attempt's error where there was one, when the
    lanes are closed."""
    try:
        return await line.take(lanes)
    except NotRun:
        if last is not None:
            raise last from None
        raise


@contextmanager
def _given_back(line: Line, slot: Slot) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        line.give_back(slot, error)
        raise
    line.give_back(slot)


def _attempt_limit_s(model: ModelSettings) -> float:
    return model.timeout_s or ATTEMPT_TIMEOUT_S


def _timed_out(provider: str, model: ModelSettings, left_s: float) -> ProviderError:
    """The limit that was hit is named: raising the other would not help."""
    limit_s, name = _attempt_limit_s(model), "timeout_s"
    whose = ""
    if left_s < limit_s:
        limit_s, name = model.run_timeout_s or RUN_TIMEOUT_S, "run_timeout_s"
        whose = "the run's "
    return ProviderTimeout(
        f"{model.id} gave no answer within {whose}{limit_s:g} s; "
        f"raise {name} in the model settings if it needs longer",
        provider=provider,
        model=model.name or "",
        retryable=name == "timeout_s",
    )


def _out_of_time(error: ProviderError, delay_s: float, limit_s: float) -> ProviderError:
    late = type(error)(
        f"{error}; the next attempt would be in {round(delay_s, 2):g} s, "
        f"past the run's limit of {limit_s:g} s (run_timeout_s)",
        provider=error.provider,
        model=error.model,
        status=error.status,
        retry_after_s=error.retry_after_s,
        retryable=False,
        partial=error.partial,
    )
    late.attempts = error.attempts
    return late
