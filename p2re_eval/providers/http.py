"""What every HTTP provider shares: one session, bytes out, a body or events back."""

from __future__ import annotations

import ipaddress
import json
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from p2re_eval.errors import InvalidRequest, MalformedResponse, ProviderError
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.records import JSON

if TYPE_CHECKING:
    import aiohttp

LARGEST_REPLY = 64 * 1024 * 1024
LARGEST_REFUSAL = 256 * 1024
CONNECT_TIMEOUT_S = 20.0
_DECODER = json.JSONDecoder(parse_constant=lambda _name: None)


class Event(NamedTuple):
    """One server-sent event; ``cut`` when the stream ended before the event did."""

    name: str
    data: str
    cut: bool = False


class EventReader:
    """Bytes in, server-sent events out, wherever the network cut them.

    Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._data: list[bytes] = []
        self._name = b""
        self._begun = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The events that these bytes complete."""
        self._pieces.append(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            return
        lines = b"".join(self._pieces).splitlines(keepends=True)
        # A CR at the very end may be half of a CRLF: it waits for the next bytes.
        self._pieces = [] if lines[-1].endswith(b"\n") else [lines.pop()]
        yield from self._read(lines)

    def end(self) -> Iterator[Event]:
        """The event that was not closed by an empty line before the stream ended."""
        lines = b"".join(self._pieces).splitlines()
        self._pieces = []
        for event in self._read([*lines, b""]):
            yield event._replace(cut=True)

    def _read(self, lines: list[bytes]) -> Iterator[Event]:
        for ended in lines:
            line = ended.rstrip(b"\r\n")
            if not self._begun:
                line, self._begun = line.removeprefix(b"\xef\xbb\xbf"), True
            if not line:
                yield from self._complete()
                continue
            field, _, value = line.partition(b":")
            if field == b"data":
                self._data.append(value.removeprefix(b" "))
            elif field == b"event":
                self._name = value.removeprefix(b" ")

    def _complete(self) -> Iterator[Event]:
        data, name = self._data, self._name
        self._data, self._name = [], b""
        if data:
            yield Event(
                name.decode("utf-8", "replace"), b"\n".join(data).decode("utf-8", "replace")
            )


class LineReader:
    """Bytes in, one event for every line out: newline-delimited JSON.

    Source: https://github.com/ndjson/ndjson-spec
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """The lines that these bytes complete."""
        self._pieces.append(chunk)
        if b"\n" not in chunk:
            return
        *lines, rest = b"".join(self._pieces).split(b"\n")
        self._pieces = [rest] if rest else []
        for line in lines:
            if line.strip():
                yield Event("", line.decode("utf-8", "replace"))

    def end(self) -> Iterator[Event]:
        """The line that was not closed before the stream ended."""
        rest, self._pieces = b"".join(self._pieces), []
        if rest.strip():
            yield Event("", rest.decode("utf-8", "replace"), cut=True)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer: its headers, and its body unless that came as events."""

    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Stream:
    """Who takes the events of a reply, and whether these are lines or server-sent events."""

    on_event: Callable[[Event], bool]
    lines: bool


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
        lines: bool = False,
    ) -> Reply:
        """Send the body; hand events to ``on_event`` (true: that was the last) or return the body.

        With ``lines`` every line of the reply is an event.
        Raises ProviderError: a refusal by status, ConnectionFailed, TruncatedResponse when the
        connection ends early, MalformedResponse when the reply is too large or not HTTP.
        """
        stream = None if on_event is None else _Stream(on_event, lines)
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

        session = self._session or self._opened()
        try:
            async with session.request(
                method,
                call.url,
                data=body,
                headers=headers,
                allow_redirects=False,
                proxy=self._proxy(call),
            ) as response:
                return await _answer(call, response, stream)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            from p2re_eval.providers.http_connection import broken_connection

            raise broken_connection(call, error) from error

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


# A session asks about a handful of addresses, thousands of times each: the answers are kept.


@lru_cache(maxsize=256)
def endpoint(base_url: str, path: str) -> str:
    """``base_url`` with the path behind it, its query kept.

    Raises InvalidRequest when it is no http(s) address, or carries a password.
    """
    try:
        parts = urlsplit(base_url.strip())
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidRequest(
            f"base_url '{base_url}' is no address; write it like https://host:port/v1"
        )
    if parts.username or parts.password:
        raise InvalidRequest(
            f"base_url for {parts.hostname} carries a user name or password; "
            "put the key in the environment instead"
        )
    whole = parts.path.rstrip("/")
    if not whole.endswith(path):
        whole += path
    return urlunsplit((parts.scheme, parts.netloc, whole, parts.query, ""))


@lru_cache(maxsize=256)
def is_private(url: str) -> bool:
    """Whether the address is this machine or a private network: nobody's public price list."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".localhost", ".local", ".internal", ".lan"))
    return address.is_private


@lru_cache(maxsize=256)
def is_loopback(url: str) -> bool:
    """Whether the address is this machine itself."""
    host = (urlsplit(url).hostname or "").lower()
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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
        broken.partial = b"".join(pieces).decode("utf-8", "replace") or None
        raise broken from error
    return b"".join(pieces)


async def _events(call: Call, response: aiohttp.ClientResponse, stream: _Stream) -> Reply:
    """Hand over the events; a server that does not stream answers with plain JSON instead."""
    reader = LineReader() if stream.lines else EventReader()
    beginning = b""
    size = 0
    async for piece in response.content.iter_any():
        size += len(piece)
        if size > LARGEST_REPLY:
            raise _too_large(call, LARGEST_REPLY)
        if not beginning and not stream.lines:
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
