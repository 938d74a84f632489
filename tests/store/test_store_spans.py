"""Captured spans make a trace, whatever order they come in."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import (
    CapturedSpan,
    Completion,
    Exposure,
    Fault,
    Message,
    ModelSettings,
    RenderedPrompt,
    Span,
    SpanKind,
    Trace,
    Usage,
)
from p2re_eval.store import Store, open_store

TRACE = "0" * 31 + "7"
MOMENT = 1_700_000_000_000_000_000


def span(
    number: int,
    parent: int | None = None,
    kind: SpanKind = "CHAIN",
    *,
    tokens: tuple[int, int] | None = None,
    cost: float | None = None,
    model: str = "gpt-5-mini",
    ended: bool = True,
    **more: Any,
) -> CapturedSpan:
    """Span NUMBER of the trace; roots and model calls have a prompt and an answer."""
    root = more.pop("root", parent is None)
    said = root or kind == "LLM"
    settings = ModelSettings(provider="openai", name=model) if kind == "LLM" else ModelSettings()
    usage = Usage() if tokens is None else Usage(input_tokens=tokens[0], output_tokens=tokens[1])
    prompt = RenderedPrompt(
        name=f"step {number}",
        messages=(Message(role="user", content=f"question {number}"),),
        model=settings,
    )
    completion = Completion(text=f"answer {number}", usage=usage, cost_usd=cost)
    return CapturedSpan(
        span=Span(
            span_id=f"{number:016x}",
            trace_id=TRACE,
            parent_id=None if parent is None else f"{parent:016x}",
            name=f"step {number}",
            kind=kind,
            status="OK" if ended else "RUNNING",
            start_ns=MOMENT + number,
            end_ns=MOMENT + 100 - number if ended else None,
            attributes={"number": number, "ended": ended},
            events=({"name": "seen", "time_ns": MOMENT, "attributes": {}},),
            prompt=prompt if said else None,
            completion=completion if said and ended else None,
        ),
        root=root,
        **more,
    )


AGENT = (
    span(1, kind="AGENT", session_id="chat-42", user="ada", tags=("beta",), metadata={"a": 1}),
    span(2, 1, "LLM", tokens=(10, 2), cost=0.5),
    span(3, 1, "TOOL"),
    span(4, 1, "LLM", tokens=(30, 4), cost=0.25, model="gpt-5"),
)


def save(store: Store, *spans: CapturedSpan) -> Trace:
    """One job a span, and the trace as it is then."""
    for one in spans:
        store.save_spans([one]).result()
    return store.read_trace(TRACE)


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_the_order_in_which_spans_come_does_not_matter(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """Root first or last: the same trace, with the sums of its calls."""
    with open_store(tmp_path / "p2re.db") as store:
        trace = save(store, *(AGENT[number] for number in order))
        [row] = store.list_traces()
    assert (trace.name, trace.kind, trace.status) == ("step 1", "AGENT", "OK")
    assert (trace.span_id, trace.start_ns, trace.end_ns) == (f"{1:016x}", MOMENT + 1, MOMENT + 99)
    assert trace.prompt.messages[0].text == "question 1"
    assert trace.completion is not None
    assert trace.completion.text == "answer 1"
    assert (trace.session_id, trace.user, trace.tags) == ("chat-42", "ada", ("beta",))
    assert (trace.metadata, trace.attributes) == ({"a": 1}, {"number": 1, "ended": True})
    assert trace.events == AGENT[0].span.events
    assert sorted(one.name for one in trace.spans) == ["step 2", "step 3", "step 4"]
    assert {one.span_id: one for one in trace.spans} == {
        one.span.span_id: one.span for one in AGENT[1:]
    }
    assert (row.input_tokens, row.output_tokens, row.cost_usd) == (40, 6, 0.75)
    assert sorted(row.model.split(", ")) == ["openai/gpt-5", "openai/gpt-5-mini"]
    assert trace.completion.usage == Usage(input_tokens=40, output_tokens=6)


def test_a_trace_is_running_until_its_root_has_come(store: Store) -> None:
    """What its calls used so far is there already."""
    trace = save(store, AGENT[1], AGENT[2])
    [row] = store.list_traces()
    assert (trace.status, trace.span_id, trace.completion) == ("RUNNING", "", None)
    assert (row.model, row.input_tokens, row.cost_usd) == ("openai/gpt-5-mini", 10, 0.5)
    assert row.start_ns == MOMENT + 2


def test_a_root_that_never_comes_leaves_an_abandoned_trace(database: Path) -> None:
    """Nobody waits for it for ever; when it comes after all, it completes the trace."""
    with open_store(database) as store:
        save(store, AGENT[1])
    with open_store(database) as store:
        assert store.read_trace(TRACE).status == "ABANDONED"
        trace = save(store, AGENT[0])
        assert (trace.status, len(trace.spans)) == ("OK", 1)
        assert [row.trace_id for row in store.search("question 1")] == [TRACE]
        assert len(store.search("answer")) == 1


@pytest.mark.parametrize("seed", range(5))
def test_spans_that_come_twice_are_kept_once(tmp_path: Path, seed: int) -> None:
    """OTLP senders repeat what they are not sure about, and mix beginnings with ends."""
    beginnings = [one.model_copy(update={"span": begun(one)}) for one in AGENT]
    sent = [*AGENT, *AGENT, *beginnings]
    random.Random(seed).shuffle(sent)
    with open_store(tmp_path / "p2re.db") as store:
        store.save_spans(sent).result()
        trace = store.read_trace(TRACE)
        [row] = store.list_traces()
        counts = store.health().counts
    assert (trace.status, len(trace.spans)) == ("OK", 3)
    assert {one.status for one in trace.spans} == {"OK"}
    assert (row.input_tokens, row.cost_usd) == (40, 0.75)
    assert (counts["traces"], counts["spans"], counts["responses"]) == (1, 4, 3)


def begun(one: CapturedSpan) -> Span:
    """The same span when it had only begun."""
    news = {"status": "RUNNING", "end_ns": None, "completion": None, "attributes": {}}
    return one.span.model_copy(update=news)


def test_the_same_span_again_with_more_to_say_replaces_the_first(store: Store) -> None:
    """A collector may send what it knew and later the rest."""
    more = AGENT[1].model_copy(
        update={
            "span": AGENT[1].span.model_copy(
                update={
                    "attributes": {"number": 2, "more": "yes"},
                    "completion": Completion(text="better", usage=Usage(input_tokens=11)),
                }
            )
        }
    )
    trace = save(store, *AGENT[:2], more)
    [child] = trace.spans
    assert (child.attributes, child.completion) == (more.span.attributes, more.span.completion)
    assert store.list_traces()[0].input_tokens == 11


def test_a_call_inside_a_call_is_counted_once(store: Store) -> None:
    """LiteLLM and the SDK below it are both instrumented: the outer call has the tokens."""
    save(store, span(1), span(2, 1, "LLM", tokens=(10, 2)), span(3, 2, "LLM", tokens=(10, 2)))
    assert store.list_traces()[0].input_tokens == 10


def test_a_call_that_is_the_root_has_its_own_tokens(store: Store) -> None:
    """The SDK's call below it is the same call."""
    trace = save(
        store, span(2, 1, "LLM", tokens=(10, 2)), span(1, kind="LLM", tokens=(10, 2), cost=0.1)
    )
    row = store.list_traces()[0]
    assert (row.model, row.input_tokens, row.cost_usd) == ("openai/gpt-5-mini", 10, 0.1)
    assert trace.prompt.model.id == "openai/gpt-5-mini"


