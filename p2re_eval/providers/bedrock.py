"""Amazon Bedrock by its Converse API: every model there in one form."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from p2re_eval.errors import AuthenticationFailed, NotFound, Unsupported
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.addresses import endpoint
from p2re_eval.providers.aws_signing import (
    Unsignable,
    find_credentials,
    require_botocore,
    signed_headers,
)
from p2re_eval.providers.converse_answer import ConverseStream, cache_writes, read_converse
from p2re_eval.providers.converse_request import converse_body, unsendable
from p2re_eval.providers.event_readers import FrameReader
from p2re_eval.providers.exchange import Exchange, check_key, encoded
from p2re_eval.providers.http import HttpClient
from p2re_eval.providers.http_faults import Call
from p2re_eval.providers.keys import chosen_base_url, key_for
from p2re_eval.providers.services import Service
from p2re_eval.records import Completion, ModelSettings, RenderedPrompt

if TYPE_CHECKING:
    from botocore.credentials import Credentials

REGION_NAMES = ("AWS_REGION", "AWS_DEFAULT_REGION")
FIRST_REGION = "us-east-1"
_HOST = re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")
BEDROCK = Service(
    "bedrock",
    "",
    ("AWS_BEARER_TOKEN_BEDROCK",),
    "AWS_ENDPOINT_URL_BEDROCK_RUNTIME",
    note=f"the Converse API; without the token AWS credentials sign; AWS_REGION or {FIRST_REGION}",
    needs_key=False,
)


class BedrockProvider:
    """Converse and ConverseStream over HTTP.

    The address is the model's ``base_url``, else ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``, else the
    one of the region that the environment names. A Bedrock API key travels as a bearer token;
    without one botocore signs with the AWS credentials it finds, at Amazon's addresses, the
    environment's own and this machine only.
    """

    name = "bedrock"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._clock = context.clock
        self._http = HttpClient()
        self._credentials: Credentials | None = None

    def requirements(self) -> Requirements:
        """The address in use and the variables that change it."""
        access = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
        return Requirements(
            base_url=chosen_base_url(BEDROCK) or _regional(),
            variables=(*BEDROCK.variables, *access, *REGION_NAMES),
            needed=(*BEDROCK.key_names, access[0], access[2]),
            note=BEDROCK.note,
        )

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, InvalidRequest for an unusable address, Unsupported for
        what the Converse API has no form for, AuthenticationFailed where no key may go,
        ProviderNotInstalled when a signature is needed and botocore is absent.
        """
        model = prompt.model
        if not model.name:
            what = "bedrock needs a model; write bedrock/MODEL-ID"
            raise NotFound(what, provider=self.name)
        call = self._call(model)
        problem = unsendable(prompt)
        if problem is not None:
            raise call.fault(Unsupported, problem)
        check_key(call, call.no_key)
        if not call.secret:
            require_botocore()

    def identity(self, model: ModelSettings) -> str:
        """The address the environment chose, since a prompt without ``base_url`` does not say."""
        return "" if model.base_url else chosen_base_url(BEDROCK) or _regional()

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """One POST, streamed when the model settings say so. Raises ProviderError."""
        model = prompt.model
        call = self._call(model)
        check_key(call, call.no_key)
        body = encoded(call, converse_body(prompt))
        headers = await self._authorization(call, body)
        token = headers.get("X-Amz-Security-Token", "")
        call = call if call.secret else replace(call, secret=token)
        exchange = Exchange(
            self._http,
            call,
            headers,
            read=read_converse,
            now_ns=self._clock.monotonic_ns,
        )
        if model.stream:
            stream, reader = ConverseStream(call), FrameReader()
            completion = await exchange.streamed(body, stream, on_text, reader=reader)
        else:
            completion = await exchange.whole(body)
        return exchange.measured(completion, model, writes=cache_writes(completion.raw))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    def _call(self, model: ModelSettings) -> Call:
        base_url = model.base_url or chosen_base_url(BEDROCK) or _regional()
        method = "converse-stream" if model.stream else "converse"
        url = endpoint(base_url, f"/model/{quote(model.name or '', safe='')}/{method}")
        key = key_for(_owner(url), url)
        return Call(
            self.name,
            model.name or "",
            url,
            secret=key.secret,
            key_name=key.name,
            no_key=key.refusal,
        )

    async def _authorization(self, call: Call, body: bytes) -> dict[str, str]:
        if call.secret:
            return {"Authorization": f"Bearer {call.secret}"}
        require_botocore()
        if self._credentials is None:
            self._credentials = await asyncio.to_thread(find_credentials)
        if self._credentials is None:
            what = "no AWS credentials were found; set AWS_BEARER_TOKEN_BEDROCK, or AWS_PROFILE, or"
            raise call.fault(AuthenticationFailed, f"{what} AWS_ACCESS_KEY_ID and its secret")
        try:
            return await asyncio.to_thread(
                signed_headers,
                self._credentials,
                region=_region_of(call.url),
                url=call.url,
                headers={"Content-Type": "application/json"},
                body=body,
            )
        except Unsignable as error:
            what = f"AWS credentials could not be used ({error}); log in again, or set"
            fault = call.fault(AuthenticationFailed, f"{what} AWS_BEARER_TOKEN_BEDROCK")
            raise fault from None


def _owner(url: str) -> Service:
    """The row, with this address as its own where it is one of Amazon's; elsewhere, but for what
    the environment names, a key is demanded: a signature must not go to strangers either."""
    host = urlsplit(url).hostname or ""
    if _HOST.fullmatch(host):
        return replace(BEDROCK, base_url=f"https://{host}")
    chosen = urlsplit(chosen_base_url(BEDROCK)).hostname
    return replace(BEDROCK, needs_key=host != chosen)


def _regional() -> str:
    return f"https://bedrock-runtime.{_region()}.amazonaws.com"


def _region() -> str:
    named = (os.environ.get(name, "").strip() for name in REGION_NAMES)
    return next((quote(region, safe="") for region in named if region), FIRST_REGION)


def _region_of(url: str) -> str:
    found = _HOST.fullmatch(urlsplit(url).hostname or "")
    return found[1] if found else _region()
