"""One keep-alive session with another system: requests counted, retried when that can help."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit, urlunsplit

from p2re_eval.errors import Refused, Unreachable, UsageError
from p2re_eval.interfaces import Clock
from p2re_eval.records import JSON

if TYPE_CHECKING:
    import aiohttp

Query: TypeAlias = Sequence[tuple[str, str]]

_RETRIED = frozenset({408, 429, 500, 502, 503, 504})
_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back with a status that the caller accepts."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> JSON:
        """The body as JSON; None for an empty one. Raises Refused for anything else."""
        try:
            return json.loads(self.body) if self.body else None
        except ValueError:
            start = " ".join(self.body[:100].decode("utf-8", "replace").split())
            what = f"{self.url} sent no JSON but '{start}'; check the address"
            raise Refused(what, address=self.url, status=self.status) from None


class Peer:
    """One server at one address. Use it as ``async with``.

    ``attempts`` bounds the tries of a request; a refusal that no wait cures is raised at once.
    ``requests`` counts what was sent, retries included.
    """

    def __init__(
        self,
        address: str,
        clock: Clock,
        *,
        headers: Mapping[str, str] | None = None,
        attempts: int = 6,
    ) -> None:
        self.address = plain_address(address)
        self.requests = 0
        self._clock = clock
        self._headers = dict(headers or {})
        self._attempts = attempts
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Peer:
        import aiohttp

        self._session = aiohttp.ClientSession(
            headers=self._headers,
            timeout=aiohttp.ClientTimeout(total=_TIMEOUT_S, sock_connect=10.0),
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, query: Query = (), *, accept: Sequence[int] = ()) -> Answer:
        """Ask for what is there. Raises Unreachable, Refused (unless its status is accepted)."""
        return await self._exchange("GET", path, query, None, {}, accept)

    async def post(
        self,
        path: str,
        body: JSON | bytes,
        query: Query = (),
        *,
        headers: Mapping[str, str] | None = None,
        accept: Sequence[int] = (),
    ) -> Answer:
        """Send JSON, or bytes as they are. Raises Unreachable, Refused."""
        sent, kind = _sendable(body)
        return await self._exchange("POST", path, query, sent, {**kind, **(headers or {})}, accept)

    async def _exchange(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        headers: Mapping[str, str],
        accept: Sequence[int],
    ) -> Answer:
        for attempt in range(1, self._attempts + 1):
            answer = await self._once(method, path, query, body, headers, attempt)
            if answer is not None:
                if answer.status < 300 or answer.status in accept:
                    return answer
                if answer.status not in _RETRIED or attempt == self._attempts:
                    raise self._refused(method, path, answer)
            await self._clock.sleep(_wait_s(attempt, answer))
        raise AssertionError("the last attempt returns or raises")

    async def _once(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        headers: Mapping[str, str],
        attempt: int,
    ) -> Answer | None:
        """None when the connection broke and another attempt is left."""
        import aiohttp

        assert self._session is not None, "use `async with Peer(...)`"
        self.requests += 1
        try:
            async with self._session.request(
                method,
                self.address + path,
                params=query,
                data=body,
                headers=headers,
                allow_redirects=False,
            ) as response:
                body_there = await response.read()
                return Answer(self.address + path, response.status, response.headers, body_there)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            if attempt < self._attempts:
                return None
            why = str(error) or type(error).__name__
            what = f"{self.address} cannot be reached ({why}); start it, or check the address"
            raise Unreachable(what, address=self.address) from error

    def _refused(self, method: str, path: str, answer: Answer) -> Refused:
        said = " ".join(answer.body[:300].decode("utf-8", "replace").split())
        advice = _ADVICE.get(answer.status, "check its version and its log")
        if 300 <= answer.status < 400:
            said = f"redirects to {answer.headers.get('location', 'nowhere')}"
            advice = "give the address that it redirects to"
        what = f"{self.address}{path}: {method} was answered {answer.status}: {said}; {advice}"
        return Refused(what, address=self.address, status=answer.status)


_ADVICE = {
    401: "give a key in the environment",
    403: "the key may not do this: give another",
    404: "check the address and its version",
    413: "the request is too large for it",
    415: "this receiver takes another form of request",
}


def plain_address(address: str) -> str:
    """``http://host:port/path`` without an end of its own. Raises UsageError for anything else."""
    parts = urlsplit(address.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        what = f"'{address}' is no address; write it like http://127.0.0.1:6006"
        raise UsageError(what)
    if parts.username or parts.password:
        what = f"the address of {parts.hostname} carries a password; put it in the environment"
        raise UsageError(what)
    return urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))


def _sendable(body: JSON | bytes) -> tuple[bytes, dict[str, str]]:
    if isinstance(body, bytes):
        return body, {}
    return json.dumps(body).encode(), {"content-type": "application/json"}


def _wait_s(attempt: int, answer: Answer | None) -> float:
    """The server's own wish, else longer and longer, with jitter."""
    wish = "" if answer is None else answer.headers.get("retry-after", "")
    if wish.isdigit():
        return min(float(wish), _LONGEST_WAIT_S)
    longest: float = min(_FIRST_WAIT_S * 2 ** (attempt - 1), _LONGEST_WAIT_S)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries, keeps no secret
