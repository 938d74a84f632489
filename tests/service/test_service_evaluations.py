"""What people say of traces: kept, changed, compared."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.records import Evaluation, Score
from p2re_eval.service import Feedback, Service
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


def say(service: Service, trace_id: str, *, judge: float, **given: Any) -> None:
    """A judge's value of a trace."""
    service.evaluations.create(
        Evaluation(
            **{
                "evaluation_id": f"{judge}-{trace_id}-{given}",
                "trace_id": trace_id,
                "name": "polite",
                "scorer": "llm_judge",
                "scorer_version": "v1",
                "kind": "LLM",
                "score": Score(value=judge, explanation="sounds fine"),
                **given,
            }
        )
    )


def judged(service: Service, runs: Any, table: dict[tuple[float, bool], int]) -> None:
    """So many traces with this value of the judge and this verdict of ann."""
    for (value, good), count in table.items():
        for _ in range(count):
            trace_id = runs.record("So what?").trace_id
            say(service, trace_id, judge=value)
            said = Feedback(trace_id=trace_id, annotator="ann", passed=good, note="rude")
            service.evaluations.annotate(said)


def test_a_judge_is_held_against_people(service: Service, runs: Any) -> None:
    """Cohen 1960's table again: 20, 5, 10, 15; the judge's value passes from 0.5 on."""
    table = {(0.9, True): 20, (0.8, False): 5, (0.1, True): 10, (0.0, False): 15}
    judged(service, runs, table)
    say(service, runs.record().trace_id, judge=1.0)  # nobody judged it: it does not count
    [found] = service.evaluations.judges()
    assert (found.name, found.scorer, found.scorer_version) == ("polite", "llm_judge", "v1")
    assert found.people == "feedback"
    assert found.confusion.model_dump() == {
        "both_pass": 20,
        "both_fail": 15,
        "only_judge": 5,
        "only_people": 10,
    }
    assert found.figures is not None
    assert found.figures.n == 50
    assert found.figures.agreement.rate == 0.7
    assert found.figures.agreement.low == pytest.approx(0.5625, abs=1e-4)
    assert found.figures.kappa == pytest.approx(0.4)
    assert found.figures.kappa_low == pytest.approx(0.1511, abs=1e-4)
    assert len(found.disagreements) == 15
    newest = found.disagreements[0]
    assert (newest.judge_passes, newest.judge_value, newest.judge_why) == (
        False,
        0.1,
        "sounds fine",
    )
    assert (newest.people, newest.people_why, newest.output_preview) == (
        ("ann",),
        "rude",
        "So what?",
    )


def test_each_version_of_a_judge_stands_alone(service: Service, runs: Any) -> None:
    """A rubric that was changed is another judge; the newest word of each counts."""
    for good in (True, False):
        trace_id = runs.record().trace_id
        service.evaluations.annotate(
            Feedback(trace_id=trace_id, annotator="ann", name="polite", passed=good)
        )
        service.evaluations.annotate(Feedback(trace_id=trace_id, annotator="ann", passed=not good))
        say(service, trace_id, judge=0.0, experiment_id="e1")
        say(service, trace_id, judge=float(good), experiment_id="e2")
        say(service, trace_id, judge=0.0, scorer_version="v2", experiment_id="e3")
    old, new = sorted(service.evaluations.judges(), key=lambda one: one.scorer_version)
    assert (old.people, old.figures and old.figures.agreement.rate) == ("polite", 1.0)
    assert new.figures is not None
    assert (new.figures.agreement.rate, new.figures.kappa) == (0.5, 0.0)
    [other, _] = service.evaluations.judges(people="feedback")
    assert (other.people, other.figures and other.figures.agreement.rate) == ("feedback", 0.0)


def test_people_count_by_majority_and_a_split_is_left_out(service: Service, runs: Any) -> None:
    for words in ((True, True, False), (True, False)):
        trace_id = runs.record().trace_id
        say(service, trace_id, judge=1.0)
        for who, passed in zip("abc", words, strict=False):
            service.evaluations.annotate(Feedback(trace_id=trace_id, annotator=who, passed=passed))
    [found] = service.evaluations.judges()
    assert (found.confusion.both_pass, found.left_out) == (1, 1)


def test_any_scorer_can_be_held_against_people_by_name(service: Service, runs: Any) -> None:
    """With a threshold of its own, that decides instead of its verdict."""
    trace_id = runs.record().trace_id
    say(service, trace_id, judge=0.6, kind="CODE", scorer="mine", name="length")
    service.evaluations.annotate(Feedback(trace_id=trace_id, annotator="ann", passed=False))
    assert service.evaluations.judges() == ()
    [found] = service.evaluations.judges("length")
    assert found.confusion.only_judge == 1
    [found] = service.evaluations.judges("length", threshold=0.75)
    assert (found.confusion.only_judge, found.confusion.both_fail) == (0, 1)
    assert found.figures is not None
    assert (found.figures.kappa, found.figures.kappa_low) == (None, None)
