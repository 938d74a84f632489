"""Lists page by the order of recording and never look at more rows than they show."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Fault
from p2re_eval.store import Store, TraceFilter
from p2re_eval.store import trace_lists as queries

MOMENT = 1_700_000_000_000_000_000


@pytest.fixture
def filled(store: Store, records: Any) -> Store:
    """Twelve answered, failed and running traces in turn, of two models, suites and experiments."""
    for number in range(12):
        trace = records.trace(
            prompt=records.prompt(name=["small", "large"][number % 2]),
            suite=f"suites/{number % 2}.yaml",
            experiment_id=["e1", "e2", None][number % 3],
            session_id=["s", None][number % 2],
        )
        if number % 3 == 0:
            store.finish_trace(records.answered(trace))
        elif number % 3 == 1:
            fault = Fault(kind="server", message="down")
            store.finish_trace(trace.model_copy(update={"status": "ERROR", "fault": fault}))
        else:
            store.begin_trace(trace)
    store.save_evaluations([]).result()
    return store


def ids(rows: list[Any]) -> list[int]:
    return [row.id for row in rows]


def test_pages_follow_each_other_without_gap_or_repetition(filled: Store) -> None:
    """The next page is before the last row's id, whatever was recorded meanwhile."""
    first = filled.list_traces(limit=5)
    second = filled.list_traces(limit=5, before=first[-1].id)
    third = filled.list_traces(limit=5, before=second[-1].id)
    assert ids(first + second + third) == list(range(12, 0, -1))
    assert filled.list_traces(before=1) == []


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"model": "openai/small"}, [11, 9, 7, 5, 3, 1]),
        ({"model": "openai/sma"}, []),
        ({"prompt": "route_ticket", "model": "openai/large"}, [12, 10, 8, 6, 4, 2]),
        ({"status": "OK"}, [10, 7, 4, 1]),
        ({"status": "ERROR"}, [11, 8, 5, 2]),
        ({"status": "RUNNING", "model": "openai/large"}, [12, 6]),
        ({"experiment_id": "e2"}, [11, 8, 5, 2]),
        ({"session_id": "s", "status": "OK"}, [7, 1]),
        ({"suite": "suites/1.yaml", "status": "ERROR"}, [8, 2]),
        ({"since_ns": MOMENT + 10}, [12, 11, 10]),
        ({"since_ns": MOMENT + 10, "status": "OK"}, [10]),
        ({"since_ns": MOMENT + 99}, []),
    ],
    ids=str,
)
def test_filters_narrow_and_combine(
    filled: Store, wanted: dict[str, Any], expected: list[int]
) -> None:
    """All conditions hold, newest first; a limit of one cuts the same list."""
    assert ids(filled.list_traces(**wanted)) == expected
    assert ids(filled.list_traces(limit=1, **wanted)) == expected[:1]


def test_since_reads_the_same_however_many_there_are(
    filled: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Few rows are sorted, many are walked: two plans, one answer."""
    few = filled.list_traces(since_ns=MOMENT + 5, limit=4)
    monkeypatch.setattr(queries, "FEW_ROWS", 2)
    assert filled.list_traces(since_ns=MOMENT + 5, limit=4) == few
    assert ids(few) == [12, 11, 10, 9]


def test_a_row_shows_what_a_list_needs(store: Store, records: Any) -> None:
    """Names, times, tokens and previews of at most 500 characters; unknown is None, not 0."""
    trace = records.answered(records.trace(prompt=records.prompt("q" * 2000)), text="a" * 2000)
    store.finish_trace(trace).result()
    [row] = store.list_traces()
    assert (row.prompt, row.model) == ("route_ticket", "openai/gpt-5-mini")
    assert (row.input_tokens, row.output_tokens, row.cached_tokens) == (7, 1, None)
    assert row.cost_usd is None
    assert row.duration_ns == 5
    assert row.input_preview.startswith("qqq")
    assert row.output_preview.endswith("…")
    assert len(row.input_preview) <= 500
    assert row == type(row).model_validate(row.model_dump())


def plan_of(database: Path, **wanted: Any) -> list[str]:
    """How SQLite answers a page of this filter."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        queries.list_traces(connection, TraceFilter(**wanted), limit=50, before=1000)
        connection.set_trace_callback(None)
        return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({}, "INTEGER PRIMARY KEY (rowid<?)"),
        ({"status": "OK"}, "INTEGER PRIMARY KEY (rowid<?)"),
        ({"model": "m"}, "INDEX traces_by_model (model=? AND rowid<?)"),
        ({"prompt": "p"}, "INDEX traces_by_prompt_name (prompt_name=? AND rowid<?)"),
        ({"suite": "s"}, "INDEX traces_by_suite (suite=? AND rowid<?)"),
        ({"experiment_id": "e"}, "INDEX traces_by_experiment (experiment_id=? AND rowid<?)"),
        ({"session_id": "s"}, "INDEX traces_by_session (session_id=? AND rowid<?)"),
        ({"status": "ERROR"}, "INDEX traces_not_ok (status=? AND rowid<?)"),
        ({"status": "RUNNING"}, "INDEX traces_not_ok (status=? AND rowid<?)"),
    ],
    ids=str,
)
def test_no_list_sorts_or_scans(
    store: Store, database: Path, wanted: dict[str, Any], index: str
) -> None:
    """The plan of every filtered page is one walk along an index, the newest first."""
    assert plan_of(database, **wanted) == [f"SEARCH t USING {index}"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ({"model": "openai/large", "status": "RUNNING"}, "traces_not_ok"),
        ({"model": "openai/none", "status": "RUNNING"}, "traces_by_model"),
        ({"prompt": "route_ticket", "session_id": "s"}, "traces_by_session"),
        ({"prompt": "route_ticket", "session_id": "s", "experiment_id": "e1"}, "traces_by_exp"),
        ({"prompt": "route_ticket", "since_ns": MOMENT + 11}, "traces_by_start"),
        ({"session_id": "s", "since_ns": MOMENT}, "traces_by_session"),
    ],
    ids=str,
)
def test_of_several_filters_the_rarest_leads(
    filled: Store, database: Path, wanted: dict[str, Any], index: str
) -> None:
    """A common value beside a rare one must not make the list walk all of the common one's."""
    assert f"INDEX {index}" in plan_of(database, **wanted)[0]


def test_what_ends_is_followed_in_the_order_of_ending(store: Store, records: Any) -> None:
    """A tail sees a run when it ends, whenever it began, and each ending once."""
    first, second, third = (records.trace() for _ in range(3))
    for trace in (first, second, third):
        store.begin_trace(trace)
    store.finish_trace(records.answered(second)).result()
    rows, cursor = store.ended_after(0)
    assert ids(rows) == [2]
    store.finish_trace(records.answered(first)).result()
    rows, cursor = store.ended_after(cursor)
    assert ids(rows) == [1]
    assert store.ended_after(cursor) == ([], cursor)
    assert store.newest_end() == cursor
    assert ids(store.ended_after(0, TraceFilter(model="openai/other"))[0]) == []
    assert ids(store.ended_after(0, TraceFilter(since_ns=MOMENT + 2, status="OK"))[0]) == [2]
