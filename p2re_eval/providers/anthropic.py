"""Anthropic's Messages API, at the official address or any that is compatible with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from p2re_eval.errors import Unsupported
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.http_provider import HttpProvider
from p2re_eval.providers.messages_answer import cache_writes, read_message
from p2re_eval.providers.messages_request import DEFAULT_MAX_TOKENS, OWN_KEYS, messages_body
from p2re_eval.providers.messages_schema import answer_tool
from p2re_eval.providers.messages_stream import MessagesStream
from p2re_eval.providers.services import Service
from p2re_eval.records import JSON, Completion, ModelSettings, RenderedPrompt

ANTHROPIC = Service(
    "anthropic",
    "https://api.anthropic.com",
    ("ANTHROPIC_API_KEY",),
    "ANTHROPIC_BASE_URL",
    note=f"the Messages API; max_tokens is {DEFAULT_MAX_TOKENS} unless set",
)
VERSION = "2023-06-01"


class AnthropicProvider(HttpProvider):
    """Claude over HTTP; the address may be written with or without ``/v1``."""

    path = "/messages"

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context, ANTHROPIC)

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the Messages API cannot do, AuthenticationFailed where no key may go.
        """
        model = prompt.model
        self._demand_name(model)
        call = self._call(model)
        taken = sorted(OWN_KEYS.intersection(model.extra or {}))
        if taken:
            raise call.fault(Unsupported, f"'{taken[0]}' cannot be set in extra; remove it")
        messages_body(call, prompt, stream=False)
        check_key(call, call.no_key)

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        """One POST, streamed when the model settings say so. Raises ProviderError."""
        model = prompt.model
        call = self._ready(model, lane=lane)
        body = encoded(call, messages_body(call, prompt, stream=bool(model.stream)))
        tool = answer_tool(prompt)
        exchange = Exchange(
            self._http,
            call,
            _headers(call, model.extra),
            read=partial(read_message, answer_tool=tool),
            now_ns=self._clock.monotonic_ns,
        )
        if model.stream:
            told = _Told(on_text)
            stream = MessagesStream(call, answer_tool=tool)
            completion = await exchange.streamed(body, stream, told)
            told.rest(completion.text)
        else:
            completion = await exchange.whole(body)
        return exchange.measured(completion, model, writes=cache_writes(completion.raw))

    def _url(self, address: str, path: str, model: ModelSettings) -> str:
        return _address(address, path)

    def _headers(self, call: Call) -> dict[str, str]:
        return _headers(call, None)


class _Told:
    """Hands pieces on; an answer of which nothing was handed on comes whole at the end."""

    def __init__(self, on_text: Callable[[str], None] | None) -> None:
        self._on_text = on_text
        self._begun = False

    def __call__(self, piece: str) -> None:
        self._begun = True
        if self._on_text is not None:
            self._on_text(piece)

    def rest(self, text: str) -> None:
        if text and not self._begun:
            self(text)


def _address(base_url: str, path: str) -> str:
    whole = endpoint(base_url, "")
    versioned = whole.partition("?")[0].endswith(("/v1", f"/v1{path}"))
    return endpoint(base_url, path if versioned else f"/v1{path}")


def _headers(call: Call, extra: JSON) -> dict[str, str]:
    headers = {"anthropic-version": VERSION}
    if call.secret:
        headers["x-api-key"] = call.secret
    betas = (extra or {}).get("betas")
    if betas:
        headers["anthropic-beta"] = ",".join(map(str, betas))
    return headers
