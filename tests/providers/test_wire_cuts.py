"""Recorded streams cut anywhere and ended anywhere: the same answer, or an error.

A stream is whole once its service has said how the answer finished; before that it is never one.
"""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2re_eval.errors import ProviderError, TruncatedResponse
from wire.claims import WIRE, adapter, body_of, read
from wire.readers import expected
from wire.replay import outcomes
from wire.verdict import differences

pytestmark = pytest.mark.skipif(not WIRE.exists(), reason=f"no recorded traffic at {WIRE}")
ROWS = read(WIRE) if WIRE.exists() else []
STREAMS = [row for row in ROWS if row["stream"] and row["status"] == 200 and adapter(row)[0]]
ONE_OF_EACH = list({(adapter(row)[0], row["endpoint"]): row for row in STREAMS}.values())
SLOW_IS_FINE = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(autouse=True)
def _credentials(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA0123456789ABCDEF")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-a-real-one")


def _cut(body: bytes, places: list[int]) -> list[bytes]:
    bounds = sorted({0, len(body), *(place % max(1, len(body)) for place in places)})
    return [body[a:b] for a, b in itertools.pairwise(bounds)]


@settings(max_examples=12, **SLOW_IS_FINE)
@given(places=st.lists(st.integers(0, 1_000_000), max_size=40))
def test_every_stream_is_the_same_wherever_it_is_cut(places):
    """Every recorded stream, cut at the same random places: nothing changes."""
    found = asyncio.run(outcomes(STREAMS, lambda body: _cut(body, places)))
    wrong = {row["id"]: differences(row, out) for row, out in zip(STREAMS, found, strict=True)}
    assert {row_id: problems for row_id, problems in wrong.items() if problems} == {}


def test_one_stream_of_each_form_byte_by_byte():
    """The hardest cut: between any two bytes, so inside every character, field and frame."""
    rows = [min((r for r in STREAMS if adapter(r)[0] == name), key=lambda r: len(body_of(r)))
            for name in {adapter(row)[0] for row in STREAMS}]  # fmt: skip
    found = asyncio.run(outcomes(rows, lambda body: [body[n : n + 1] for n in range(len(body))]))
    assert [differences(row, out) for row, out in zip(rows, found, strict=True)] == [[]] * len(rows)


@settings(max_examples=30, **SLOW_IS_FINE)
@given(share=st.floats(0, 1, exclude_max=True), hangs_up=st.booleans())
def test_a_stream_that_ends_early_is_an_error_that_keeps_what_came(share, hangs_up):
    """Ended properly or hung up in the middle: all of the answer, or an error and its beginning."""

    def beginning(body: bytes) -> list[bytes | None]:
        kept = body[: int(len(body) * share)]
        return [piece for piece in (kept, None if hangs_up else b"") if piece != b""]

    found = asyncio.run(outcomes(ONE_OF_EACH, beginning))
    for row, outcome in zip(ONE_OF_EACH, found, strict=True):
        whole = expected(row)
        if isinstance(outcome, ProviderError):
            assert outcome.kind in {"truncated", "connection", "malformed"}, outcome
            assert whole["text"].startswith(outcome.partial or "")
            continue
        completion, streamed = outcome
        assert (completion.text, streamed) == (whole["text"], whole["text"]), row["id"]
        assert completion.raw_finish_reason == whole["finish"]


@pytest.mark.parametrize("row", ONE_OF_EACH, ids=lambda row: f"{row['provider']}-{row['endpoint']}")
def test_the_first_half_of_a_stream_is_truncated_with_the_text_so_far(row):
    """Every form: half of the bytes, then the end."""
    half = [*_cut(body_of(row)[: len(body_of(row)) // 2], [7, 77])]
    (outcome,) = asyncio.run(outcomes([row], lambda body: half))
    assert type(outcome) is TruncatedResponse
    assert expected(row)["text"].startswith(outcome.partial or "")
    assert outcome.retryable
