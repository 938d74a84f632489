"""max_latency, max_tokens, max_cost: within, beyond, and unknown."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import ScorerError, WrongType
from p2re_eval.records import Completion, Usage
from p2re_eval.scorers import BoundScorer, max_cost, max_latency, max_tokens


@pytest.mark.parametrize(
    ("bound", "completion", "passed"),
    [
        (max_latency("2s"), Completion(duration_ns=2_000_000_000), True),
        (max_latency("2s"), Completion(duration_ns=2_000_000_001), False),
        (max_latency("150ms"), Completion(duration_ns=151_000_000), False),
        (max_latency("1.5 m"), Completion(duration_ns=89_000_000_000), True),
        (max_latency(0.5), Completion(duration_ns=400_000_000), True),
        (max_latency(2), Completion(duration_ns=0), True),
        (max_tokens(10), Completion(usage=Usage(output_tokens=10)), True),
        (max_tokens(10), Completion(usage=Usage(output_tokens=11)), False),
        (max_cost(0.01), Completion(cost_usd=0.01), True),
        (max_cost(0.01), Completion(cost_usd=0.011), False),
        (max_cost(0), Completion(cost_usd=0.0), True),
    ],
)
def test_bound(verdict: Any, bound: BoundScorer, completion: Completion, passed: bool) -> None:
    """The bound itself is still within."""
    assert verdict(bound, completion).passed is passed


@pytest.mark.parametrize("bound", [max_latency("2s"), max_tokens(5), max_cost(1)])
@pytest.mark.parametrize("turn", [lambda bound: bound, lambda bound: ~bound])
def test_unknown_is_an_error_and_never_within(verdict: Any, bound: BoundScorer, turn: Any) -> None:
    """An unknown price is not 0, and not too much either."""
    with pytest.raises(ScorerError, match=f"so '{bound.name}' cannot judge it"):
        verdict(turn(bound), Completion(text="hello"))


def test_scorers_own_error_stays_as_it_is(verdict: Any) -> None:
    """A ScorerError is already a sentence; it is not wrapped as a crash."""
    with pytest.raises(ScorerError, match=r"^the service did not say how many tokens it wrote"):
        verdict(max_tokens(5), Completion())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: max_latency("soon"), "'soon' is no duration; write 2s, 150ms, 1m or seconds"),
        (lambda: max_latency(0), "'limit' must be more than 0"),
        (lambda: max_tokens(1.5), "option 'limit' must be a whole number, found the number 1.5"),
        (lambda: max_tokens(-1), "'limit' must be 0 or more"),
        (lambda: max_cost("cheap"), "option 'limit' must be a number, found the text 'cheap'"),
        (lambda: max_cost(True), "option 'limit' must be a number, found true"),
    ],
)
def test_wrong_bound_is_refused(make: Any, message: str) -> None:
    """Before any model is called."""
    with pytest.raises(WrongType, match=message):
        make()


def test_measure_is_kept(verdict: Any) -> None:
    """The report shows how much it was."""
    score = verdict(max_cost(0.01), Completion(cost_usd=0.02))
    assert score.metadata == {"cost_usd": 0.02}
    assert score.explanation == "cost $0.02, at most $0.01 allowed"
