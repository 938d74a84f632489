"""Ollama by its own interface: thinking, schemas and every option of the runner."""

from __future__ import annotations

import os
from collections.abc import Callable

from p2re_eval.errors import NotFound, Unsupported
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.event_readers import LineReader
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http import HttpClient, decoded
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import Key, key_for
from p2re_eval.providers.ollama_answer import OllamaStream, read_ollama
from p2re_eval.providers.ollama_request import host_address, ollama_body, unsendable
from p2re_eval.providers.services import Service
from p2re_eval.records import Completion, ModelSettings, RenderedPrompt

OLLAMA = Service(
    "ollama",
    "http://localhost:11434",
    ("OLLAMA_API_KEY",),
    "OLLAMA_HOST",
    note="in its own form; a key for ollama.com only",
    needs_key=False,
    own_hosts=("ollama.com",),
)


class OllamaProvider:
    """``/api/chat`` over HTTP.

    The address is the model's ``base_url``, else ``OLLAMA_HOST`` as Ollama itself reads it, else
    this machine.
    """

    name = "ollama"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._clock = context.clock
        self._http = HttpClient()

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        return Requirements(
            base_url=_chosen() or OLLAMA.base_url, variables=OLLAMA.variables, note=OLLAMA.note
        )

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the service has no form for.
        """
        if not prompt.model.name:
            raise NotFound(f"{self.name} needs a model; write ollama/NAME", provider=self.name)
        call, key = self._call(prompt.model)
        problem = unsendable(prompt)
        if problem is not None:
            raise call.fault(Unsupported, problem)
        check_key(call, key.refusal)

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        return "" if model.base_url else _chosen()

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """One POST, streamed when the model settings say so. Raises ProviderError."""
        call, key = self._call(prompt.model)
        check_key(call, key.refusal)
        body = encoded(call, ollama_body(prompt))
        exchange = Exchange(
            self._http,
            call,
            _authorization(key),
            read=read_ollama,
            now_ns=self._clock.monotonic_ns,
        )
        if prompt.model.stream:
            answer = await exchange.streamed(body, OllamaStream(call), on_text, reader=LineReader())
        else:
            answer = await exchange.whole(body)
        return exchange.measured(answer, prompt.model)

    async def diagnose(self) -> str:
        """Whether the server runs, and how many models it has; raises ProviderError if not."""
        call, key = self._call(ModelSettings(provider=self.name), "/api/tags")
        check_key(call, key.refusal)
        reply = await self._http.get(call, _authorization(key))
        listed = decoded(call, reply.body or b"")
        models = listed.get("models") if isinstance(listed, dict) else None
        count = f"{len(models)} models" if isinstance(models, list) else "no list of models"
        return f"{call.host} answers with {count}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _call(self, model: ModelSettings, path: str = "/api/chat") -> tuple[Call, Key]:
        base_url = (model.base_url or _chosen() or OLLAMA.base_url).strip().rstrip("/")
        # Many a file names the address of Ollama's OpenAI form.
        url = endpoint(base_url.removesuffix("/v1"), path)
        key = key_for(OLLAMA, url)
        call = Call(
            provider=self.name,
            model=model.name or "",
            url=url,
            secret=key.secret,
            key_name=key.name,
        )
        return call, key


def _chosen() -> str:
    host = os.environ.get(OLLAMA.base_url_name, "").strip()
    return host_address(host) if host else ""


def _authorization(key: Key) -> dict[str, str]:
    return {"Authorization": f"Bearer {key.secret}"} if key.secret else {}
