"""A gate that can be evaluated: a comparison with a number, or with a baseline."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Literal

from p2re_eval import stats
from p2re_eval.records import GateSpec, Judgement, Place, Result

Kind = Literal["rate", "score", "latency", "cost", "tokens"]

COMPARISON = re.compile(
    r"(?P<metric>(?:[^<>=!≤≥\[]|\[[^\]]*\])*?)\s*(?P<op>[<>=!≤≥]+)\s*(?P<threshold>.*)\Z", re.DOTALL
)
"""``METRIC OP NUMBER``; what stands in brackets belongs to the metric."""
NO_REGRESSION = "no_regression"
NO_BASELINE = "there is nothing to compare with; give --p2re-baseline or --p2re-against"
DEFAULT_MARGIN = 0.02
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        ">=": operator.ge,
        "<=": operator.le,
        ">": operator.gt,
        "<": operator.lt,
        "==": operator.eq,
    }
)
_SLACK = 1e-12
"""Sums of decimals miss by less than this; such a value counts as equal to the threshold."""


@dataclass(frozen=True)
class NoRegression:
    """What ``no_regression`` asks: ``metrics`` must not have fallen by more than ``margin``.

    The judgements in ``fails_on`` fail the gate; one that is incomparable leaves it undecided.
    """

    margin: float = DEFAULT_MARGIN
    confidence: float = stats.CONFIDENCE
    metrics: tuple[str, ...] = ("pass_rate",)
    fails_on: frozenset[Judgement] = frozenset({"regression"})


@dataclass(frozen=True)
class Gate:
    """A gate; ``threshold`` in the metric's own unit (share, ns, dollars).

    ``tries`` is the k of ``pass^k`` and ``pass@k``. ``group`` narrows the gate to some results:
    pairs of (tag, prompt, model, case or cluster) and a pattern. ``relative`` is set for
    ``no_regression``, which compares with a baseline and not with a threshold. ``spec`` is what was
    written, for a process that reads it again.
    """

    text: str
    metric: str
    op: str
    threshold: float
    scorer: str | None = None
    tries: int = 1
    group: tuple[tuple[str, str], ...] = ()
    relative: NoRegression | None = None
    place: Place | None = None
    spec: GateSpec = field(default_factory=lambda: GateSpec(text=""))

    @property
    def wanted(self) -> str:
        """The part after the metric, as the user wrote it: ``>= 90%``."""
        found = COMPARISON.match(self.text.strip())
        return f"{self.op} {found['threshold'].strip()}" if found else self.op

    def holds(self, value: float) -> bool:
        """Whether this value satisfies the gate; rounding errors of a sum do not decide."""
        if math.isclose(value, self.threshold, rel_tol=_SLACK, abs_tol=_SLACK):
            return self.op in {">=", "<=", "=="}
        return _OPERATORS[self.op](value, self.threshold)

    def selects(self, result: Result) -> bool:
        """Whether the result belongs to the gate's group."""
        return all(
            any(fnmatchcase(value, pattern) for value in group_values(result, key))
            for key, pattern in self.group
        )


GROUPS = ("tag", "prompt", "model", "case", "cluster")
"""What a gate's brackets may narrow it by."""


def group_values(result: Result, key: str) -> tuple[str, ...]:
    """What a result is, by one of :data:`GROUPS`."""
    if key == "tag":
        return result.tags
    values = {
        "prompt": result.prompt,
        "model": result.model,
        "case": result.case_id,
        "cluster": result.cluster or "",
    }
    return (values[key],)
