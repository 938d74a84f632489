"""What a provider, a scorer's context and a clock must look like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from p2re_eval.records import Completion, Embeddings, Experiment, ModelSettings, RenderedPrompt


class Clock(Protocol):
    """Time as the engine sees it; tests pass one that counts."""

    def now_ns(self) -> int:
        """Wall time, nanoseconds since the epoch."""

    def monotonic_ns(self) -> int:
        """Never goes back; for durations."""

    async def sleep(self, seconds: float) -> None:
        """Wait in the running loop."""


class Provider(Protocol):
    """One way to reach models. Made once a session, used from the engine's loop only.

    ``concurrency`` is the most calls worth having in flight at once, ``None`` for no limit.

    A provider may also have ``async def diagnose(self) -> str``, for ``p2re doctor``: one sentence
    on what it found ready, free of cost; it raises ProviderError when calls would fail. And
    ``def requirements(self) -> Requirements``, for ``p2re providers``. And ``free = True``, where
    a call costs nothing unless the model settings name a price.
    """

    name: str
    concurrency: int | None

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never work, before any call.

        Raises ProviderError (Unsupported, AuthenticationFailed, NotFound) with what to do.
        """

    def identity(self, model: ModelSettings) -> str:
        """What else decides the answer besides the prompt: a model file's hash, a function's
        source; "" when there is nothing. Part of the cache key."""

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """One attempt: no retry, no timeout of its own beyond the connection's.

        ``on_text`` receives each piece of text as it arrives when the prompt's model streams.
        Raises ProviderError; cancelling it closes the connection.
        """

    async def close(self) -> None:
        """Give back connections and memory."""


@runtime_checkable
class LanedProvider(Protocol):
    """A provider that several keys or addresses serve: the engine spreads calls over them."""

    def lanes(self, model: ModelSettings) -> Sequence[str]:
        """What each is called, at least one, never a key itself. The first has number 0."""

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        """:meth:`Provider.complete`, by the key and address of this number."""


@runtime_checkable
class Embedder(Protocol):
    """A provider that also turns texts into vectors."""

    async def embed(self, model: ModelSettings, texts: Sequence[str]) -> Embeddings:
        """One attempt. ``extra`` goes to the service as it is. Raises ProviderError."""


@dataclass(frozen=True)
class ProviderContext:
    """What a provider is made from: the project's root folder and the session's clock."""

    root: Path
    clock: Clock


@dataclass(frozen=True)
class Requirements:
    """What a provider reads from outside the prompt: its address, "" for none, and the environment
    variables, of which calls to that address need one of those in ``needed``; ``missing`` is the
    extra that is not installed."""

    base_url: str = ""
    variables: tuple[str, ...] = ()
    needed: tuple[str, ...] = ()
    note: str = ""
    missing: str = ""


ProviderFactory: TypeAlias = Callable[[ProviderContext], Provider]


class ExperimentLog(Protocol):
    """The recorded experiments, as a plug-in that chooses among them sees them."""

    def list_experiments(self, limit: int = 20) -> list[Experiment]:
        """The newest first."""

    def read_experiment(self, experiment_id: str) -> Experiment:
        """The one whose id is or begins so. Raises NoSuchRecord."""


class ScoringContext(Protocol):
    """What a scorer may ask for by declaring a keyword parameter named ``context``."""

    prompt: RenderedPrompt
    trace_id: str
    root: Path

    async def complete(self, prompt: RenderedPrompt) -> Completion:
        """Ask a model: recorded as a child span of the run being scored. Raises ProviderError."""

    async def embed(self, model: ModelSettings, texts: Sequence[str]) -> Embeddings:
        """The texts' vectors by a provider that makes them, recorded likewise.

        Raises ProviderError: Unsupported when the provider makes none, NotRecorded in replay.
        """


ScorerFunction: TypeAlias = Callable[..., object]
"""``def contains(completion, case, *, text: str, ignore_case: bool = False) -> Score``: options are
keyword-only; the first one takes the value of the short form ``contains: text``. It may be async,
and return a Score, a bool or a number. A function under ``@scorer`` is as good as a plain one."""

RedactionFunction: TypeAlias = Callable[[str], str | None]
"""Takes one text as the user knows it and gives what may be stored; None: nothing of it."""

Environment: TypeAlias = Any
"""A ``jinja2.Environment``, named so that nothing here imports Jinja."""
