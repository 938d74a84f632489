"""Money set aside before a call and settled after it: what a session may spend, it never exceeds.

A call holds the most it can cost: every byte of the request as a token, and as many output tokens
as it may give. What it really cost replaces that when it is answered. An attempt that broke in a
way that may have been charged counts with all it held.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

from p2re_eval.errors import (
    ConnectionFailed,
    MalformedResponse,
    OverBudget,
    ProviderError,
    ProviderTimeout,
    TruncatedResponse,
)
from p2re_eval.interfaces import Clock, Provider
from p2re_eval.providers.prices import quoted_usd
from p2re_eval.quantities import money_text
from p2re_eval.records import (
    ImagePart,
    ModelSettings,
    RenderedPrompt,
    Usage,
    canonical_json,
)
from p2re_eval.store import SharedLedger

UNCAPPED_OUTPUT_TOKENS = 32_768
"""What is held for an answer whose length nobody limited."""
DEFAULT_OUTPUT_TOKENS = {"anthropic": 4096, "local": 1024}
"""Providers that limit an answer by themselves."""
IMAGE_TOKENS = 10_000
"""More than any service counts for an image."""
_TOKENS_AROUND = 64
"""What a service may add to a message, or to the request, on its own."""
_POLL_S = 0.05
_PERHAPS_CHARGED = (ProviderTimeout, TruncatedResponse, MalformedResponse, ConnectionFailed)


class Ledger(Protocol):
    """Who keeps the sums: this process, or the database for several (``shared``)."""

    shared: bool

    @property
    def spent_usd(self) -> float:
        """What is spent so far."""

    def hold(self, usd: float) -> Literal["held", "busy", "spent"]:
        """Set so much aside; ``busy`` while open calls may still give some back, ``spent`` when
        there will never be enough."""

    def settle(self, held_usd: float, spent_usd: float) -> None:
        """Give back what was held, and note what of it was spent."""

    def close(self) -> None:
        """Nothing more is asked."""


class MemoryLedger:
    """The sums of one process."""

    shared = False

    def __init__(self, limit_usd: float) -> None:
        self._limit_usd = limit_usd
        self._held_usd = 0.0
        self._open = 0
        self.spent_usd = 0.0

    def hold(self, usd: float) -> Literal["held", "busy", "spent"]:
        if self.spent_usd + usd > self._limit_usd:
            return "spent"
        if self._open and self.spent_usd + self._held_usd + usd > self._limit_usd:
            return "busy"
        self._held_usd += usd
        self._open += 1
        return "held"

    def settle(self, held_usd: float, spent_usd: float) -> None:
        self._open -= 1
        self._held_usd = self._held_usd - held_usd if self._open else 0.0
        self.spent_usd += spent_usd

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(frozen=True)
class Hold:
    """What is set aside for one attempt of a call."""

    usd: float


@dataclass(frozen=True)
class BudgetSettings:
    """What may be spent; ``shared`` when other processes spend from the same budget."""

    limit_usd: float
    allow_unpriced: bool = False
    shared: bool = False


def open_budget(wanted: BudgetSettings, path: Path, experiment_id: str, *, clock: Clock) -> Budget:
    """The budget of a session whose database is at ``path``; closing its ledger lets go of it."""
    ledger: Ledger = MemoryLedger(wanted.limit_usd)
    if wanted.shared:
        ledger = SharedLedger(path, experiment_id, wanted.limit_usd, clock=clock)
    return Budget(wanted.limit_usd, ledger, allow_unpriced=wanted.allow_unpriced)


class Budget:
    """Decides before each attempt whether it may be made. Used from the engine's loop."""

    def __init__(self, limit_usd: float, ledger: Ledger, *, allow_unpriced: bool = False) -> None:
        self.limit_usd = limit_usd
        self.ledger = ledger
        self._allow_unpriced = allow_unpriced
        self._settled = asyncio.Event()

    async def hold(self, provider: Provider, prompt: RenderedPrompt) -> Hold:
        """Set aside the most that this call can cost, waiting for open calls where that helps.

        Raises OverBudget when it may not be made.
        """
        most = most_usd(provider, prompt)
        if most is None and not self._allow_unpriced:
            raise OverBudget(unpriced(prompt.model))
        hold = Hold(most or 0.0)
        while True:
            self._settled.clear()
            standing = await self._ask(hold.usd)
            if standing == "held":
                return hold
            if standing == "spent":
                raise OverBudget(self._refusal(prompt, hold.usd))
            try:
                await asyncio.wait_for(
                    self._settled.wait(), _POLL_S if self.ledger.shared else None
                )
            except TimeoutError:
                continue

    async def answered(self, hold: Hold, cost_usd: float | None) -> None:
        """The call was answered: what it cost is spent; all that was held where that is unknown."""
        await self._settle(hold, hold.usd if cost_usd is None else cost_usd)

    async def failed(self, hold: Hold, error: BaseException) -> None:
        """The attempt gave no answer; unless the service refused it, it may have been charged."""
        refused = isinstance(error, ProviderError) and not isinstance(error, _PERHAPS_CHARGED)
        await self._settle(hold, 0.0 if refused else hold.usd)

    async def unused(self, hold: Hold) -> None:
        """No call was made."""
        await self._settle(hold, 0.0)

    async def _ask(self, usd: float) -> Literal["held", "busy", "spent"]:
        if self.ledger.shared:
            return await asyncio.to_thread(self.ledger.hold, usd)
        return self.ledger.hold(usd)

    async def _settle(self, hold: Hold, spent_usd: float) -> None:
        if self.ledger.shared:
            # A cancelled caller must not leave its money set aside.
            await asyncio.shield(asyncio.to_thread(self.ledger.settle, hold.usd, spent_usd))
        else:
            self.ledger.settle(hold.usd, spent_usd)
        self._settled.set()

    def _refusal(self, prompt: RenderedPrompt, usd: float) -> str:
        spent = money_text(self.ledger.spent_usd)
        told = f"the budget of {money_text(self.limit_usd)} has no room: {spent} is spent, and "
        told += f"{prompt.name} on {prompt.model.id} could cost up to {money_text(usd)}"
        if output_limit(prompt) == UNCAPPED_OUTPUT_TOKENS and prompt.model.max_tokens is None:
            told += (
                f"; it has no max_tokens, so {UNCAPPED_OUTPUT_TOKENS:,} output tokens are counted"
            )
        return told


