"""OpenAI and every service in the table that speaks one of its forms."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from p2re_eval.errors import InvalidRequest, Unsupported
from p2re_eval.interfaces import ProviderContext
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.azure import azure_base_url
from p2re_eval.providers.chat_answer import read_completion
from p2re_eval.providers.chat_request import OWN_KEYS, LimitName, chat_body
from p2re_eval.providers.chat_stream import ChatStream
from p2re_eval.providers.embeddings import embedded, openai_embedding, read_openai
from p2re_eval.providers.exchange import Exchange, StreamedAnswer, check_key, encoded
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.http_provider import HttpProvider
from p2re_eval.providers.responses_answer import ResponseStream, read_response
from p2re_eval.providers.responses_request import (
    RESPONSES_OWN_KEYS,
    cannot_say,
    responses_body,
)
from p2re_eval.providers.services import OPENAI, Service
from p2re_eval.providers.text_completions import (
    TEXT_OWN_KEYS,
    TextStream,
    not_one_text,
    read_text,
    text_body,
)
from p2re_eval.records import JSON, Completion, Embeddings, ModelSettings, RenderedPrompt

_COUNTS_REASONING = re.compile(r"(?:ft:)?(?:o\d|gpt-(?:[5-9]|\d\d))")


class _Form(NamedTuple):
    """One of the forms in which these services are asked, and how its answers are read."""

    own_keys: frozenset[str]
    cannot_say: Callable[[RenderedPrompt], str | None]
    read: Callable[[Call, JSON], Completion]
    stream: Callable[[Call], StreamedAnswer]


_ONLY_VECTORS = "this service turns texts into vectors and answers nothing; choose another"
_FORMS = {
    "chat": _Form(OWN_KEYS, lambda prompt: None, read_completion, ChatStream),
    "responses": _Form(RESPONSES_OWN_KEYS, cannot_say, read_response, ResponseStream),
    "text": _Form(TEXT_OWN_KEYS, not_one_text, read_text, TextStream),
    "vectors": _Form(OWN_KEYS, lambda prompt: _ONLY_VECTORS, read_completion, ChatStream),
}


class OpenAIProvider(HttpProvider):
    """Chat completions, Responses or text completions over HTTP, of one service of the table.

    The address is the model's ``base_url``, else the one in the service's base-url variable, else
    the service's own. ``keys`` decides which key goes there.
    """

    def __init__(self, context: ProviderContext, service: Service = OPENAI) -> None:
        super().__init__(context, service)
        self.path = service.path
        self._form = _FORMS[service.form]

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        settings that contradict the prompt or the service, AuthenticationFailed where no key may
        go.
        """
        model = prompt.model
        self._demand_name(model)
        call = self._call(model)
        extra = model.extra or {}
        taken = sorted(self._form.own_keys.intersection(extra))
        if taken:
            what = f"'{taken[0]}' cannot be set in extra; remove it"
            if taken[0] == "n":
                what += ", and ask for several answers with 'repeat'"
            raise call.fault(Unsupported, what)
        unsaid = self._form.cannot_say(prompt)
        if unsaid is not None:
            raise call.fault(Unsupported, unsaid)
        if prompt.output_schema and not self._row.schemas and "response_format" not in extra:
            what = f"{self.name} enforces no JSON Schema; remove output.schema, or describe it in "
            what += "the prompt and set extra: {response_format: {type: json_object}}"
            raise call.fault(Unsupported, what)
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
        body = self._encoded(call, prompt)
        exchange = Exchange(
            self._http,
            call,
            self._headers(call),
            read=self._form.read,
            now_ns=self._clock.monotonic_ns,
        )
        if model.stream:
            completion = await exchange.streamed(body, self._form.stream(call), on_text)
        else:
            completion = await exchange.whole(body)
        return exchange.measured(completion, model)

    async def embed(
        self, model: ModelSettings, texts: Sequence[str], *, lane: int = 0
    ) -> Embeddings:
        """Vectors by ``/embeddings``. Raises ProviderError."""
        call = self._ready(model, "/embeddings", lane)
        return await embedded(
            self._http,
            call,
            self._headers(call),
            openai_embedding(model, texts),
            read=read_openai,
            model=model,
            count=len(texts),
        )

    def _url(self, address: str, path: str, model: ModelSettings) -> str:
        return endpoint(self._base_url(model, address), path)

    def _base_url(self, model: ModelSettings, base_url: str) -> str:
        row = self._row
        if not base_url:
            what = f"{self.name} has an address for every account; set {row.base_url_name}"
            raise InvalidRequest(f"{what} ({row.note})", provider=self.name)
        if row.version_name:
            version = os.environ.get(row.version_name, "").strip()
            return azure_base_url(base_url, model.name or "", version)
        return base_url

    def _headers(self, call: Call) -> dict[str, str]:
        if self._row.key_header == "api-key" and call.secret:
            return {"api-key": call.secret}
        return super()._headers(call)

    def _encoded(self, call: Call, prompt: RenderedPrompt) -> bytes:
        stream = bool(prompt.model.stream)
        if self._row.form == "responses":
            return encoded(call, responses_body(prompt, stream=stream))
        if self._row.form == "text":
            return encoded(call, text_body(prompt, stream=stream))
        body = chat_body(prompt, stream=stream, limit_name=_limit_name(call, prompt.model))
        for name in self._row.left_out:
            body.pop(name, None)
        for name, theirs in self._row.renamed:
            if name in body:
                body[theirs] = body.pop(name)
        return encoded(call, body)


def _limit_name(call: Call, model: ModelSettings) -> LimitName:
    """The official service refuses ``max_tokens`` for models that reason; others know only that."""
    official = call.host == "api.openai.com" or call.host.endswith(".openai.azure.com")
    official = official or call.provider == "azure"
    if official and _COUNTS_REASONING.match(model.name or ""):
        return "max_completion_tokens"
    return "max_tokens"
