"""The built-in scorers, registered by the same door as everybody's."""

from __future__ import annotations

from collections.abc import Callable

from p2re_eval.hookspecs import hookimpl
from p2re_eval.interfaces import ScorerFunction
from p2re_eval.scorers.budget import max_cost, max_latency, max_tokens
from p2re_eval.scorers.judge import llm_judge
from p2re_eval.scorers.numeric import numeric_close
from p2re_eval.scorers.structure import json_path, json_schema
from p2re_eval.scorers.text import choice, contains, ends_with, equals, regex, starts_with

_SCORERS = (
    equals,
    contains,
    starts_with,
    ends_with,
    regex,
    choice,
    numeric_close,
    json_schema,
    json_path,
    max_latency,
    max_tokens,
    max_cost,
    llm_judge,
)


@hookimpl
def register_scorers(register: Callable[[str, ScorerFunction], None]) -> None:
    """All of this package's scorers, each under its function's name."""
    for scorer in _SCORERS:
        register(scorer.name, scorer)
