"""Experiments page by page."""

from __future__ import annotations

import pytest

from p2re_eval.errors import UsageError
from p2re_eval.records import Experiment, Result
from p2re_eval.service import Service


@pytest.fixture
def filled(service: Service) -> Service:
    """Two experiments; the newer has five results in two suites."""
    for number in (1, 2):
        service.store.start_experiment(
            Experiment(experiment_id=f"e{number}", name="n", started_ns=number)
        )
    for number in range(5):
        result = Result(
            experiment_id="e2",
            item=f"item-{number}",
            suite=["suites/a.yaml", "suites/b.c.yaml"][number % 2],
            prompt="route",
            model="openai/x",
            case_id=f"case-{number}",
            position=number,
            outcome="passed" if number else "failed",
        )
        service.store.save_result(result, []).result()
    return service


def test_experiments_and_results_page(filled: Service) -> None:
    first = filled.experiments.list(limit=1)
    second = filled.experiments.list(limit=1, cursor=first.next_cursor)
    assert [one.experiment_id for one in (*first.items, *second.items)] == ["e2", "e1"]
    whole = filled.experiments.results("e2").items
    paged, cursor = [], None
    while True:
        page = filled.experiments.results("e2", limit=2, cursor=cursor)
        paged += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(paged) == whole
    assert [one.case_id for one in whole] == ["case-0", "case-2", "case-4", "case-1", "case-3"]


def test_an_experiment_counts_its_outcomes(filled: Service) -> None:
    assert filled.experiments.get("latest").outcomes == {"failed": 1, "passed": 4}
    with pytest.raises(UsageError, match="is no cursor"):
        filled.experiments.results("e2", cursor="x")
