"""How many calls may be in flight at once: what was asked, what each lane bears, when it is dead.

A lane is one model behind one key at one address: what a service's limits are about. Its limit
starts modest, grows with every answer up to what was asked, and is halved once for each burst of
refusals, as networks do it.

Source: RFC 5681, sections 3.1 and 3.2 (slow start, congestion avoidance, one cut a round trip)
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from p2re_eval.errors import NotRun, Overloaded, ProviderError, RateLimited
from p2re_eval.records import JSON

FIRST_LIMIT = 24
"""Calls in flight before anything is known about a lane."""
GROWTH = 2
"""New places for every answer while no call was ever refused: the limit triples each round."""
LONGEST_HOLD_S = 60.0
"""A service may make a lane wait so long; past that only the call it said it to waits."""
KEPT_CUTS = 20
"""So many of a lane's cuts are in its log, the last ones; a long run may have thousands."""
FATAL = frozenset({"authentication", "permission", "quota_exhausted"})
MOST_FATAL = 3
DOWN = frozenset({"connection", "timeout", "server", "overloaded", "rate_limited"})
MOST_DOWN = 8
"""So many runs in a row that end in such an error, with no answer between them, end a lane."""


@dataclass
class Lane:
    """One model, key and address: how much it bears and what came of it.

    ``number`` is the provider's own of its key and address. ``cuts`` are the limits after each cut,
    ``closed`` the sentence that says why nothing is sent there any more.
    """

    name: str
    number: int
    limit: float
    in_flight: int = 0
    epoch: int = 0
    held: int = 0
    reached: int = 0
    cuts: list[int] = field(default_factory=list)
    closed: str = ""
    not_run: int = 0
    _failed: dict[frozenset[str], int] = field(default_factory=dict)

    @property
    def room(self) -> float:
        """Places left; none while the service has asked to wait."""
        return 0.0 if self.held or self.closed else int(self.limit) - self.in_flight

    def answered(self, most: int) -> None:
        """An answer: the lane bears more."""
        self._failed.clear()
        grown = GROWTH if not self.epoch else 1 / self.limit
        self.limit = min(float(most), self.limit + grown)

    def refused(self, epoch: int) -> None:
        """A refusal of a call begun in this epoch: calls begun before a cut say nothing new."""
        if epoch == self.epoch:
            self.epoch += 1
            before, self.limit = self.limit, max(1.0, min(self.limit, self.in_flight) / 2)
            if self.limit < before:
                self.cuts.append(int(self.limit))

    def gave_up(self, error: ProviderError) -> None:
        """A run ended here without an answer; too many in a row close the lane."""
        for kinds, most in ((FATAL, MOST_FATAL), (DOWN, MOST_DOWN)):
            if error.kind in kinds:
                count = self._failed[kinds] = self._failed.get(kinds, 0) + 1
                if count >= most and not self.closed:
                    self.closed = (
                        f"{self.name}: {count} runs in a row ended with '{error.kind}', so no "
                        f"more were sent there; the last said: {error}"
                    )

    def log(self, asked: int) -> dict[str, JSON]:
        """What a report tells of it: numbers of calls in flight."""
        told: dict[str, JSON] = {"asked": asked, "reached": self.reached}
        if self.cuts:
            told["cuts"] = self.cuts[-KEPT_CUTS:]
            told["cut"] = len(self.cuts)
            told["now"] = int(self.limit)
        if self.closed:
            told["closed"] = self.closed
            told["not_run"] = self.not_run
        return told


@dataclass(frozen=True)
class Slot:
    """A place in flight on a lane; ``epoch`` says which cut of the lane it came after."""

    lane: Lane
    epoch: int


