"""What an answer cost: the user's own price, a public price list, or unknown. Never a guess."""

from __future__ import annotations

from typing import NamedTuple

from p2re_eval.interfaces import Provider
from p2re_eval.providers.addresses import is_private
from p2re_eval.records import ModelSettings, Price, Usage


class CacheWrites(NamedTuple):
    """Input tokens that the service put into its cache at a price of their own: all of them, and
    those among them that stay an hour."""

    total: int = 0
    one_hour: int = 0


def cost_usd(
    model: ModelSettings,
    usage: Usage,
    *,
    answered_as: str | None,
    url: str,
    writes: CacheWrites | None = None,
) -> float | None:
    """US dollars of one answer, or ``None`` when the price or the tokens are not known.

    ``answered_as`` is the model's name in the answer, more exact than the one asked for. The
    public list is consulted for public addresses only. ``writes`` are part of the usage's input;
    the user's own price has no rate for them, so there they cost like the rest of it.
    """
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    if model.price is not None:
        return from_price(model.price, usage)
    if is_private(url):
        return None
    names = [name for name in (answered_as, model.name) if name]
    costs = (_listed(name, usage, url, writes) for name in names)
    return next((cost for cost in costs if cost is not None), None)


def quoted_usd(provider: Provider, model: ModelSettings, usage: Usage) -> float | None:
    """US dollars that so many tokens of this model would cost; ``None`` when nobody knows."""
    if model.price is not None:
        return from_price(model.price, usage)
    if getattr(provider, "free", False):
        return 0.0
    requirements = getattr(provider, "requirements", None)
    url = model.base_url or ("" if requirements is None else requirements().base_url)
    return cost_usd(model, usage, answered_as=None, url=url) if url else None


def from_price(price: Price, usage: Usage) -> float:
    """The cost at this price; cached tokens are part of the input, and cost like it when the price
    names no rate for them."""
    cached = min(usage.cached_tokens or 0, usage.input_tokens or 0)
    fresh = (usage.input_tokens or 0) - cached
    cached_rate = price.input if price.cached is None else price.cached
    millionths = fresh * price.input + cached * cached_rate
    return (millionths + (usage.output_tokens or 0) * price.output) / 1e6


def _listed(name: str, usage: Usage, url: str, writes: CacheWrites | None) -> float | None:
    # Imported here: the list is 24 MB of Python objects that private addresses never need.
    import genai_prices

    tokens = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=min(usage.cached_tokens or 0, usage.input_tokens or 0),
        **_written(writes),
    )
    try:
        found = genai_prices.calc_price(tokens, name, provider_api_url=url)
    except LookupError:
        return None
    return float(found.total_price)


def _written(writes: CacheWrites | None) -> dict[str, int]:
    if writes is None:
        return {}
    named = {"cache_write_tokens": writes.total, "cache_write_1h_tokens": writes.one_hour}
    return {name: tokens for name, tokens in named.items() if tokens}
