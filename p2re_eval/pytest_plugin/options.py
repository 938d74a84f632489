"""Options about how much is run: the plan, the budget, early stop and shards."""

from __future__ import annotations

import argparse
import math

import pytest


def add_extent_options(group: pytest.OptionGroup, parser: pytest.Parser) -> None:
    """What limits a run, on the command line and in the ini file."""
    group.addoption(
        "--p2re-plan",
        action="store_true",
        help="say what would run, what it would cost and what it could show; nothing is called",
    )
    group.addoption(
        "--p2re-budget",
        type=dollars,
        metavar="USD",
        help="spend no more than this, judges and xdist workers together; what does not fit is "
        "not run",
    )
    group.addoption(
        "--p2re-allow-unpriced",
        action="store_true",
        help="let a budget pass calls whose price nobody knows; they count as nothing",
    )
    group.addoption(
        "--p2re-early-stop",
        choices=["auto", "always", "never"],
        default="auto",
        help="leave out repeats once the case_pass_rate of their case is decided (auto: where no "
        "other gate needs them, or the suite says early_stop)",
    )
    group.addoption(
        "--p2re-affected",
        action="store_true",
        help="run only cases whose prompt, partial, row or scorer changed since the baseline "
        "(--p2re-baseline) or revision (--p2re-against)",
    )
    group.addoption(
        "--p2re-shard",
        type=shard,
        metavar="K/N",
        help="run the K-th of N equal shares; `p2re merge` puts their databases together",
    )
    parser.addini("p2re_budget", "as --p2re-budget, in US dollars", default="")
    parser.addini("p2re_allow_unpriced", "as --p2re-allow-unpriced", type="bool", default=False)


def dollars(text: str) -> float:
    """An amount of US dollars: ``5``, ``0.25`` or ``$0.25``."""
    try:
        amount = float(text.strip().removeprefix("$"))
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount >= 0):
        what = f"'{text}' is no amount of US dollars; write it as 5 or 0.25"
        raise argparse.ArgumentTypeError(what)
    return amount


def shard(text: str) -> tuple[int, int]:
    """``2/5`` as (2, 5): counted from 1."""
    left, slash, right = text.partition("/")
    if slash and left.isdecimal() and right.isdecimal() and 1 <= int(left) <= int(right):
        return int(left), int(right)
    what = f"'{text}' is no share; write K/N, such as 2/5: K from 1 to N"
    raise argparse.ArgumentTypeError(what)
