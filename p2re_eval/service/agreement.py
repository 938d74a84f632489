"""How far annotators agree, beyond what chance would give."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations

from p2re_eval.records import Record
from p2re_eval.stats import cohen_kappa


class Agreement(Record):
    """Two annotators on the traces that both judged; ``kappa`` None where chance alone would have
    given full agreement (both always said the same one thing)."""

    first: str
    second: str
    traces: int
    agreed: int
    kappa: float | None

    @property
    def share(self) -> float:
        """The share of traces on which they said the same."""
        return self.agreed / self.traces


def agreements(
    judgements: Iterable[tuple[str, str, float | None, str | None, int | None]],
) -> tuple[Agreement, ...]:
    """Every two annotators of (trace, annotator, value, label, passed) rows.

    What somebody said is the label, else the verdict, else the value.
    """
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for trace_id, annotator, value, label, passed in judgements:
        word = _word(value, label, passed)
        if word is not None:
            said[annotator][trace_id] = word
    found = []
    for first, second in combinations(sorted(said), 2):
        both = sorted(said[first].keys() & said[second].keys())
        if both:
            pairs = [(said[first][one], said[second][one]) for one in both]
            agreed = sum(a == b for a, b in pairs)
            found.append(
                Agreement(
                    first=first,
                    second=second,
                    traces=len(both),
                    agreed=agreed,
                    kappa=cohen_kappa([a for a, _ in pairs], [b for _, b in pairs]),
                )
            )
    return tuple(sorted(found, key=lambda one: -one.traces))


def _word(value: float | None, label: str | None, passed: int | None) -> str | None:
    if label is not None:
        return label
    if passed is not None:
        return "passed" if passed else "failed"
    return None if value is None else f"{value:g}"
