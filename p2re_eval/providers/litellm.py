"""The long tail of services through LiteLLM: the extra ``litellm``."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable, Mapping
from types import ModuleType

from p2re_eval.errors import (
    ConnectionFailed,
    ContentFiltered,
    ContextTooLong,
    InvalidRequest,
    NotFound,
    ProviderError,
    ProviderNotInstalled,
    ProviderTimeout,
    Unsupported,
)
from p2re_eval.interfaces import ProviderContext, Requirements
from p2re_eval.providers.chat_answer import read_completion
from p2re_eval.providers.chat_request import OWN_KEYS, chat_body
from p2re_eval.providers.http_faults import Call, refusal
from p2re_eval.providers.prices import from_price
from p2re_eval.records import Completion, ModelSettings, RenderedPrompt

_OWN_KEYS = OWN_KEYS | {"api_base", "base_url", "num_retries", "max_retries", "mock_response"}
_NAMED: dict[str, tuple[type[ProviderError], str]] = {
    "ContextWindowExceededError": (ContextTooLong, "shorten the prompt"),
    "ContentPolicyViolationError": (ContentFiltered, "reword the prompt"),
    "UnsupportedParamsError": (InvalidRequest, "remove the parameter"),
    "Timeout": (ProviderTimeout, "try again later"),
    "APIConnectionError": (ConnectionFailed, "check the address and that the server runs"),
}
"""Errors that LiteLLM tells apart better than their status does."""


class LiteLLMProvider:
    """``litellm/SERVICE/MODEL``, asked as LiteLLM itself names it: ``litellm/replicate/...``.

    LiteLLM reads the keys and addresses of its services from their own variables. Its retries are
    off, since the engine has its own.
    """

    name = "litellm"
    concurrency: int | None = None

    def __init__(self, context: ProviderContext) -> None:
        self._clock = context.clock

    def requirements(self) -> Requirements:
        """Every service has variables of its own."""
        there = importlib.util.find_spec("litellm") is not None
        note = "SERVICE/MODEL, with the variables that LiteLLM documents for the service"
        if there:
            return Requirements(note=note)
        return Requirements(note=f"{note}; pip install 'p2re-eval[litellm]'", missing="litellm")

    def check(self, prompt: RenderedPrompt) -> None:
        """Refuse what can never be sent.

        Raises NotFound without a model, Unsupported for what this adapter does not do,
        ProviderNotInstalled where the extra is absent.
        """
        model = prompt.model
        if "/" not in (model.name or ""):
            raise NotFound("litellm needs a model; write litellm/SERVICE/NAME", provider=self.name)
        call = _call(model)
        taken = sorted(_OWN_KEYS.intersection(model.extra or {}))
        if taken:
            raise call.fault(Unsupported, f"'{taken[0]}' cannot be set in extra; remove it")
        if model.base_url:
            what = "litellm sends its keys wherever it is told, so a file may not tell it; remove"
            raise call.fault(Unsupported, f"{what} base_url, or use openai/NAME with it")
        if model.stream:
            what = "litellm passes off a stream that broke as a whole answer; remove 'stream'"
            raise call.fault(Unsupported, what)
        if importlib.util.find_spec("litellm") is None:
            what = "litellm is not installed; pip install 'p2re-eval[litellm]'"
            raise ProviderNotInstalled(what, provider=self.name)

    def identity(self, model: ModelSettings) -> str:
        """Nothing that this side could know."""
        return ""

    async def complete(
        self, prompt: RenderedPrompt, *, on_text: Callable[[str], None] | None = None
    ) -> Completion:
        """One call, in one piece. Raises ProviderError."""
        model = prompt.model
        call = _call(model)
        library = await asyncio.to_thread(_litellm)
        failures = _its_errors(library)
        try:
            answer = await library.acompletion(
                **chat_body(prompt, stream=False), num_retries=0, max_retries=0
            )
        except failures as error:
            raise _fault(call, error) from None
        completion = read_completion(call, answer.model_dump(mode="json"))
        known = completion.usage.input_tokens is not None
        priced = from_price(model.price, completion.usage) if model.price and known else None
        cost = priced if model.price else _cost(answer)
        if on_text is not None and completion.text:
            on_text(completion.text)
        return completion.model_copy(update={"cost_usd": cost})

    async def close(self) -> None:
        """LiteLLM keeps its own connections."""


def _call(model: ModelSettings) -> Call:
    return Call("litellm", model.name or "", f"https://{(model.name or '').partition('/')[0]}")


def _litellm() -> ModuleType:
    """The library, imported without the download of prices that it would start with."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    library: ModuleType = litellm
    library.suppress_debug_info = True  # type: ignore[attr-defined]
    return library


def _its_errors(library: ModuleType) -> tuple[type[Exception], ...]:
    found = vars(library.exceptions).values()
    named = [one for one in found if isinstance(one, type) and issubclass(one, Exception)]
    return (*named, ValueError)


def _fault(call: Call, error: Exception) -> ProviderError:
    said = " ".join(str(getattr(error, "message", "") or error).split())[:600]
    status = getattr(error, "status_code", None)
    named = next((_NAMED[c.__name__] for c in type(error).__mro__ if c.__name__ in _NAMED), None)
    if named is not None:
        kind, advice = named
        return call.fault(kind, f"{said.rstrip('.')}; {advice}", status=status)
    if not isinstance(status, int) or status < 400:
        return call.fault(InvalidRequest, f"{said.rstrip('.')}; change the model settings")
    headers = getattr(getattr(error, "response", None), "headers", None)
    shown: Mapping[str, str] = headers if isinstance(headers, Mapping) else {}
    return refusal(call, status, shown, {"error": {"message": said}})


def _cost(answer: object) -> float | None:
    """What LiteLLM says it cost; it says nothing of models that it has no price for."""
    hidden = getattr(answer, "_hidden_params", None)
    cost = hidden.get("response_cost") if isinstance(hidden, dict) else None
    return float(cost) if isinstance(cost, (int, float)) else None
