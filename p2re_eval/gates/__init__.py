"""Gates: one line of a suite that turns its results into a verdict.

``METRIC OP NUMBER``: ``pass_rate >= 0.9``, ``p95_latency <= 3s``, ``pass_rate[tag=refund] >= 90%``;
or ``no_regression``, against a baseline. A gate that cannot be evaluated is neither passed nor
failed: its verdict is ``None``, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from p2re_eval.gates.decide import decide, evaluate
from p2re_eval.gates.gate import NO_BASELINE, Gate, NoRegression, group_values
from p2re_eval.gates.metrics import METRICS
from p2re_eval.gates.parse import parse_gate

if TYPE_CHECKING:
    from p2re_eval.gates.regression import decide_regression, judge_delta

__all__ = [
    "METRICS",
    "NO_BASELINE",
    "Gate",
    "NoRegression",
    "decide",
    "decide_regression",
    "evaluate",
    "group_values",
    "judge_delta",
    "parse_gate",
]


def __getattr__(name: str) -> object:
    """What compares with a baseline brings the statistics along: most sessions need neither."""
    if name in {"decide_regression", "judge_delta"}:
        from p2re_eval.gates import regression

        return getattr(regression, name)
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