def test_a_cost_that_is_partly_unknown_is_unknown(store: Store) -> None:
    """A sum of what happens to be known would look like the whole."""
    save(store, *AGENT, span(5, 1, "LLM", tokens=(1, 1)))
    assert (store.list_traces()[0].input_tokens, store.list_traces()[0].cost_usd) == (41, None)


def test_a_failed_call_keeps_its_fault(
    store: Store, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """As a child and as a root; what it did not use is not counted."""
    fault = Fault(kind="rate_limited", message="429: slow down")
    failed = span(2, 1, "LLM", fault=fault)
    failed = failed.model_copy(
        update={"span": failed.span.model_copy(update={"status": "ERROR", "completion": None})}
    )
    save(store, failed)
    assert "429: slow down" in look("SELECT fault FROM responses WHERE span IS NOT NULL")[0][0]
    root = span(1, fault=fault)
    root = root.model_copy(
        update={"span": root.span.model_copy(update={"status": "ERROR", "completion": None})}
    )
    trace = save(store, root)
    assert (trace.status, trace.fault) == ("ERROR", fault)
    assert store.list_traces()[0].fault_kind == "rate_limited"


def test_the_root_of_another_process_takes_over(store: Store) -> None:
    """A service's root has its parent elsewhere; when that comes, it is a span like others."""
    service = span(2, 1, "LLM", tokens=(10, 2), cost=0.5, root=True)
    trace = save(store, service)
    assert (trace.span_id, trace.status) == (f"{2:016x}", "OK")
    assert [row.trace_id for row in store.search("question 2")] == [TRACE]
    trace = save(store, span(1))
    assert (trace.span_id, trace.name, trace.kind) == (f"{1:016x}", "step 1", "CHAIN")
    [child] = trace.spans
    assert child == service.span
    row = store.list_traces()[0]
    assert (row.input_tokens, row.cost_usd, row.model) == (10, 0.5, "openai/gpt-5-mini")
    assert [len(store.search(text)) for text in ("question 1", "question 2")] == [1, 0]


def test_a_session_named_by_any_span_is_the_traces(store: Store) -> None:
    """Frameworks say it where they know it."""
    trace = save(store, span(2, 1, "LLM", session_id="chat-1", user="ada"), span(1))
    assert (trace.session_id, trace.user) == ("chat-1", "ada")
    assert [row.trace_id for row in store.list_traces(session_id="chat-1")] == [TRACE]
    assert [row.trace_id for row in store.list_traces(user="ada")] == [TRACE]


def test_exposures_outlive_their_trace(
    store: Store, look: Callable[[str], list[tuple[Any, ...]]]
) -> None:
    """What an experiment has counted is not uncounted by retention."""
    exposure = Exposure(experiment="tone", variant="calm", unit="user-7")
    trace = save(store, span(1, exposures=(exposure,)))
    assert trace.exposures == (exposure,)
    assert look("SELECT sql FROM sqlite_master WHERE name = 'exposures'")[0][0].count("REF") == 0


def test_a_captured_trace_that_is_written_again_comes_back_whole(
    store: Store, tmp_path: Path
) -> None:
    """Export and import: a trace record holds everything."""
    exposure = Exposure(experiment="tone", variant="calm", unit="user-7")
    agent = AGENT[0].model_copy(update={"exposures": (exposure,)})
    trace = save(store, agent, *AGENT[1:])
    with open_store(tmp_path / "copy.db") as copy:
        copy.finish_trace(trace).result()
        assert copy.read_trace(TRACE) == trace


def test_spans_that_cannot_be_written_are_rescued(database: Path, tmp_path: Path) -> None:
    """As every write is: the next opening imports them."""
    from p2re_eval.store.jobs import SaveSpans
    from p2re_eval.store.redaction import Redaction
    from p2re_eval.store.rescue import rescue

    open_store(database).close()
    assert rescue(database, [SaveSpans(AGENT[:2]), SaveSpans(AGENT[2:])], Redaction()) is not None
    with open_store(database) as store:
        trace = store.read_trace(TRACE)
    assert (trace.status, len(trace.spans)) == ("OK", 3)


def test_a_span_that_only_began_is_not_rescued(database: Path) -> None:
    """As no run is that has no answer yet; its end says all of it."""
    from p2re_eval.store.jobs import SaveSpans
    from p2re_eval.store.redaction import Redaction
    from p2re_eval.store.rescue import rescue

    open_store(database).close()
    begun_one = AGENT[0].model_copy(update={"span": begun(AGENT[0])})
    assert rescue(database, [SaveSpans((begun_one,))], Redaction()) is None
