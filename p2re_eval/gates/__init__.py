"""Gates: one line of a suite that turns its results into a verdict.

``METRIC OP NUMBER``: ``pass_rate >= 0.9``, ``p95_latency <= 3s``, ``pass_rate[tag=refund] >= 90%``;
or ``no_regression``, against a baseline. A gate that cannot be evaluated is neither passed nor
failed: its verdict is ``None``, with the reason.
"""

from p2re_eval.gates.decide import decide, evaluate
from p2re_eval.gates.gate import Gate, NoRegression, group_values
from p2re_eval.gates.metrics import METRICS
from p2re_eval.gates.parse import parse_gate
from p2re_eval.gates.regression import decide_regression, judge_delta

__all__ = [
    "METRICS",
    "Gate",
    "NoRegression",
    "decide",
    "decide_regression",
    "evaluate",
    "group_values",
    "judge_delta",
    "parse_gate",
]
