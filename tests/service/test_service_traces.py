"""Traces through the service: pages, pins, tags, deletion."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.records import Span
from p2re_eval.service import Feedback, Service
from p2re_eval.store import TraceFilter


def test_pages_follow_each_other_to_the_end(service: Service, runs: Any) -> None:
    """Each cursor leads on; the last page has none."""
    made = [runs.record().trace_id for _ in range(5)]
    first = service.traces.list(limit=2)
    second = service.traces.list(limit=2, cursor=first.next_cursor)
    third = service.traces.list(limit=2, cursor=second.next_cursor)
    assert [row.trace_id for page in (first, second, third) for row in page.items] == made[::-1]
    assert third.next_cursor is None


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 30])
def test_a_cursor_that_is_none_is_refused(service: Service, cursor: str) -> None:
    with pytest.raises(UsageError, match="is no cursor; give the next_cursor"):
        service.traces.list(cursor=cursor)


def test_a_filter_narrows(service: Service, runs: Any) -> None:
    runs.record(suite="suites/a.yaml")
    runs.record()
    [row] = service.traces.list(TraceFilter(suite="suites/a.yaml")).items
    assert (row.suite, row.prompt_version) == ("suites/a.yaml", "a" * 64)


def test_a_pin_is_set_once_and_taken_off(service: Service, runs: Any) -> None:
    trace = runs.record()
    service.traces.pin(trace.trace_id)
    pinned = service.traces.get(trace.trace_id).pinned_ns
    assert pinned is not None
    service.traces.pin(trace.trace_id)
    assert service.traces.list().items[0].pinned_ns == pinned
    service.traces.pin(trace.trace_id, pinned=False)
    assert service.traces.get(trace.trace_id).pinned_ns is None


def test_tags_come_and_go_in_order(service: Service, runs: Any, database: Path) -> None:
    """The list in the row and the table that search reads agree."""
    trace = runs.record(tags=("a",))
    assert service.traces.tag(trace.trace_id, add=["b", "a"], remove=["x"]) == ("a", "b")
    assert service.traces.tag(trace.trace_id, remove=["a"]) == ("b",)
    assert service.traces.get(trace.trace_id).trace.tags == ("b",)
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT tag, trace FROM trace_tags").fetchall() == [("b", 1)]


def test_a_deleted_trace_leaves_no_text_behind(service: Service, runs: Any, database: Path) -> None:
    """Rows, texts, index and judgements are gone; what another trace shares stays."""
    shared = runs.record("keep me")
    gone = runs.record("unique words", prompt=runs.prompt("another question"))
    service.evaluations.annotate(Feedback(trace_id=gone.trace_id, annotator="ann", label="bad"))
    service.store.search("unique")
    assert service.traces.delete([gone.trace_id]) == 1
    assert service.store.search("unique") == []
    assert [row.trace_id for row in service.store.search("keep")] == [shared.trace_id]
    assert service.traces.get(shared.trace_id).trace == shared
    with pytest.raises(NoSuchRecord):
        service.traces.get(gone.trace_id)
    with closing(sqlite3.connect(database)) as connection:
        count = "SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})"
        assert connection.execute(count.format("evaluations", "responses")).fetchone() == (0, 1)
        bodies = " ".join(str(row[0]) for row in connection.execute("SELECT body FROM blobs"))
    assert "unique words" not in bodies
    assert "another question" not in bodies
    assert "keep me" in bodies


def test_nothing_is_deleted_when_one_id_names_no_trace(service: Service, runs: Any) -> None:
    trace = runs.record()
    with pytest.raises(NoSuchRecord):
        service.traces.delete([trace.trace_id, "ff"])
    assert service.traces.get(trace.trace_id).trace == trace


def test_responses_list_runs_and_spans(service: Service, runs: Any) -> None:
    """A judge's answer inside a run is a response of its own."""
    trace = runs.record(cost_usd=0.5)
    child = Span(
        span_id="c" * 16,
        trace_id=trace.trace_id,
        name="judge",
        start_ns=1,
        completion=trace.completion.model_copy(update={"model": "judge-1", "cost_usd": 0.25}),
    )
    service.traces.record(trace, [child])
    found = service.traces.responses(trace.trace_id).items
    assert [(row.span_id, row.model_answered, row.cost_usd) for row in found] == [
        ("c" * 16, "judge-1", 0.25),
        (None, None, 0.5),
    ]
