"""Google's generateContent: the Gemini API, Vertex AI, and gateways that speak the same form."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from urllib.parse import quote, urlsplit, urlunsplit

from p2re_eval.errors import InvalidRequest, Unsupported
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.embeddings import embedded, gemini_embedding, read_gemini
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.generate_answer import GenerateStream, read_generated
from p2re_eval.providers.generate_request import OWN_KEYS, generate_body, unsendable
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.http_provider import HttpProvider
from p2re_eval.providers.keys import chosen_base_urls
from p2re_eval.providers.services import Service
from p2re_eval.records import Completion, Embeddings, ModelSettings, RenderedPrompt

GEMINI = Service(
    "gemini",
    "https://generativelanguage.googleapis.com/v1beta",
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"),
    "GOOGLE_GEMINI_BASE_URL",
    note="generateContent, or a gateway that serves it",
    own_hosts=("aiplatform.googleapis.com",),
)
_VERSIONED = re.compile(r"/v\d+(?:alpha|beta)?\d*(?:/|$)")
_VERSION = "/v1beta"


def gemini_service() -> Service:
    """The Gemini API."""
    return GEMINI


class GeminiProvider(HttpProvider):
    """generateContent over HTTP, of one of Google's two services.

    The address is the model's ``base_url``, else the one in the service's base-url variable, else
    the service's own: everything that stands before ``/models/NAME``. One without a version gets
    ``/v1beta``. The key travels in a header, never in the address; ``keys`` decides where to.
    ``service`` is asked for its row at every call, since the environment may decide the address,
    by the further ``variables``.
    """

    def __init__(
        self,
        context: ProviderContext,
        service: Callable[[], Service] = gemini_service,
        *,
        variables: tuple[str, ...] = (),
    ) -> None:
        super().__init__(context, service())
        self._service = service
        self._variables = variables

    @property
    def service(self) -> Service:
        """The row as the environment has it now."""
        return self._service()

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        told = super().requirements()
        return replace(told, variables=(*told.variables, *self._variables))

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the service has no form for, AuthenticationFailed without a key.
        """
        model = prompt.model
        self._demand_name(model)
        call = self._call(model, _method(model))
        problem = _contradiction(model) or unsendable(prompt)
        if problem is not None:
            raise call.fault(Unsupported, problem)
        check_key(call, call.no_key)

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        if model.base_url:
            return ""
        row = self.service
        chosen = ",".join(sorted(chosen_base_urls(row))) or row.base_url
        return "" if _base_url(chosen) == GEMINI.base_url else chosen

    async def complete(
        self,
        prompt: RenderedPrompt,
        *,
        on_text: Callable[[str], None] | None = None,
        lane: int = 0,
    ) -> Completion:
        """One POST, streamed when the model settings say so. Raises ProviderError."""
        model = prompt.model
        call = self._ready(model, _method(model), lane)
        body = encoded(call, generate_body(prompt))
        exchange = Exchange(
            self._http,
            call,
            self._headers(call),
            read=read_generated,
            now_ns=self._clock.monotonic_ns,
        )
        if model.stream:
            answer = await exchange.streamed(body, GenerateStream(call), on_text)
        else:
            answer = await exchange.whole(body)
        return exchange.measured(answer, model)

    async def embed(
        self, model: ModelSettings, texts: Sequence[str], *, lane: int = 0
    ) -> Embeddings:
        """Vectors by batchEmbedContents, which Vertex AI does not serve. Raises ProviderError."""
        call = self._call(model, _method(model, "batchEmbedContents"), lane)
        if self.name != GEMINI.name:
            raise call.fault(Unsupported, f"{self.name} makes no embeddings; use gemini/NAME")
        check_key(call, call.no_key)
        return await embedded(
            self._http,
            call,
            self._headers(call),
            gemini_embedding(model, texts),
            read=read_gemini,
            model=model,
            count=len(texts),
        )

    def _url(self, address: str, path: str, model: ModelSettings) -> str:
        if not address:
            note = self.service.note
            what = f"{self.name} has an address for every project; {self.name} {note}"
            raise InvalidRequest(what, provider=self.name)
        return _address(address, path)

    def _headers(self, call: Call) -> dict[str, str]:
        if self.name != GEMINI.name:
            return super()._headers(call)
        return {"x-goog-api-key": call.secret} if call.secret else {}


def _method(model: ModelSettings, method: str = "") -> str:
    """``/models/NAME:generateContent``; a name with a folder (``tunedModels/x``) keeps its own."""
    name = model.name or ""
    path = quote(name if "/" in name else f"models/{name}", safe="/@")
    if {".", ".."}.intersection(path.split("/")):
        raise InvalidRequest(f"'{name}' is no model's name; write gemini/NAME", provider="gemini")
    usual = "streamGenerateContent" if model.stream else "generateContent"
    return f"/{path}:{method or usual}"


def _address(base_url: str, path: str) -> str:
    parts = urlsplit(endpoint(_base_url(base_url), path))
    if re.search(r"(?:^|&)key=", parts.query):
        raise InvalidRequest(
            f"base_url for {parts.hostname} carries a key; put it in the environment",
            provider="gemini",
        )
    query = parts.query
    if path.endswith(":streamGenerateContent") and "alt=sse" not in query:
        query = f"{query}&alt=sse" if query else "alt=sse"
    return urlunsplit(parts._replace(query=query))


def _base_url(address: str) -> str:
    """The address with a version: Google's own variable names it without."""
    parts = urlsplit(address.strip())
    path = parts.path.rstrip("/")
    if not _VERSIONED.search(path):
        path += _VERSION
    return urlunsplit(parts._replace(path=path))


def _contradiction(model: ModelSettings) -> str | None:
    extra = model.extra or {}
    taken = sorted(OWN_KEYS.intersection(extra))
    if taken:
        return f"'{taken[0]}' cannot be set in extra; remove it"
    if "streamFunctionCallArguments" in str(extra.get("toolConfig")):
        return "calls are read whole; remove 'streamFunctionCallArguments' from extra"
    configuration = extra.get("generationConfig")
    if isinstance(configuration, dict) and configuration.get("candidateCount", 1) != 1:
        return "'candidateCount' cannot be set in extra; ask for several answers with 'repeat'"
    return None
