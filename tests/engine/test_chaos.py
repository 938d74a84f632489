"""The engine and a real provider against a service on a bad day; `make chaos` asks 5,000 times."""

from __future__ import annotations

import asyncio

from p2re_eval.engine.calls import Answer
from wire import chaos


def test_every_call_ends_in_a_whole_answer_or_the_right_error():
    """300 calls, 30 at once, storms and twelve other ways to fail, half of them in a stream."""
    outcome = asyncio.run(chaos.run(300, concurrency=30, seed=7))
    assert chaos.wrong(outcome) == []
    assert sum(isinstance(end, Answer) for end in outcome.answers) >= 290
    counted = sum(end.attempts for end in outcome.answers)
    assert counted == outcome.provider.attempts == outcome.ledger.requests
    assert outcome.provider.most <= 30
    assert outcome.ledger.most <= 30
    assert outcome.ledger.ways["storm"] >= 30
