"""Numbers as people read them."""

from __future__ import annotations

import pytest

from p2re_eval import quantities as q


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (None, "-"),
        (0, "0 ms"),
        (340_000_000, "340 ms"),
        (1_500_000, "1.5 ms"),
        (999_700_000, "1.0 s"),
        (1_200_000_000, "1.2 s"),
        (59_960_000_000, "1 min 0 s"),
        (125_000_000_000, "2 min 5 s"),
        (3_780_000_000_000, "1 h 3 min"),
    ],
)
def test_durations(ns: float | None, text: str) -> None:
    assert q.duration_text(ns) == text


@pytest.mark.parametrize(
    ("usd", "text"),
    [
        (None, "-"),
        (0, "$0"),
        (0.0012, "$0.0012"),
        (0.0000012, "$0.0000012"),
        (0.0996, "$0.100"),
        (0.279, "$0.279"),
        (0.999, "$1.00"),
        (1.234, "$1.23"),
        (1234.5, "$1,234.50"),
    ],
)
def test_money(usd: float | None, text: str) -> None:
    assert q.money_text(usd) == text


@pytest.mark.parametrize(
    ("tokens", "text"),
    [(None, "-"), (0, "0"), (999, "999"), (1234, "1.23k"), (12_340, "12.3k"), (999_600, "1.00M")],
)
def test_tokens(tokens: float | None, text: str) -> None:
    assert q.tokens_text(tokens) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (None, "-"),
        (0, "0 %"),
        (1, "100 %"),
        (0.9333, "93.3 %"),
        (0.9999, ">99.9 %"),
        (0.0001, "<0.1 %"),
    ],
)
def test_shares_never_round_to_all_or_nothing(share: float | None, text: str) -> None:
    assert q.share_text(share) == text


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, "-"), (0.3, "0.30"), (0.004, "0.004"), (4.2, "4.20"), (87.5, "87.5")],
)
def test_scores(number: float | None, text: str) -> None:
    assert q.number_text(number) == text


def test_counts_take_the_plural() -> None:
    assert [q.count_text(n, "case") for n in (0, 1, 1200)] == ["0 cases", "1 case", "1,200 cases"]
