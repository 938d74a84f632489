"""What is tried again, and after how long."""

from __future__ import annotations

import random

import pytest

from p2re_eval.engine.retry import RetryPolicy
from p2re_eval.errors import (
    AuthenticationFailed,
    ConnectionFailed,
    ContentFiltered,
    InvalidRequest,
    MalformedResponse,
    NotFound,
    Overloaded,
    ProviderError,
    ProviderTimeout,
    QuotaExhausted,
    RateLimited,
    ServerFault,
    TruncatedResponse,
)

POLICY = RetryPolicy(attempts=4, first_delay_s=1.0, longest_delay_s=3.0, random=random.Random(1))


@pytest.mark.parametrize(
    "kind",
    [
        RateLimited,
        Overloaded,
        ServerFault,
        ProviderTimeout,
        ConnectionFailed,
        MalformedResponse,
        TruncatedResponse,
    ],
)
def test_what_may_pass_is_tried_again(kind: type[ProviderError]) -> None:
    """Waiting can cure these."""
    assert POLICY.delay_s(kind("x"), 1) is not None


@pytest.mark.parametrize(
    "kind", [AuthenticationFailed, NotFound, InvalidRequest, ContentFiltered, QuotaExhausted]
)
def test_what_cannot_succeed_is_not_tried_again(kind: type[ProviderError]) -> None:
    """A wrong key is as wrong a second later."""
    assert POLICY.delay_s(kind("x"), 1) is None


def test_delays_double_up_to_the_longest_with_jitter_in_the_upper_half() -> None:
    """Ceilings 1, 2, 3 (capped from 4) seconds; each delay is between half of it and all of it."""
    for attempt, ceiling in ((1, 1.0), (2, 2.0), (3, 3.0)):
        for _ in range(50):
            delay = POLICY.delay_s(ServerFault("x"), attempt)
            assert delay is not None
            assert ceiling / 2 <= delay <= ceiling


def test_the_last_attempt_is_the_last() -> None:
    """Four attempts mean no delay after the fourth."""
    assert POLICY.delay_s(ServerFault("x"), 4) is None


def test_the_services_own_hint_wins() -> None:
    """Retry-After replaces the computed delay, also when it is longer than our longest."""
    assert POLICY.delay_s(RateLimited("x", retry_after_s=26.604), 1) == 26.604


@pytest.mark.parametrize("kind", [MalformedResponse, ProviderTimeout])
def test_what_rarely_helps_is_tried_once_more_only(kind: type[ProviderError]) -> None:
    """A second unreadable body, or a second call that took too long, means a third would be so."""
    assert POLICY.delay_s(kind("x"), 1) is not None
    assert POLICY.delay_s(kind("x"), 2) is None