class Line:
    """The calls of one provider: at most ``most`` in flight, each on a lane with room for it."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.near = asyncio.Semaphore(2 * most)
        self.lanes: dict[str, Lane] = {}
        self._in_flight = 0
        self._waiting: deque[tuple[Sequence[Lane], asyncio.Future[Lane]]] = deque()

    def lanes_of(self, names: Sequence[str]) -> list[Lane]:
        """The lanes of these names, made when they are first heard of."""
        for number, name in enumerate(names):
            if name not in self.lanes:
                self.lanes[name] = Lane(name, number, float(min(self.most, FIRST_LIMIT)))
        return [self.lanes[name] for name in names]

    def refuse_closed(self, lanes: Sequence[Lane]) -> None:
        """Raises NotRun when all of these lanes are closed, and counts it."""
        if all(lane.closed for lane in lanes):
            lanes[0].not_run += 1
            raise NotRun(lanes[0].closed)

    async def take(self, lanes: Sequence[Lane]) -> Slot:
        """A place on the emptiest of these lanes, in turn. Raises NotRun when all are closed."""
        if self._waiting or (lane := self._emptiest(lanes)) is None:
            waiter: asyncio.Future[Lane] = asyncio.get_running_loop().create_future()
            self._waiting.append((lanes, waiter))
            self._let_in()
            try:
                lane = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self._leave(waiter.result())
                raise
        else:
            self._enter(lane)
        return Slot(lane, lane.epoch)

    def give_back(self, slot: Slot, error: BaseException | None = None) -> None:
        """The attempt is over: with an answer, or with this error."""
        if error is None:
            slot.lane.answered(self.most)
        elif isinstance(error, (RateLimited, Overloaded)):
            slot.lane.refused(slot.epoch)
        self._leave(slot.lane)

    def hold(self, lane: Lane) -> None:
        """Nothing more goes to this lane until :meth:`go_on`."""
        lane.held += 1

    def go_on(self, lane: Lane) -> None:
        """The wait that the service asked for is over."""
        lane.held -= 1
        self._let_in()

    def gave_up(self, lane: Lane, error: ProviderError) -> None:
        """A run ended without an answer. Who waits for a lane that this closes is sent away."""
        lane.gave_up(error)
        self._let_in()

    def log(self) -> dict[str, JSON]:
        """The lanes on which not everything went as asked: those that were cut or closed."""
        strained = (lane for lane in self.lanes.values() if lane.cuts or lane.closed)
        return {lane.name: lane.log(self.most) for lane in strained}

    def _enter(self, lane: Lane) -> None:
        self._in_flight += 1
        lane.in_flight += 1
        lane.reached = max(lane.reached, lane.in_flight)

    def _leave(self, lane: Lane) -> None:
        self._in_flight -= 1
        lane.in_flight -= 1
        self._let_in()

    def _let_in(self) -> None:
        """Wake those who can go now, in turn; who must wait lets others pass to other lanes."""
        passed: list[tuple[Sequence[Lane], asyncio.Future[Lane]]] = []
        while self._waiting and len(passed) < max(1, len(self.lanes)):
            lanes, waiter = entry = self._waiting.popleft()
            if waiter.done():
                continue
            try:
                lane = self._emptiest(lanes)
            except NotRun as error:
                waiter.set_exception(error)
                continue
            if lane is None:
                passed.append(entry)
                continue
            self._enter(lane)
            waiter.set_result(lane)
        self._waiting.extendleft(reversed(passed))

    def _emptiest(self, lanes: Sequence[Lane]) -> Lane | None:
        self.refuse_closed(lanes)
        if self._in_flight >= self.most:
            return None
        best = max(lanes, key=lambda lane: lane.room)
        return best if best.room > 0 else None


def merged(logs: Sequence[dict[str, JSON]]) -> dict[str, JSON]:
    """The logs of several processes as one: numbers added up, cuts one after the other."""
    whole: dict[str, JSON] = {}
    for log in logs:
        for name, told in log.items():
            known = whole.setdefault(name, {})
            for key, value in told.items():
                added = key in known and key != "closed"
                known[key] = known[key] + value if added else known.get(key, value)
    return whole
