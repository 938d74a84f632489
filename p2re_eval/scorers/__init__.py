"""Scorers: plain functions that judge a completion, and the door through which they enter."""

from p2re_eval.scorers.binding import BoundScorer, Scorer, bind, scorer
from p2re_eval.scorers.budget import max_cost, max_latency, max_tokens
from p2re_eval.scorers.judge import llm_judge
from p2re_eval.scorers.numeric import numeric_close
from p2re_eval.scorers.structure import json_path, json_schema
from p2re_eval.scorers.table import OptionRow, ScorerRow, scorer_table
from p2re_eval.scorers.text import choice, contains, ends_with, equals, regex, starts_with

__all__ = [
    "BoundScorer",
    "OptionRow",
    "Scorer",
    "ScorerRow",
    "bind",
    "choice",
    "contains",
    "ends_with",
    "equals",
    "json_path",
    "json_schema",
    "llm_judge",
    "max_cost",
    "max_latency",
    "max_tokens",
    "numeric_close",
    "regex",
    "scorer",
    "scorer_table",
    "starts_with",
]
