"""What every HTTP provider shares: one session, bytes out, a body or events back."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from p2re_eval.errors import InvalidRequest, MalformedResponse, ProviderError
from p2re_eval.providers.addresses import is_loopback
from p2re_eval.providers.event_readers import (
    DamagedStream,
    Event,
    EventReader,
    LineReader,
    Reader,
)
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import JSON

if TYPE_CHECKING:
    import aiohttp

LARGEST_REPLY = 64 * 1024 * 1024
LARGEST_REFUSAL = 256 * 1024
CONNECT_TIMEOUT_S = 20.0
_DECODER = json.JSONDecoder(parse_constant=lambda _name: None)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: its headers, and its body unless that came as events."""

    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Stream:
    """Who takes the events of a reply, and who finds them in its bytes."""

    on_event: Callable[[Event], bool]
    reader: Reader


class HttpClient:
    """One keep-alive session for all calls of a provider; no retries, no limit of its own."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._proxies: dict[str, str | None] = {}

    async def post(
        self,
        call: Call,
        headers: Mapping[str, str],
        body: bytes,
        *,
        on_event: Callable[[Event], bool] | None = None,
        reader: Reader | None = None,
    ) -> Reply:
        """Send the body; hand events to ``on_event`` (true: that was the last) or return the body.

        ``reader`` finds the events, by default server-sent ones.
        Raises ProviderError: a refusal by status, ConnectionFailed, TruncatedResponse when the
        connection ends early, MalformedResponse when the reply is too large or not HTTP.
        """
        stream = None if on_event is None else _Stream(on_event, reader or EventReader())
        return await self._exchange("POST", call, headers, body, stream)

    async def get(self, call: Call, headers: Mapping[str, str]) -> Reply:
        """Ask for what is at the address. Raises ProviderError as :meth:`post` does."""
        return await self._exchange("GET", call, headers, None, None)

    async def _exchange(
        self,
        method: str,
        call: Call,
        headers: Mapping[str, str],
        body: bytes | None,
        stream: _Stream | None,
    ) -> Reply:
        import aiohttp
        from yarl import URL

        session = self._session or self._opened()
        try:
            async with session.request(
                method,
                # What is percent-encoded stays as it is: a signature may cover it.
                URL(call.url, encoded="%" in call.url),
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy(call),
            ) as response:
                return await _answer(call, response, stream)
        except DamagedStream as error:
            what = f"{call.host} sent a damaged stream ({error}); try again"
            raise call.fault(MalformedResponse, what) from None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            from p2re_eval.providers.http_connection import broken_connection

            # aiohttp's own errors may hold what the service sent: a key that it repeated, too.
            cause = error if isinstance(error, OSError) else None
            raise broken_connection(call, error) from cause

    async def close(self) -> None:
        """Close every connection."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        import aiohttp

        # trust_env would also read ~/.netrc for every call, in a thread; proxies are found below.
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        return self._session

    def _proxy(self, call: Call) -> str | None:
        """The proxy that the environment names for this address, looked up once a host."""
        host = call.host
        if host not in self._proxies:
            self._proxies[host] = _proxy_for(call.url)
        return self._proxies[host]


def decoded(call: Call, body: bytes) -> JSON:
    """The JSON of a reply. Raises MalformedResponse with the beginning of what came instead."""
    try:
        return _DECODER.decode(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        start = " ".join(body[:200].decode("utf-8", "replace").split())
        raise call.fault(
            MalformedResponse,
            f"{call.host} sent no JSON but '{start}'; check that base_url is the API's address",
        ) from None


async def _answer(call: Call, response: aiohttp.ClientResponse, stream: _Stream | None) -> Reply:
    if response.status != 200:
        raise await _refused(call, response)
    if stream is None:
        return Reply(response.headers, await _whole(call, response, LARGEST_REPLY))
    return await _events(call, response, stream)


async def _refused(call: Call, response: aiohttp.ClientResponse) -> ProviderError:
    status = response.status
    if status < 300:
        return call.fault(
            MalformedResponse, f"{call.host} answered {status} without an answer", status=status
        )
    if status < 400:
        target = response.headers.get("location", "nowhere")
        return call.fault(
            InvalidRequest,
            f"{call.host} redirects to {target}; set base_url to the address it redirects to",
            status=status,
        )
    body = await _whole(call, response, LARGEST_REFUSAL)
    text = body.decode("utf-8", "replace")
    try:
        payload: JSON = _DECODER.decode(text)
    except (ValueError, RecursionError):
        payload = text
    return refusal(call, status, response.headers, payload)


async def _whole(call: Call, response: aiohttp.ClientResponse, largest: int) -> bytes:
    import aiohttp

    pieces: list[bytes] = []
    size = 0
    try:
        async for piece in response.content.iter_any():
            pieces.append(piece)
            size += len(piece)
            if size > largest:
                raise _too_large(call, largest)
    except aiohttp.ClientPayloadError as error:
        from p2re_eval.providers.http_connection import broken_connection

        broken = broken_connection(call, error)
        arrived = b"".join(pieces).decode("utf-8", "replace")
        broken.partial = call.without_secrets(arrived) or None
        raise broken from None
    return b"".join(pieces)


async def _events(call: Call, response: aiohttp.ClientResponse, stream: _Stream) -> Reply:
    """Hand over the events; a server that does not stream answers with plain JSON instead."""
    reader = stream.reader
    beginning = b"-" if isinstance(reader, LineReader) else b""
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > LARGEST_REPLY:
            raise _too_large(call, LARGEST_REPLY)
        if not beginning:
            beginning = piece.lstrip()
            if beginning[:1] in {b"{", b"["}:
                rest = await _whole(call, response, LARGEST_REPLY - size)
                return Reply(response.headers, piece + rest)
        for event in reader.feed(piece):
            if stream.on_event(event):
                return Reply(response.headers, None)
    for event in reader.end():
        stream.on_event(event)
    return Reply(response.headers, None)


def _too_large(call: Call, largest: int) -> ProviderError:
    return call.fault(
        MalformedResponse,
        f"{call.host} sent more than {largest // 1024} KiB; check base_url, or set max_tokens",
    )


def _proxy_for(url: str) -> str | None:
    parts = urlsplit(url)
    if is_loopback(url) or urllib.request.proxy_bypass(parts.netloc):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")
