"""Scorers that bound what an answer may take: max_latency, max_tokens, max_cost.

What is not known is never within a bound: these raise instead of passing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from p2re_eval.errors import ScorerError
from p2re_eval.records import JSON, Case, Completion, Score
from p2re_eval.scorers.binding import scorer
from p2re_eval.scorers.excerpt import excerpt

_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)\s*(ms|s|m|min)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0}


def _seconds(limit: str | float) -> float:
    """``"150ms"``, ``"2s"``, ``"1.5m"`` or a number of seconds. Raises ValueError."""
    if not isinstance(limit, str):
        return float(limit)
    match = _DURATION.fullmatch(limit.strip())
    if match is None:
        raise ValueError(f"{excerpt(limit)} is no duration; write 2s, 150ms, 1m or seconds")
    return float(match[1]) * _SECONDS[match[2]]


def _check_duration(options: Mapping[str, JSON]) -> None:
    if not _seconds(options["limit"]) > 0:
        raise ValueError("'limit' must be more than 0, or nothing could pass")


def _check_limit(options: Mapping[str, JSON]) -> None:
    if not options["limit"] >= 0:
        raise ValueError("'limit' must be 0 or more")


@scorer(check=_check_duration)
def max_latency(completion: Completion, case: Case, *, limit: str | float) -> Score:
    """The attempt that answered took no longer than this: ``2s``, ``150ms``, ``1m`` or seconds.

    >>> max_latency.function(Completion(duration_ns=1_200_000_000), Case(id="a"), limit="2s").passed
    True
    """
    if completion.duration_ns is None:
        raise ScorerError(
            "the latency of this answer is not known, so 'max_latency' cannot judge it"
        )
    bound, took = _seconds(limit), completion.duration_ns / 1e9
    shown = f"took {took:.3g} s, at most {bound:.3g} s allowed"
    return _verdict(took <= bound, shown, "duration_s", took)


@scorer(check=_check_limit)
def max_tokens(completion: Completion, case: Case, *, limit: int) -> Score:
    """The answer has no more output tokens than this.

    Reasoning is included where the service counts it.

    >>> answer = Completion(usage=Usage(output_tokens=12))
    >>> max_tokens.function(answer, Case(id="a"), limit=100).passed
    True
    """
    tokens = completion.usage.output_tokens
    if tokens is None:
        raise ScorerError(
            "the service did not say how many tokens it wrote, so 'max_tokens' cannot judge it"
        )
    return _verdict(tokens <= limit, f"{tokens} tokens, at most {limit} allowed", "tokens", tokens)


@scorer(check=_check_limit)
def max_cost(completion: Completion, case: Case, *, limit: float) -> Score:
    """The answer cost no more US dollars than this.

    >>> max_cost.function(Completion(cost_usd=0.0004), Case(id="a"), limit=0.001).passed
    True
    """
    cost = completion.cost_usd
    if cost is None:
        raise ScorerError(
            "the price of this answer is not known, so 'max_cost' cannot judge it; "
            "give the model a price in its settings"
        )
    shown = f"cost ${cost:.6g}, at most ${limit:.6g} allowed"
    return _verdict(cost <= limit, shown, "cost_usd", cost)


def _verdict(passed: bool, explanation: str, measure: str, measured: float) -> Score:
    return Score(
        value=float(passed),
        passed=passed,
        explanation=explanation,
        metadata={measure: measured},
    )
