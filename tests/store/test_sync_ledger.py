"""What a bridge keeps of another system: rows, marks and cursors move together or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from p2re_eval.errors import StoreError
from p2re_eval.records import CapturedSpan, Score, Span
from p2re_eval.store import Mark, Position, Store

TARGET = "mine http://127.0.0.1:1"


def test_rows_marks_and_cursors_are_written_together(store: Store, records: Any) -> None:
    """A judgement that cannot be written takes the cursor back with it."""
    ledger = store.sync_ledger(TARGET)
    good = records.evaluation("1" * 32)
    mark = Mark(kind="trace", local_id="a", status="SENT", detail={"missing": ["x"]})
    position = Position(watermark=7, state={"last": [1]})
    ledger.save(evaluations=[good], marks=[mark], positions={"spans": position}).result()
    assert ledger.position("spans").watermark == 7
    assert ledger.position("spans").state == {"last": [1]}
    assert ledger.marks("trace", ["a", "b"])["a"].detail == {"missing": ["x"]}
    broken = good.model_copy(update={"name": "other", "kind": "NOBODY"})
    with pytest.raises(StoreError):
        ledger.save(
            evaluations=[broken],
            marks=[mark.model_copy(update={"status": "SYNCED"})],
            positions={"spans": Position(watermark=9)},
        ).result()
    assert ledger.position("spans").watermark == 7
    assert ledger.marks("trace", ["a"])["a"].status == "SENT"
    assert [one.name for one in store.evaluations("1" * 32)] == ["equals"]


def test_targets_do_not_know_each_other(store: Store) -> None:
    """Each has its own cursors; those of the store itself are no targets."""
    store.sync_ledger(TARGET).save(positions={"traces": Position(watermark=3)}).result()
    other = store.sync_ledger("other http://127.0.0.1:2")
    assert other.position("traces").watermark == 0
    other.save(marks=[Mark(kind="trace", local_id="a", status="FAILED")]).result()
    store.index_everything()
    assert [one.target for one in store.sync_ledgers()] == [TARGET, "other http://127.0.0.1:2"]
    assert other.counts() == {("trace", "FAILED"): 1}
    assert [one.local_id for one in other.marked("trace", "FAILED")] == ["a"]


def test_a_changed_judgement_is_in_the_stream_again(store: Store, records: Any) -> None:
    """Whoever follows the stream sees what was said last, once."""
    ledger = store.sync_ledger(TARGET)
    first, second = records.evaluation("1" * 32), records.evaluation("2" * 32)
    store.save_evaluations([first, second]).result()
    new, cursor = ledger.evaluations_after(0)
    assert [one.trace_id[0] for one in new] == ["1", "2"]
    for value in (0.5, 0.25):
        changed = first.model_copy(update={"score": Score(value=value)})
        store.save_evaluations([changed]).result()
    found, after = ledger.evaluations_after(cursor)
    assert [one.score.value for one in found if one.score] == [0.25]
    assert ledger.evaluations_after(after) == ([], after)


def test_what_is_here_is_told_by_trace_and_span(store: Store, records: Any) -> None:
    """The run itself, its steps, and nothing of another run."""
    trace = records.answered()
    step = Span(span_id="5" * 16, trace_id=trace.trace_id, name="step", start_ns=1, end_ns=2)
    store.finish_trace(trace.model_copy(update={"spans": (step,)})).result()
    ledger = store.sync_ledger(TARGET)
    pairs = {(trace.trace_id, trace.span_id), (trace.trace_id, step.span_id)}
    asked = [*pairs, (trace.trace_id, "9" * 16), ("9" * 32, step.span_id)]
    assert ledger.spans_here(asked) == pairs
    assert {one.span_id for one in ledger.known_spans()} == {trace.span_id, step.span_id}
    assert [span.span_id for _, span in ledger.spans_after(0)] == [step.span_id]
    assert ledger.ended_by([trace.trace_id, "9" * 32], 1 << 62) == {trace.trace_id: trace.span_id}


def test_a_span_of_a_run_that_is_not_over_waits(store: Store) -> None:
    """It goes with its run, when that has ended."""
    span = Span(
        span_id="5" * 16, trace_id="1" * 32, parent_id="6" * 16, name="s", start_ns=1, end_ns=2
    )
    store.save_spans([CapturedSpan(span=span)]).result()
    assert store.sync_ledger(TARGET).spans_after(0) == []


def test_a_restart_forgets_and_buries(store: Store) -> None:
    """The other side lost everything: ours is sent again, theirs is gone there."""
    ledger = store.sync_ledger(TARGET)
    ours = Mark(kind="trace", local_id="a", status="SYNCED")
    theirs = Mark(kind="their trace", local_id="b", status="SYNCED")
    ledger.save(marks=[ours, theirs], positions={"traces": Position(watermark=3)}).result()
    ledger.restart(forget=["trace"], bury=["their trace"]).result()
    assert ledger.counts() == {("their trace", "DELETED"): 1}
    assert ledger.position("traces").watermark == 0


def test_the_detail_of_a_mark_passes_the_redaction(
    store: Store, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """A conflict keeps what was said on both sides: no secret goes to disk with it."""
    secret = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
    mark = Mark(kind="conflict", local_id="a", status="CONFLICT", detail={"here": secret})
    store.sync_ledger(TARGET).save(marks=[mark]).result()
    [(detail,)] = look("SELECT detail FROM sync_ledger")
    assert secret not in detail
