"""What the providers share that reach a service by HTTP: address, key, lanes, a free question."""

from __future__ import annotations

from collections.abc import Sequence

from p2re_eval.errors import NotFound
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.exchange import check_key
from p2re_eval.providers.http import HttpClient, decoded
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import call_to, chosen_base_url, chosen_identity, spots
from p2re_eval.providers.services import Service
from p2re_eval.records import ModelSettings


class HttpProvider:
    """The part of a provider that its row in the table of services decides.

    The address is the model's ``base_url``, else the one in the service's base-url variable, else
    the service's own; ``keys`` decides which key goes there. A subclass says how the whole address
    and the headers are made, and speaks the service's form.
    """

    concurrency: int | None = None
    path = ""
    """Where an answer is asked for; ``models_path`` lists the models."""
    models_path = "/models"

    def __init__(self, context: ProviderContext, service: Service) -> None:
        self.name = service.name
        self._row = service
        self._clock = context.clock
        self._http = HttpClient()

    @property
    def service(self) -> Service:
        """The row; Vertex AI's depends on the environment, so it is asked for at every call."""
        return self._row

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        row = self.service
        return Requirements(
            base_url=(chosen_base_url(row) or row.base_url).partition("?")[0],
            variables=row.variables,
            needed=row.key_names if row.needs_key else (),
            note=row.note,
        )

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        return chosen_identity(self.service, model)

    def lanes(self, model: ModelSettings) -> Sequence[str]:
        """Every key at every address that the environment names."""
        return [spot.name for spot in spots(self.service, model.base_url)]

    async def diagnose(self) -> str:
        """Whether the key is set and the service lists its models; free of cost.

        Raises ProviderError when calls would fail.
        """
        call = self._ready(ModelSettings(provider=self.name), self.models_path)
        reply = await self._http.get(call, self._headers(call))
        listed = decoded(call, reply.body or b"")
        if isinstance(listed, dict):
            listed = listed.get("data", listed.get("models"))
        count = f"{len(listed)} models" if isinstance(listed, list) else "no list of models"
        key = f"{call.key_name} is set" if call.secret else "no key, and none is needed there"
        return f"{call.host} answers with {count}; {key}"

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _url(self, address: str, path: str, model: ModelSettings) -> str:
        """The whole address. Raises InvalidRequest."""
        raise NotImplementedError

    def _headers(self, call: Call) -> dict[str, str]:
        return {"Authorization": f"Bearer {call.secret}"} if call.secret else {}

    def _call(self, model: ModelSettings, path: str = "", lane: int = 0) -> Call:
        def url_of(address: str) -> str:
            return self._url(address, path or self.path, model)

        return call_to(self.service, model, url_of, lane)

    def _ready(self, model: ModelSettings, path: str = "", lane: int = 0) -> Call:
        """A call that may be made. Raises AuthenticationFailed."""
        call = self._call(model, path, lane)
        check_key(call, call.no_key)
        return call

    def _demand_name(self, model: ModelSettings) -> None:
        if not model.name:
            what = f"{self.name} needs a model; write {self.name}/NAME"
            raise NotFound(what, provider=self.name)
