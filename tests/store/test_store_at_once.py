"""A caller that waits anyway writes in its own thread, unless something is in the way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

from p2re_eval.records import CapturedSpan, Completion, Message, ModelSettings, RenderedPrompt, Span
from p2re_eval.store import Store


def call(number: int) -> CapturedSpan:
    """A trace of a single call."""
    prompt = RenderedPrompt(
        name="chat",
        messages=(Message(role="user", content=f"question {number}"),),
        model=ModelSettings(provider="openai", name="m"),
    )
    span = Span(
        span_id=f"{number:016x}",
        trace_id=f"{number:032x}",
        name="chat",
        start_ns=number,
        end_ns=number + 1,
        prompt=prompt,
        completion=Completion(text=f"answer {number}"),
    )
    return CapturedSpan(span=span, root=True)


def test_it_is_on_disk_when_the_call_returns(
    store: Store, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """Nothing to wait for, and another program sees it."""
    for number in range(1, 4):
        assert store.save_spans([call(number)], at_once=True).done()
        assert look("SELECT count(*) FROM traces") == [(number,)]


def test_the_index_is_fed_behind_it(store: Store) -> None:
    """As behind any other write."""
    store.save_spans([call(1)], at_once=True).result()
    assert [row.output_preview for row in store.search("question 1")] == ["answer 1"]


def test_while_another_process_writes_it_is_queued(store: Store) -> None:
    """The caller is not held up; the write comes when the other one is done."""
    store.save_spans([call(1)], at_once=True).result()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        future = store.save_spans([call(2)], at_once=True)
        assert not future.done()
        other.execute("COMMIT")
    future.result()
    assert [row.output_preview for row in store.list_traces()] == ["answer 2", "answer 1"]


def test_what_was_queued_before_comes_before(store: Store) -> None:
    """Writes of one thread keep their order."""
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        queued = [store.save_spans([call(number)], at_once=number % 2 == 0) for number in (1, 2, 3)]
        other.execute("COMMIT")
    for future in queued:
        future.result()
    assert [row.output_preview for row in store.list_traces()] == [
        "answer 3",
        "answer 2",
        "answer 1",
    ]


def test_a_mistake_in_it_is_the_callers(store: Store) -> None:
    """It is raised, and the next write works."""
    broken = call(1).model_copy(
        update={"span": call(1).span.model_copy(update={"start_ns": 2**70})}
    )
    assert store.save_spans([broken], at_once=True).exception() is not None
    store.save_spans([call(2)], at_once=True).result()
    assert len(store.list_traces()) == 1
