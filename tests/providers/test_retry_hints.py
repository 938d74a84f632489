"""How long to wait, in every form services say it."""

from __future__ import annotations

import pytest

from p2re_eval.providers.retry_hints import retry_after_s

DATE = {"date": "Tue, 26 Mar 2024 19:59:30 GMT"}


@pytest.mark.parametrize(
    ("headers", "message", "expected"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after": "-3"}, "", 0.0),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after-ms": "250", "retry-after": "1"}, "", 0.25),
        ({"retry-after": "Tue, 26 Mar 2024 20:00:00 GMT", **DATE}, "", 30.0),
        ({"retry-after": "Tue, 26 Mar 2024 19:00:00 GMT", **DATE}, "", 0.0),
        ({}, "Please try again in 26.604s. Visit us.", 26.604),
        ({}, "Please try again in 6ms.", 0.006),
        ({}, "Please try again in 1m30.5s. Visit", 90.5),
        ({}, "Retry after 2 minutes", 120.0),
        ({}, "try again in a while", None),
        ({"retry-after": "3"}, "try again in 20s", 3.0),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, "", 360.0),
        ({"x-ratelimit-remaining-tokens": "9", "x-ratelimit-reset-tokens": "6m0s"}, "", None),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2024-03-26T20:00:00Z",
                **DATE,
            },
            "",
            30.0,
        ),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1711483200000", **DATE}, "", 30.0),
        ({}, "", None),
    ],
)
def test_hint_is_read_as_seconds(headers, message, expected):
    """Headers before sentences before rate-limit resets; what cannot be read is no hint."""
    found = retry_after_s(headers, message, {})
    assert found == (expected if expected is None else pytest.approx(expected))


def test_delay_in_the_details_is_read():
    """Google's RetryInfo."""
    error = {"details": [{"@type": "x.RetryInfo", "retryDelay": "34.5s"}]}
    assert retry_after_s({}, "", error) == 34.5
