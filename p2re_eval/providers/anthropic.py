"""Anthropic's Messages API, at the official address or any that is compatible with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from p2re_eval.errors import NotFound, Unsupported
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http import HttpClient, decoded, endpoint
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import call_to, chosen_base_url, chosen_identity, spots
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


class AnthropicProvider:
    """Claude over HTTP.

    The address is the model's ``base_url``, else ``ANTHROPIC_BASE_URL``, else the official one,
    each with or without ``/v1``. ``keys`` decides whether ``ANTHROPIC_API_KEY`` goes there.
    """

    name = "anthropic"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._clock = context.clock
        self._http = HttpClient()

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        return Requirements(
            base_url=chosen_base_url(ANTHROPIC) or ANTHROPIC.base_url,
            variables=ANTHROPIC.variables,
            needed=ANTHROPIC.key_names,
            note=ANTHROPIC.note,
        )

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the Messages API cannot do, AuthenticationFailed where no key may go.
        """
        model = prompt.model
        if not model.name:
            what = "anthropic needs a model; write anthropic/NAME"
            raise NotFound(what, provider=self.name)
        call = self._call(model)
        taken = sorted(OWN_KEYS.intersection(model.extra or {}))
        if taken:
            raise call.fault(Unsupported, f"'{taken[0]}' cannot be set in extra; remove it")
        messages_body(call, prompt, stream=False)
        check_key(call, call.no_key)

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        return chosen_identity(ANTHROPIC, model)

    def lanes(self, model: ModelSettings) -> Sequence[str]:
        """Every key at every address that the environment names."""
        return [spot.name for spot in spots(ANTHROPIC, model.base_url)]

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        """One POST, streamed when the model settings say so. Raises ProviderError."""
        model = prompt.model
        call = self._call(model, lane=lane)
        check_key(call, call.no_key)
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

    async def diagnose(self) -> str:
        """Whether the key is set and the service lists its models; free of cost.

        Raises ProviderError when calls would fail.
        """
        call = self._call(ModelSettings(provider=self.name), "/models")
        check_key(call, call.no_key)
        reply = await self._http.get(call, _headers(call, None))
        listed = decoded(call, reply.body or b"")
        models = listed.get("data") if isinstance(listed, dict) else None
        key = f"{call.key_name} is set" if call.secret else "no key, and none is needed there"
        count = f"{len(models)} models" if isinstance(models, list) else "no list of models"
        return f"{call.host} answers with {count}; {key}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _call(self, model: ModelSettings, path: str = "/messages", lane: int = 0) -> Call:
        return call_to(ANTHROPIC, model, lambda address: _address(address, path), lane)


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
