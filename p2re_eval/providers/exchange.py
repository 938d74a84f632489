"""One question and its answer over HTTP, whole or streamed, with what is measured on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Protocol

from p2re_eval.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    InvalidRequest,
    MalformedResponse,
    ProviderError,
    TruncatedResponse,
)
from p2re_eval.providers.event_readers import Event, Reader
from p2re_eval.providers.http import HttpClient, decoded
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.providers.prices import CacheWrites, cost_usd
from p2re_eval.records import JSON, Completion, ModelSettings, Usage


class StreamedAnswer(Protocol):
    """A service's stream put together: chunks in, one Completion out."""

    ended: bool

    @property
    def text(self) -> str:
        """The text that has arrived so far."""

    @property
    def begun(self) -> bool:
        """Whether the first token, of whatever sort, has arrived."""

    def done(self) -> None:
        """The service closed the stream by its own word."""

    def add(self, chunk: JSON) -> str:
        """Take one chunk; return the text it brings. Raises the error that it carries."""

    def completion(self) -> Completion:
        """What has arrived. Raises TruncatedResponse when the stream was not finished."""


class Exchange:
    """One POST. ``read`` understands an answer in one piece; ``now_ns`` is a monotonic clock."""

    def __init__(
        self,
        http: HttpClient,
        call: Call,
        headers: dict[str, str],
        *,
        read: Callable[[Call, JSON], Completion],
        now_ns: Callable[[], int],
    ) -> None:
        self._http = http
        self._call = call
        self._headers = {"Content-Type": "application/json", **headers}
        self._read = read
        self._now_ns = now_ns
        self._first_token_ns: int | None = None
        self._rate_limit: dict[str, str] = {}
        self._started_ns = now_ns()

    async def whole(self, body: bytes) -> Completion:
        """The answer in one piece. Raises ProviderError."""
        reply = await self._http.post(self._call, self._headers, body)
        self._keep_limits(reply.headers)
        return self._read(self._call, decoded(self._call, reply.body or b""))

    async def streamed(
        self,
        body: bytes,
        stream: StreamedAnswer,
        on_text: Callable[[str], None] | None,
        *,
        reader: Reader | None = None,
    ) -> Completion:
        """The answer as it arrives, by server-sent events unless ``reader`` finds others.

        Raises ProviderError, with the text so far as its ``partial``.
        """

        def receive(event: Event) -> bool:
            if event.data == "[DONE]":
                stream.done()
                return True
            piece = stream.add(self._chunk(event))
            if self._first_token_ns is None and stream.begun:
                self._first_token_ns = self._now_ns()
            if piece and on_text is not None:
                on_text(piece)
            return False

        try:
            reply = await self._http.post(
                self._call, self._headers, body, on_event=receive, reader=reader
            )
            self._keep_limits(reply.headers)
            if reply.body is None:
                return stream.completion()
        except ProviderError as error:
            if stream.ended and isinstance(error, (TruncatedResponse, ConnectionFailed)):
                return stream.completion()
            arrived = stream.text or error.partial
            error.partial = self._call.without_secrets(arrived) if arrived else None
            raise
        # The service did not stream after all.
        completion = self._read(self._call, decoded(self._call, reply.body))
        if on_text is not None and completion.text:
            on_text(completion.text)
        return completion

    def measured(
        self,
        completion: Completion,
        model: ModelSettings,
        *,
        writes: CacheWrites | None = None,
        billed: Usage | None = None,
    ) -> Completion:
        """The completion with its cost, times and rate limits; ``billed`` are the tokens to pay for
        where these are not simply those used."""
        ended_ns, first_ns = self._now_ns(), self._first_token_ns
        cost = cost_usd(
            model,
            billed or completion.usage,
            answered_as=completion.model,
            url=self._call.url,
            writes=writes,
        )
        return completion.model_copy(
            update={
                "cost_usd": cost,
                "duration_ns": ended_ns - self._started_ns,
                "time_to_first_token_ns": None if first_ns is None else first_ns - self._started_ns,
                "rate_limit": self._rate_limit,
            }
        )

    def _chunk(self, event: Event) -> JSON:
        if not event.data.strip():
            return {}
        try:
            payload = decoded(self._call, event.data.encode("utf-8", "surrogatepass"))
        except MalformedResponse:
            if event.cut:
                return {}
            raise
        if event.name == "error":
            raise refusal(self._call, 200, {}, payload)
        return payload

    def _keep_limits(self, headers: Mapping[str, str]) -> None:
        for name, value in headers.items():
            lowered = name.lower()
            if "ratelimit" in lowered:
                self._rate_limit[lowered] = value


def check_key(call: Call, refusal: str) -> None:
    """Raise AuthenticationFailed where the call may not be made, or its key cannot be a header."""
    if refusal:
        raise call.fault(AuthenticationFailed, refusal)
    if not call.secret.isascii() or not call.secret.isprintable():
        what = f"{call.key_name} holds characters no key has; set it again"
        raise call.fault(AuthenticationFailed, what)


def encoded(call: Call, body: dict[str, JSON]) -> bytes:
    """The body as JSON. Raises InvalidRequest when something in it is none."""
    try:
        return json.dumps(body, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        raise call.fault(
            InvalidRequest, f"the request is no JSON ({error}); correct 'extra' or the messages"
        ) from None
