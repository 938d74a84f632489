"""What people say of traces: kept, changed, compared."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.service import Feedback, Service
from p2re_eval.service.agreement import cohen_kappa
from p2re_eval.store.evaluation_queries import EvaluationFilter


def test_an_annotator_who_changes_his_mind_replaces_himself(service: Service, runs: Any) -> None:
    """One evaluation for each annotator; the earlier word is history."""
    trace_id = runs.record().trace_id
    service.evaluations.annotate(
        Feedback(trace_id=trace_id, annotator="ann", label="good", value=1.0, note="fine")
    )
    service.evaluations.annotate(Feedback(trace_id=trace_id, annotator="bob", passed=False))
    second = service.evaluations.annotate(
        Feedback(trace_id=trace_id, annotator="ann", label="bad", value=0.0)
    )
    found = service.evaluations.list(EvaluationFilter(kind="HUMAN", identifier="ann")).items
    assert found == (second,)
    assert len(service.traces.get(trace_id).evaluations) == 2
    [past] = service.evaluations.history(trace_id)
    assert (past.annotator, past.label, past.value, past.note) == ("ann", "good", 1.0, "fine")


def test_feedback_must_say_something_about_something(service: Service, runs: Any) -> None:
    trace_id = runs.record().trace_id
    with pytest.raises(UsageError, match="says nothing"):
        service.evaluations.annotate(Feedback(trace_id=trace_id, annotator="ann"))
    with pytest.raises(UsageError, match="needs an annotator"):
        service.evaluations.annotate(Feedback(trace_id=trace_id, annotator=" ", label="x"))
    with pytest.raises(NoSuchRecord):
        service.evaluations.annotate(Feedback(trace_id="ff", annotator="ann", label="x"))


def test_evaluations_page_and_go(service: Service, runs: Any) -> None:
    trace_id = runs.record().trace_id
    made = [
        service.evaluations.annotate(Feedback(trace_id=trace_id, annotator=who, passed=True))
        for who in "abc"
    ]
    first = service.evaluations.list(limit=2)
    second = service.evaluations.list(limit=2, cursor=first.next_cursor)
    assert [one.identifier for one in (*first.items, *second.items)] == ["c", "b", "a"]
    service.evaluations.delete(made[0].evaluation_id)
    with pytest.raises(NoSuchRecord):
        service.evaluations.get(made[0].evaluation_id)


def test_agreement_is_of_what_both_judged(service: Service, runs: Any) -> None:
    """Cohen 1960: 2x2 with 20, 5, 10, 15 gives 0.4; one judged alone does not count."""
    table = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    for first, second in table:
        trace_id = runs.record().trace_id
        for who, label in (("ann", first), ("bob", second)):
            service.evaluations.annotate(
                Feedback(trace_id=trace_id, annotator=who, name="polite", label=label)
            )
    alone = runs.record().trace_id
    service.evaluations.annotate(
        Feedback(trace_id=alone, annotator="ann", name="polite", label="yes")
    )
    [pair] = service.evaluations.agreement("polite")
    assert (pair.first, pair.second, pair.traces, pair.agreed) == ("ann", "bob", 50, 35)
    assert pair.share == 0.7
    assert pair.kappa == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("pairs", "kappa"),
    [
        ([], None),
        ([("a", "a")] * 3, None),
        ([("a", "b"), ("b", "a")], -1.0),
        ([("a", "a"), ("b", "b"), ("c", "c")], 1.0),
    ],
)
def test_kappa_at_its_ends(pairs: list[tuple[str, str]], kappa: float | None) -> None:
    assert cohen_kappa(pairs) == kappa


def test_kappa_equals_statsmodels() -> None:
    """Three categories, as counted there."""
    raters = pytest.importorskip("statsmodels.stats.inter_rater")
    counts = [[10, 2, 1], [3, 8, 4], [0, 5, 9]]
    pairs = [
        (str(row), str(column))
        for row in range(3)
        for column in range(3)
        for _ in range(counts[row][column])
    ]
    assert cohen_kappa(pairs) == pytest.approx(raters.cohens_kappa(counts).kappa, abs=1e-12)