class Account:
    """One call's money, attempt by attempt; without a budget everything is allowed.

    ``async with`` it around the call: what was not spent is given back at the end.
    """

    def __init__(self, budget: Budget | None, provider: Provider, prompt: RenderedPrompt) -> None:
        self._budget = budget
        self._provider = provider
        self._prompt = prompt
        self._hold: Hold | None = None
        self._calling = False

    async def __aenter__(self) -> None:
        """Raises OverBudget."""
        await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def open(self) -> None:
        """Before an attempt. Raises OverBudget."""
        if self._budget is not None and self._hold is None:
            self._hold = await self._budget.hold(self._provider, self._prompt)

    def calling(self) -> None:
        """The provider is called next: from here on money may flow."""
        self._calling = True

    async def answered(self, cost_usd: float | None) -> None:
        """The attempt was answered, at this cost."""
        if self._budget is not None and self._hold is not None:
            hold, self._hold = self._hold, None
            await self._budget.answered(hold, cost_usd)

    async def failed(self, error: BaseException) -> None:
        """The attempt gave no answer."""
        if self._budget is not None and self._hold is not None:
            hold, self._hold, self._calling = self._hold, None, False
            await self._budget.failed(hold, error)

    async def close(self) -> None:
        """The call is over; what was cancelled in flight may have been charged."""
        if self._budget is not None and self._hold is not None:
            hold, self._hold = self._hold, None
            if self._calling:
                await self._budget.failed(hold, asyncio.CancelledError())
            else:
                await self._budget.unused(hold)


def unpriced(model: ModelSettings) -> str:
    """Why a budget refuses calls of this model, and what to do."""
    return (
        f"nobody knows the price of {model.id}, so a budget cannot hold; give its settings "
        "a price: {input: ..., output: ...} (US dollars per million tokens), or add "
        "--p2re-allow-unpriced"
    )


def most_usd(provider: Provider, prompt: RenderedPrompt) -> float | None:
    """The most US dollars one attempt can cost; ``None`` when nobody knows the price."""
    usage = Usage(input_tokens=most_input_tokens(prompt), output_tokens=output_limit(prompt))
    return quoted_usd(provider, prompt.model, usage)


def most_input_tokens(prompt: RenderedPrompt) -> int:
    """No tokenizer makes more tokens than bytes; services add a few around each message."""
    tokens = _TOKENS_AROUND
    for message in prompt.messages:
        tokens += len(message.text.encode("utf-8", "surrogatepass")) + _TOKENS_AROUND
        tokens += sum(len(call.arguments.encode()) + len(call.name) for call in message.tool_calls)
        if not isinstance(message.content, str):
            tokens += IMAGE_TOKENS * sum(isinstance(part, ImagePart) for part in message.content)
    for attached in (prompt.output_schema, [tool.model_dump() for tool in prompt.tools]):
        if attached:
            tokens += len(canonical_json(attached).encode())
    return tokens


def output_limit(prompt: RenderedPrompt) -> int:
    """The most output tokens this call can give; an assumption where nothing limits it."""
    if prompt.model.max_tokens is not None:
        return prompt.model.max_tokens
    return DEFAULT_OUTPUT_TOKENS.get(prompt.model.provider or "", UNCAPPED_OUTPUT_TOKENS)
