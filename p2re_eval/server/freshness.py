"""Whether anything was written since an answer was given: what makes asking again cheap.

SQLite tells a connection that others have committed, of this process or another, without reading a
table. So an answer that comes from the record alone carries the state of the file in its ETag, and
the same question in the same state is answered from memory, or with 304 where the client has it.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from fastapi import Request, Response

from p2re_eval.store.connection import open_for_reading

_MOST_BYTES = 32 * 1024 * 1024
"""Of all answers that are kept; the one that was used longest ago goes first."""
_LARGEST = 4 * 1024 * 1024
FROM_RECORD = "p2re_from_record"
"""Set on a request whose answer comes from the database alone and not from the clock."""


class Unchanged(Exception):
    """Ends a request before its query runs: ``response`` is what the client already has, or what
    was answered before."""

    def __init__(self, response: Response) -> None:
        super().__init__("nothing was written since")
        self.response = response


@dataclass(frozen=True)
class _Kept:
    state: str
    body: bytes
    type: str


class Freshness:
    """The state of one database file, and the answers that were given in it."""

    def __init__(self, path: Path) -> None:
        self._connection = open_for_reading(path, busy_timeout_s=1)
        self._lock = threading.Lock()
        self._boot = secrets.token_hex(4)  # counters of another run mean nothing here
        self._answers: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0
        self._asking: dict[tuple[str, str], asyncio.Future[None]] = {}

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def state(self) -> str:
        """Another word after every commit of anybody."""
        with self._lock:
            (number,) = self._connection.execute("PRAGMA data_version").fetchone()
        return f"{self._boot}{number:x}"

    async def before(self, request: Request) -> None:
        """Raises Unchanged when this was asked before and nothing was written since. Where somebody
        is asking the same right now, waits for that answer: then ``after`` has to be called."""
        place = _place(request)
        while True:
            state = request.state.p2re_state = self.state()
            for tag in asked(request):
                if tag.startswith(f'W/"{state}.'):
                    raise Unchanged(Response(status_code=304, headers={"ETag": tag}))
            kept = self._kept(place, state)
            if kept is not None:
                headers = {"ETag": tag_of(kept.body, state)}
                raise Unchanged(Response(kept.body, media_type=kept.type, headers=headers))
            ahead = self._asking.get((place, state))
            if ahead is None or ahead.get_loop() is not asyncio.get_running_loop():
                break
            await asyncio.shield(ahead)  # it may come to nothing: then this one asks
        mine = asyncio.get_running_loop().create_future()
        self._asking[place, state] = mine
        request.state.p2re_asking = (place, state), mine

    def after(self, request: Request) -> None:
        """Those who waited for this answer go on, whatever came of it."""
        key, mine = getattr(request.state, "p2re_asking", (None, None))
        if key is not None and mine is not None:
            if self._asking.get(key) is mine:
                del self._asking[key]
            mine.set_result(None)

    def keep(self, request: Request, body: bytes, kind: str) -> None:
        """Remember an answer that was given in the state that ``before`` saw."""
        if len(body) > _LARGEST:
            return
        place = _place(request)
        with self._lock:
            self._forget(place)
            self._answers[place] = _Kept(request.state.p2re_state, body, kind)
            self._bytes += len(body)
            while self._bytes > _MOST_BYTES:
                self._forget(next(iter(self._answers)))

    def _kept(self, place: str, state: str) -> _Kept | None:
        with self._lock:
            found = self._answers.get(place)
            if found is None or found.state != state:
                self._forget(place)
                return None
            self._answers.move_to_end(place)
            return found

    def _forget(self, place: str) -> None:
        gone = self._answers.pop(place, None)
        self._bytes -= 0 if gone is None else len(gone.body)


def asked(request: Request) -> set[str]:
    """The tags of the answers that the client has."""
    return {one.strip() for one in request.headers.get("if-none-match", "").split(",")}


def tag_of(body: bytes, state: str) -> str:
    """An ETag of the state and what was answered in it: either alone is enough for a 304."""
    return f'W/"{state}.{blake2b(body, digest_size=12).hexdigest()}"'


def same_answer(tag: str, request: Request) -> bool:
    """Whether the client has what is answered now, whatever was written meanwhile."""
    content = tag.rpartition(".")[2]
    return any(one.rpartition(".")[2] == content for one in asked(request))


def _place(request: Request) -> str:
    return f"{request.url.path}?{request.url.query}"
