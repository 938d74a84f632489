"""A session's totals are kept while its traces come, change and go; they are never counted anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2re_eval.records import CapturedSpan, Completion, Fault, Span, Usage
from p2re_eval.store import Store, open_store, session_queries
from p2re_eval.store.removal import remove_rows

_ADDED_UP = """
SELECT session_id, count(*), sum(status IN ('ERROR', 'ABANDONED')), sum(input_tokens),
  sum(output_tokens), round(sum(cost_usd), 9), sum(cost_usd IS NULL), max(start_ns)
FROM traces WHERE session_id IS NOT NULL GROUP BY session_id ORDER BY session_id
"""


def kept(store: Store) -> list[tuple[Any, ...]]:
    rows = store.read(lambda connection: session_queries.list_sessions(connection, limit=50))
    return sorted(
        (
            row.session_id,
            row.traces,
            row.errors,
            row.input_tokens,
            row.output_tokens,
            None if row.cost_usd is None else round(row.cost_usd, 9),
            row.unpriced,
            row.last_ns,
        )
        for row in rows
        if row.traces
    )


def added_up(store: Store) -> list[tuple[Any, ...]]:
    return store.read(lambda connection: [tuple(row) for row in connection.execute(_ADDED_UP)])


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["begin", "answer", "fail", "capture", "delete"]),
        st.integers(1, 4),
        st.sampled_from(["chat-a", "chat-b", None]),
        st.sampled_from([None, 0, 7]),
        st.sampled_from([None, 0.25, 0.5]),
    ),
    max_size=14,
)


def take(store: Store, records: Any, step: tuple[Any, ...]) -> None:
    """One thing that happens to the trace of this number."""
    what, number, session_id, tokens, cost_usd = step
    ids = {"trace_id": f"{number:032x}", "span_id": f"{number:016x}"}
    trace = records.trace(**ids, session_id=session_id)
    answer = Completion(text="yes", usage=Usage(input_tokens=tokens), cost_usd=cost_usd)
    ended = {"end_ns": trace.start_ns + 5, "completion": answer}
    if what == "begin":
        store.begin_trace(trace).result()
    elif what == "answer":
        store.finish_trace(trace.model_copy(update={**ended, "status": "OK"})).result()
    elif what == "fail":
        fault = Fault(kind="timeout", message="too late")
        failed = {"status": "ERROR", "fault": fault, "end_ns": trace.start_ns + 5}
        store.finish_trace(trace.model_copy(update=failed)).result()
    elif what == "capture":
        span = Span(**ids, name="chat", kind="LLM", start_ns=1, prompt=records.prompt(), **ended)
        store.save_spans([CapturedSpan(span=span, session_id=session_id)]).result()
    else:
        store.change(
            lambda transaction: remove_rows(
                transaction.connection,
                [
                    row[0]
                    for row in transaction.connection.execute(
                        "SELECT id FROM traces WHERE trace_id = ?", (ids["trace_id"],)
                    )
                ],
            )
        )


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(_STEPS)
def test_totals_are_those_of_the_traces_that_are_there(
    tmp_path_factory: pytest.TempPathFactory, records: Any, steps: list[tuple[Any, ...]]
) -> None:
    """Whatever happens to traces, in whatever order."""
    with open_store(tmp_path_factory.mktemp("totals") / "p2re.db") as store:
        for step in steps:
            take(store, records, step)
        assert kept(store) == added_up(store)


def test_a_session_that_has_lost_its_traces_is_listed_without_any(
    store: Store, records: Any
) -> None:
    """As it stood before its first turn."""
    store.finish_trace(records.answered(session_id="chat-1")).result()
    store.change(lambda transaction: remove_rows(transaction.connection, [1]))
    (row,) = store.read(lambda connection: session_queries.list_sessions(connection, limit=50))
    assert (row.session_id, row.traces, row.input_tokens, row.unpriced) == ("chat-1", 0, None, 0)
    assert (row.last_ns, row.first_input) == (None, None)


def test_what_dies_running_counts_as_an_error(database: Path, records: Any) -> None:
    """The end of the process is the end of its runs."""
    with open_store(database) as store:
        store.begin_trace(records.trace(session_id="chat-1")).result()
        (row,) = store.read(lambda connection: session_queries.list_sessions(connection, limit=9))
        assert (row.traces, row.errors) == (1, 0)
    with open_store(database) as store:
        (row,) = store.read(lambda connection: session_queries.list_sessions(connection, limit=9))
        assert (row.traces, row.errors, row.unpriced) == (1, 1, 1)
