"""Cohere by its own interface, version 2."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from p2re_eval.errors import NotFound, Unsupported
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.cohere_answer import CohereStream, billed_usage, read_cohere
from p2re_eval.providers.cohere_request import cohere_body, unsendable
from p2re_eval.providers.embeddings import cohere_embedding, embedded
from p2re_eval.providers.embeddings import read_cohere as read_cohere_vectors
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http import HttpClient, decoded, endpoint
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import call_to, chosen_base_url, chosen_identity, spots
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


class CohereProvider:
    """``/v2/chat`` over HTTP; the address may be written with or without a version."""

    name = "cohere"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._clock = context.clock
        self._http = HttpClient()

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        return Requirements(
            base_url=chosen_base_url(COHERE) or COHERE.base_url,
            variables=COHERE.variables,
            needed=COHERE.key_names,
            note=COHERE.note,
        )

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the service has no form for, AuthenticationFailed where no key may go.
        """
        if not prompt.model.name:
            raise NotFound("cohere needs a model; write cohere/NAME", provider=self.name)
        call = self._call(prompt.model)
        problem = unsendable(prompt)
        if problem is not None:
            raise call.fault(Unsupported, problem)
        check_key(call, call.no_key)

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        return chosen_identity(COHERE, model)

    def lanes(self, model: ModelSettings) -> Sequence[str]:
        """Every key at every address that the environment names."""
        return [spot.name for spot in spots(COHERE, model.base_url)]

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
        body = encoded(call, cohere_body(prompt))
        exchange = Exchange(
            self._http,
            call,
            _authorization(call),
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
        call = self._call(model, "/v2/embed", lane)
        check_key(call, call.no_key)
        return await embedded(
            self._http,
            call,
            _authorization(call),
            cohere_embedding(model, texts),
            read=read_cohere_vectors,
            model=model,
            count=len(texts),
        )

    async def diagnose(self) -> str:
        """Whether the key is set and the service lists its models; free of cost.

        Raises ProviderError when calls would fail.
        """
        call = self._call(ModelSettings(provider=self.name), "/v1/models")
        check_key(call, call.no_key)
        reply = await self._http.get(call, _authorization(call))
        listed = decoded(call, reply.body or b"")
        models = listed.get("models") if isinstance(listed, dict) else None
        key = f"{call.key_name} is set" if call.secret else "no key, and none is needed there"
        count = f"{len(models)} models" if isinstance(models, list) else "no list of models"
        return f"{call.host} answers with {count}; {key}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _call(self, model: ModelSettings, path: str = "/v2/chat", lane: int = 0) -> Call:
        def url_of(address: str) -> str:
            return endpoint(_VERSION.sub("", address.rstrip("/")), path)

        return call_to(COHERE, model, url_of, lane)


def _authorization(call: Call) -> dict[str, str]:
    return {"Authorization": f"Bearer {call.secret}"} if call.secret else {}
