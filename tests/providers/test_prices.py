"""Costs: the user's price, the public list, or unknown."""

from __future__ import annotations

import pytest

from p2re_eval.providers.prices import CacheWrites, cost_usd
from p2re_eval.records import ModelSettings, Price, Usage

USAGE = Usage(input_tokens=1000, output_tokens=100, cached_tokens=400)
OFFICIAL = "https://api.openai.com/v1/chat/completions"


def _cost(usage=USAGE, url=OFFICIAL, **settings):
    model = ModelSettings(provider="openai", **settings)
    return cost_usd(model, usage, answered_as=None, url=url)


def test_users_price_wins():
    """Dollars per million tokens; cached tokens have their own rate where there is one."""
    price = Price(input=2.0, output=10.0)
    assert _cost(name="gpt-4o", price=price) == pytest.approx(0.003)
    cheaper = Price(input=2.0, output=10.0, cached=1.0)
    assert _cost(name="gpt-4o", price=cheaper) == pytest.approx(0.0026)


def test_public_list_knows_public_models():
    """gpt-4o: 2.50 in, 1.25 cached, 10.00 out."""
    assert _cost(name="gpt-4o") == pytest.approx((600 * 2.5 + 400 * 1.25 + 100 * 10) / 1e6)


@pytest.mark.parametrize(
    "url", ["http://localhost:1/v1", "http://10.1.2.3/v1", "http://box.local/v1", "http://llm/v1"]
)
def test_private_address_has_no_public_price(url):
    """The same model's name there says nothing about its price."""
    assert _cost(name="gpt-4o", url=url) is None


def test_unknown_is_never_zero():
    """An unlisted model, an unlisted host, or missing token counts."""
    assert _cost(name="no-such-model") is None
    assert _cost(name="gpt-4o", url="https://nobody.example/v1") is None
    assert _cost(Usage(input_tokens=5), name="gpt-4o") is None


def test_writing_to_a_cache_has_a_price_of_its_own():
    """claude-sonnet-4-5: 3.00 in, 3.75 written for five minutes, 6.00 for an hour."""
    model = ModelSettings(provider="anthropic", name="claude-sonnet-4-5")
    url, usage = "https://api.anthropic.com/v1/messages", Usage(input_tokens=1000, output_tokens=0)

    def cost(writes):
        return cost_usd(model, usage, answered_as=None, url=url, writes=writes)

    assert cost(None) == pytest.approx(1000 * 3 / 1e6)
    assert cost(CacheWrites(600)) == pytest.approx((400 * 3 + 600 * 3.75) / 1e6)
    assert cost(CacheWrites(600, 100)) == pytest.approx((400 * 3 + 500 * 3.75 + 100 * 6) / 1e6)
