"""Recorded traffic of the real services through the real adapters, over real HTTP on loopback.

Every recorded response is served as it was, streams in pieces of random size, and what comes out is
compared with what an independent reader finds in the recorded JSON. ``make wire FILES=...`` does
the same with any recording of the same form.
"""

from __future__ import annotations

import asyncio

import pytest

from wire.claims import NOT_CLAIMED, WIRE, adapter, read
from wire.replay import outcomes
from wire.verdict import table


@pytest.fixture(autouse=True)
def _keys(monkeypatch):
    """Loopback needs no key, but Amazon's signature does need credentials."""
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0123456789ABCDEF")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")


@pytest.mark.skipif(not WIRE.exists(), reason=f"no recorded traffic at {WIRE}")
def test_every_claimed_row_comes_out_as_it_was_recorded(capsys):
    """193 calls of 20 services: what no adapter claims is named, and everything else is right."""
    rows = read(WIRE)
    lines, wrong = table(rows, asyncio.run(outcomes(rows)))
    with capsys.disabled():
        print(f"\n{lines}")
    assert wrong == {}
    assert {adapter(row)[1] for row in rows if not adapter(row)[0]} <= set(NOT_CLAIMED)
    assert sum(bool(adapter(row)[0]) for row in rows) == 173
