"""One sync with Phoenix, or one after the other: the bridge's only way in."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from p2re_eval.bridges.http import Peer, plain_address
from p2re_eval.bridges.outcome import Outcome, Progress
from p2re_eval.bridges.phoenix import sweep
from p2re_eval.bridges.phoenix.annotations import Annotations
from p2re_eval.bridges.phoenix.arrivals import Arrivals
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.bridges.phoenix.course import Course
from p2re_eval.bridges.phoenix.departures import Departures
from p2re_eval.bridges.phoenix.experiments import take_over_experiments
from p2re_eval.bridges.phoenix.prompts import PromptSync
from p2re_eval.clock import SystemClock
from p2re_eval.errors import BridgeError
from p2re_eval.interfaces import Clock
from p2re_eval.store import Store

DEFAULT_ADDRESS = "http://127.0.0.1:6006"
KEY, ADDRESS, PROJECT = "PHOENIX_API_KEY", "PHOENIX_COLLECTOR_ENDPOINT", "PHOENIX_PROJECT_NAME"
"""The variables that Phoenix's own programs read, too."""


@dataclass(frozen=True)
class PhoenixSettings:
    """Which project of which server, and what to do; without ``pull`` and ``push``, both.

    ``full`` looks at every annotation, for deletions and for experiments, which otherwise happens
    once a day. ``datasets`` is the folder into which theirs are written as files for suites.
    """

    address: str = ""
    project: str = ""
    pull: bool = False
    push: bool = False
    full: bool = False
    dry: bool = False
    datasets: Path | None = None

    def completed(self) -> PhoenixSettings:
        """What was left out, from the environment or by default. Raises UsageError."""
        both = not (self.pull or self.push)
        return replace(
            self,
            address=plain_address(self.address or os.environ.get(ADDRESS) or DEFAULT_ADDRESS),
            project=self.project or os.environ.get(PROJECT) or "default",
            pull=self.pull or both,
            push=self.push or both,
        )

    @property
    def target(self) -> str:
        """The name of the ledger."""
        return f"phoenix {self.address} {self.project}"


async def sync_phoenix(
    store: Store,
    settings: PhoenixSettings,
    *,
    clock: Clock | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> Outcome:
    """Bring both sides in step. Whatever stops it, the next call goes on from there.

    Raises Unreachable, Refused, UsageError, MissingExtra (opentelemetry-proto), StoreError.
    """
    settings, clock = settings.completed(), clock or SystemClock()
    outcome = Outcome(settings.target, planned=settings.dry)
    begun_ns = clock.monotonic_ns()
    async with Peer(settings.address, clock, headers=_headers()) as peer:
        course = Course(
            store=store,
            ledger=store.sync_ledger(settings.target),
            phoenix=Phoenix(peer, settings.project),
            clock=clock,
            outcome=outcome,
            progress=progress,
            pull=settings.pull,
            push=settings.push,
            full=settings.full,
            dry=settings.dry,
        )
        try:
            await _run(course, settings.datasets)
        finally:
            outcome.requests = peer.requests
            outcome.duration_ns = clock.monotonic_ns() - begun_ns
    return outcome


async def watch_phoenix(
    store: Store,
    settings: PhoenixSettings,
    *,
    every_s: float = 5.0,
    clock: Clock | None = None,
    progress: Progress = lambda _what, _done, _total: None,
) -> AsyncIterator[Outcome | BridgeError]:
    """One sync after the other, for ever; a server that is away is tried again next time."""
    clock = clock or SystemClock()
    while True:
        try:
            yield await sync_phoenix(store, settings, clock=clock, progress=progress)
        except BridgeError as error:
            yield error
        await clock.sleep(every_s)


async def _run(course: Course, datasets: Path | None) -> None:
    arrivals, annotations = Arrivals(course), Annotations(course)
    first_time = course.ledger.position(sweep.STREAM).updated_ns is None
    await arrivals.read()
    await annotations.read()
    if course.push:
        await Departures(course, arrivals).send()
        await annotations.write()
    await PromptSync(course).run()
    due = sweep.is_due(course)
    if course.pull and (due or first_time or datasets is not None):
        await take_over_experiments(course, datasets)
    if due:
        await sweep.sweep(course)
    elif first_time:
        await sweep.remember(course)


def _headers() -> dict[str, str]:
    key = os.environ.get(KEY)
    return {"authorization": f"Bearer {key}"} if key else {}
