"""Cohere by its own interface, version 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from p2re_eval.errors import Unsupported
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.cohere_answer import CohereStream, billed_usage, read_cohere
from p2re_eval.providers.cohere_request import cohere_body, unsendable
from p2re_eval.providers.embeddings import cohere_embedding, embedded
from p2re_eval.providers.embeddings import read_cohere as read_cohere_vectors
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http_provider import HttpProvider
from p2re_eval.providers.services import Service
from p2re_eval.records import Completion, Embeddings, ModelSettings, RenderedPrompt

COHERE = Service(
    "cohere",
    "https://api.cohere.com",
    ("CO_API_KEY", "COHERE_API_KEY"),
    "CO_API_URL",
    note="the v2 API",
    own_hosts=("api.cohere.ai",),
)
_VERSION = re.compile(r"/v\d+$")


class CohereProvider(HttpProvider):
    """``/v2/chat`` over HTTP; the address may be written with or without a version."""

    path = "/v2/chat"
    models_path = "/v1/models"

    def __init__(self, context: ProviderContext) -> None:
        super().__init__(context, COHERE)

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the service has no form for, AuthenticationFailed where no key may go.
        """
        self._demand_name(prompt.model)
        call = self._call(prompt.model)
        problem = unsendable(prompt)
        if problem is not None:
            raise call.fault(Unsupported, problem)
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
        body = encoded(call, cohere_body(prompt))
        exchange = Exchange(
            self._http,
            call,
            self._headers(call),
            read=read_cohere,
            now_ns=self._clock.monotonic_ns,
        )
        if model.stream:
            completion = await exchange.streamed(body, CohereStream(call), on_text)
        else:
            completion = await exchange.whole(body)
        billed = billed_usage(completion.raw.get("usage"))
        known = billed if billed.input_tokens is not None else None
        return exchange.measured(completion, model, billed=known)

    async def embed(
        self, model: ModelSettings, texts: Sequence[str], *, lane: int = 0
    ) -> Embeddings:
        """Vectors by ``/v2/embed``. Raises ProviderError."""
        call = self._ready(model, "/v2/embed", lane)
        return await embedded(
            self._http,
            call,
            self._headers(call),
            cohere_embedding(model, texts),
            read=read_cohere_vectors,
            model=model,
            count=len(texts),
        )

    def _url(self, address: str, path: str, model: ModelSettings) -> str:
        return endpoint(_VERSION.sub("", address.rstrip("/")), path)
