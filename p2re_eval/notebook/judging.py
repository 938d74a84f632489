"""A judge held against people: both verdicts of each answer, how far they agree, and a plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from p2re_eval.errors import UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.notebook.pages import table
from p2re_eval.quantities import UNKNOWN, number_text, share_text
from p2re_eval.records import Evaluation, Result
from p2re_eval.stats import Agreement, judge_agreement
from p2re_eval.stats.proportions import Proportion
from p2re_eval.store import Store

if TYPE_CHECKING:
    import altair as alt

_PASSES = 0.5


class Judged:
    """``pairs`` are the judge's value, 0 to 1, and whether a person found the answer good."""

    def __init__(self, judge: str, people: str, pairs: Iterable[tuple[float, bool]]) -> None:
        self.judge, self.people, self.pairs = judge, people, tuple(pairs)

    @property
    def agreement(self) -> Agreement:
        """Agreement, kappa, and how often the judge sees what people see, with intervals; a value
        of at least a half is the judge's yes."""
        return judge_agreement([(value >= _PASSES, good) for value, good in self.pairs])

    def plot(self, bins: int = 5) -> alt.LayerChart:
        """How often people agree where the judge gave so much. Needs Altair."""
        from p2re_eval.notebook.plots import reliability_chart

        return reliability_chart(self.pairs, bins)

    def __repr__(self) -> str:
        return "\n".join("  ".join(cells) for cells in self._cells())

    def _repr_html_(self) -> str:
        head = f"{self.judge} against {self.people}"
        return table([head, "", "95 % interval"], self._cells())

    def _cells(self) -> list[list[str]]:
        found = self.agreement
        return [
            ["answers judged by both", f"{found.n:,}", ""],
            ["same verdict", *_share(found.agreement)],
            ["kappa (beyond chance)", _number(found.kappa), ""],
            ["passes what people pass", *_share(found.true_positive_rate)],
            ["fails what people fail", *_share(found.true_negative_rate)],
        ]


def judged(store: Store, results: Iterable[Result], judge: str, people: str) -> Judged:
    """The answers that both the judge and people judged; people count once each, by majority.

    Raises UsageError where one of the two said nothing.
    """
    kept = [(result, list(_of(store, result))) for result in results]
    names = {one.name for _, said in kept for one in said}
    if judge not in names:
        what = f"nothing here is judged by '{judge}'{did_you_mean(judge, names)}"
        raise UsageError(f"{what}; evaluations: {', '.join(sorted(names)) or 'none'}")
    pairs = [
        (value, good)
        for _, said in kept
        for value in _values(said, judge)
        if (good := _majority(_verdicts(said, people))) is not None
    ]
    if not pairs:
        what = f"no person judged '{people}' here yet"
        raise UsageError(f"{what}: annotate(experiment.results, name='{people}')")
    return Judged(judge, people, pairs)


def _of(store: Store, result: Result) -> Iterator[Evaluation]:
    """What a result's scorers said, and what the trace has besides."""
    yield from result.evaluations
    seen = {one.evaluation_id for one in result.evaluations}
    if result.trace_id is not None:
        found = store.evaluations(result.trace_id)
        yield from (one for one in found if one.evaluation_id not in seen and one.kind == "HUMAN")


def _values(said: Iterable[Evaluation], judge: str) -> Iterator[float]:
    for one in said:
        if one.name == judge and one.kind != "HUMAN" and one.score is not None:
            if one.score.value is not None:
                yield min(max(one.score.value, 0.0), 1.0)
            elif one.score.passed is not None:
                yield float(one.score.passed)


def _verdicts(said: Iterable[Evaluation], people: str) -> Iterator[bool]:
    for one in said:
        if one.name == people and one.kind == "HUMAN" and one.score is not None:
            if one.score.passed is not None:
                yield one.score.passed
            elif one.score.value is not None:
                yield one.score.value >= _PASSES


def _majority(verdicts: Iterable[bool]) -> bool | None:
    """As many for as against say nothing."""
    votes = sum(1 if good else -1 for good in verdicts)
    return votes > 0 if votes else None


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else number_text(value)


def _share(found: Proportion | None) -> tuple[str, str]:
    if found is None:
        return UNKNOWN, ""
    between = f"{share_text(found.low)} to {share_text(found.high)}"
    return f"{share_text(found.rate)} of {found.n:,}", between
