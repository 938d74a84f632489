"""What a captured call cost, where its price is public and nothing says that it ran elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from p2re_eval.records import JSON, ModelSettings, Usage
from p2re_eval.tracing.conventions import said

_ADDRESSES = {
    "openai": "https://api.openai.com",
    "anthropic": "https://api.anthropic.com",
    "google": "https://generativelanguage.googleapis.com",
    "gcp.gemini": "https://generativelanguage.googleapis.com",
    "gcp.vertex_ai": "https://us-central1-aiplatform.googleapis.com",
    "mistralai": "https://api.mistral.ai",
    "mistral_ai": "https://api.mistral.ai",
    "cohere": "https://api.cohere.com",
    "deepseek": "https://api.deepseek.com",
    "groq": "https://api.groq.com",
    "xai": "https://api.x.ai",
    "x_ai": "https://api.x.ai",
}
"""Where each provider answers: the public price list goes by address."""


def captured_cost_usd(
    attributes: Mapping[str, JSON], model: ModelSettings, usage: Usage, *, answered_as: str | None
) -> float | None:
    """US dollars, or None where nothing says which service answered.

    ``llm.system`` names only the form of the call, which any server may speak: it prices nothing.
    """
    told = said(attributes, "cost_usd")
    if isinstance(told, (int, float)) and not isinstance(told, bool):
        return float(told)
    address = said(attributes, "address")
    service = said(attributes, "service")
    url = _url(str(address)) if address else _ADDRESSES.get(str(service).lower())
    if url is None or usage.input_tokens is None:
        return None
    from p2re_eval.providers.prices import cost_usd  # HTTP and prices: only for a priced call

    return cost_usd(model, usage, answered_as=answered_as, url=url)


def _url(address: str) -> str:
    return address if "://" in address else f"https://{address}"
