"""A/B experiments on live traffic: who gets which variant, and what came of it."""

from p2re_eval.online.assigning import assign, outcome
from p2re_eval.online.deciding import Online
from p2re_eval.online.findings import Finding, Findings

__all__ = ["Finding", "Findings", "Online", "assign", "outcome"]
