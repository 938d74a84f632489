"""Traces come back as they went in, whole, and share what they have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import (
    Completion,
    Fault,
    ImagePart,
    Message,
    ModelSettings,
    RenderedPrompt,
    Session,
    Span,
    TextPart,
    Tool,
    ToolCall,
    Trace,
    Usage,
)
from p2re_eval.store import Store, open_store

FULL_PROMPT = RenderedPrompt(
    name="route_ticket",
    version="a" * 64,
    messages=(
        Message(role="system", content="You route tickets."),
        Message(
            role="user",
            content=(TextPart(text="What is this?"), ImagePart(url="data:image/png;base64,AAAA")),
        ),
        Message(
            role="assistant",
            tool_calls=(ToolCall(id="1", name="look", arguments='{"at": 1}'),),
        ),
        Message(role="tool", content="a cat", tool_call_id="1", name="look"),
    ),
    model=ModelSettings(provider="openai", name="gpt-5-mini", temperature=0, stop=("END",)),
    output_schema={"type": "object"},
    tools=(Tool(name="look", parameters={"type": "object"}),),
    variables={"ticket": "What is this?" * 20, "n": [1, None, {"a": 0.5}]},
)
FULL_COMPLETION = Completion(
    text="A cat.",
    tool_calls=(ToolCall(id="2", name="file", arguments="{}"),),
    refusal="no",
    reasoning="It has whiskers.",
    model="gpt-5-mini-2025",
    finish_reason="tool_calls",
    raw_finish_reason="tool_use",
    usage=Usage(input_tokens=10, output_tokens=2, cached_tokens=0, reasoning_tokens=1),
    cost_usd=0.0,
    response_id="resp_1",
    duration_ns=123,
    time_to_first_token_ns=45,
    rate_limit={"x-ratelimit-remaining": "9"},
    raw={"id": "resp_1", "text": "A cat." * 300},
)


def test_a_trace_comes_back_as_it_went_in(store: Store, records: Any) -> None:
    """Every field, with spans that have prompts and answers of their own."""
    span = Span(
        span_id="b" * 16,
        trace_id="1".zfill(32),
        parent_id="1".zfill(16),
        name="llm_judge",
        kind="EVALUATOR",
        status="ERROR",
        status_message="too long",
        start_ns=5,
        end_ns=6,
        attributes={"gen_ai.request.model": "x"},
        prompt=FULL_PROMPT,
        completion=FULL_COMPLETION,
        run_key="f" * 64,
    )
    trace = records.trace(
        prompt=FULL_PROMPT,
        run_key="0123456789abcdef" * 4,
        experiment_id="e1",
        session_id="s1",
        suite="suites/a.yaml",
        case_id="c",
        repeat=2,
        tags=("x", "y"),
        metadata={"user": "u", "n": 1.5},
    )
    ended = trace.model_copy(
        update={
            "status": "OK",
            "end_ns": trace.start_ns + 9,
            "attempts": 3,
            "completion": FULL_COMPLETION,
            "spans": (span,),
        }
    )
    store.begin_trace(trace).result()
    assert store.read_trace(trace.trace_id) == trace
    store.finish_trace(ended).result()
    assert store.read_trace(trace.trace_id) == ended


def test_a_failed_run_keeps_its_fault_and_no_completion(store: Store, records: Any) -> None:
    """A failure is a trace with an error, never an empty answer."""
    fault = Fault(kind="timeout", message="no answer in 30 s", attempts=3, partial="bil")
    trace = records.trace(status="ERROR", end_ns=1_700_000_000_000_000_900, fault=fault, attempts=3)
    store.finish_trace(trace).result()
    assert store.read_trace(trace.trace_id) == trace
    row = store.list_traces()[0]
    assert (row.fault_kind, row.output_preview) == ("timeout", "no answer in 30 s")
    assert (row.input_tokens, row.cost_usd) == (None, None)


def test_a_run_is_recorded_whole_without_a_beginning(store: Store, records: Any) -> None:
    """What was captured elsewhere arrives finished."""
    trace = records.answered()
    store.finish_trace(trace).result()
    assert store.read_trace(trace.trace_id) == trace


def test_a_second_ending_replaces_the_first(store: Store, records: Any, look: Any) -> None:
    """A rescued answer may arrive after its run was given up."""
    begun = records.trace()
    given_up = begun.model_copy(update={"status": "ABANDONED"})
    store.finish_trace(given_up).result()
    store.finish_trace(records.answered(begun)).result()
    assert store.read_trace(begun.trace_id) == records.answered(begun)
    assert look("SELECT count(*) FROM responses") == [(1,)]


def test_beginning_twice_changes_nothing(store: Store, records: Any) -> None:
    """A late or repeated beginning cannot undo an ending."""
    begun = records.trace()
    store.finish_trace(records.answered(begun)).result()
    store.begin_trace(begun).result()
    assert store.read_trace(begun.trace_id).status == "OK"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nul \x00 inside",
        "emoji 👩‍👩‍👧 and 中文",
        "lone surrogate \ud83d here",
        "'; DROP TABLE traces; --",
        "line\r\nbreaks\u2028and\u0085more",
        "x" * 1_000_000,
    ],
    ids=["empty", "nul", "emoji", "surrogate", "sql", "breaks", "megabyte"],
)
def test_any_text_survives(store: Store, records: Any, text: str) -> None:
    """An answer that cannot be stored would be an answer lost."""
    trace = records.answered(records.trace(prompt=records.prompt(text)), text=text)
    raw = {"text": text}
    completion = trace.completion.model_copy(update={"raw": raw, "reasoning": "r"})
    store.finish_trace(trace.model_copy(update={"completion": completion})).result()
    read = store.read_trace(trace.trace_id)
    assert read.completion is not None
    assert read.completion.text == text
    assert read.completion.raw == raw
    assert read.prompt.messages[0].content == text
    assert len(store.list_traces()[0].output_preview) <= 500


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(
    texts=st.lists(st.text(), min_size=1, max_size=4),
    answer=st.text(),
    variables=st.dictionaries(st.text(), json_values, max_size=3),
    raw=st.dictionaries(st.text(), json_values, min_size=1, max_size=3),
    tags=st.lists(st.text(), max_size=2),
    key=st.sampled_from(["", "short", "0" * 64]) | st.text(max_size=70),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_json_can_say_comes_back(
    store: Store,
    records: Any,
    texts: list[str],
    answer: str,
    variables: dict[str, Any],
    raw: dict[str, Any],
    tags: list[str],
    key: str,
) -> None:
    """Records round-trip SQLite."""
    prompt = records.prompt(*texts).model_copy(update={"variables": variables})
    trace = records.answered(
        records.trace(prompt=prompt, tags=tuple(tags), run_key=key), text=answer
    )
    completion = trace.completion.model_copy(update={"raw": raw})
    trace = trace.model_copy(update={"completion": completion})
    store.finish_trace(trace).result()
    assert store.read_trace(trace.trace_id) == trace


def test_a_conversation_stores_each_turn_once(store: Store, records: Any, look: Any) -> None:
    """Twenty turns hold 1 + 2 x 20 messages, not the 440 that were sent; the answer of one turn
    is the very blob that the next turn sends."""
    history = [Message(role="system", content="You are an agent.")]
    for turn in range(20):
        history.append(Message(role="user", content=f"question {turn}"))
        prompt = records.prompt().model_copy(update={"messages": tuple(history)})
        answer = f"answer {turn}"
        store.finish_trace(records.answered(records.trace(prompt=prompt), text=answer)).result()
        history.append(Message(role="assistant", content=answer))
    assert look("SELECT count(*) FROM messages") == [(420,)]
    assert look("SELECT count(*) FROM blobs WHERE id NOT IN (SELECT head FROM prompts)") == [(41,)]


def test_the_same_prompt_again_costs_a_row_only(store: Store, records: Any, look: Any) -> None:
    """Repeats and later experiments share the rendered prompt."""
    for _ in range(5):
        store.finish_trace(records.answered()).result()
    assert look("SELECT count(*) FROM prompts") == [(1,)]
    assert look("SELECT count(*) FROM traces") == [(5,)]


def test_long_texts_are_compressed_and_variables_cost_next_to_nothing(
    store: Store, records: Any, look: Any, shared_data: Path
) -> None:
    """A 1.1 KB prompt of a real question, its variables repeating it, within 2.2 KB in all."""
    pages = "SELECT (SELECT page_count FROM pragma_page_count) * 8192"
    empty_file = look(pages)[0][0]
    lines = (shared_data / "gsm8k_four_models_first200.jsonl").read_text("utf-8").splitlines()
    for line in lines:
        row = json.loads(line)
        question = (row["question"] + " " + row["ground_truth"] * 4)[:1100]
        prompt = records.prompt(question).model_copy(update={"variables": {"q": question}})
        answer = row["175b_verification"]["solution"]
        store.finish_trace(records.answered(records.trace(prompt=prompt), text=answer))
    store.search("nothing")
    used = look(pages)[0][0]
    assert (used - empty_file) / len(lines) < 2200


def test_the_run_to_reuse_is_the_newest_live_answer(store: Store, records: Any) -> None:
    """A cache gives what a model said; never a replay, a failure or a run on its way."""
    key = "c" * 64
    assert store.find_run(key) is None
    old = records.answered(run_key=key)
    new = records.answered(run_key=key, text="account")
    others = [
        records.trace(run_key=key),
        records.trace(run_key=key, status="ERROR", fault=Fault(kind="server", message="x")),
        records.answered(run_key=key, source="replay"),
        records.answered(run_key="d" * 64),
        records.answered(),
    ]
    for trace in (old, new, *others):
        store.finish_trace(trace).result()
    assert store.find_run(key) == new
    assert store.find_run("") is None


def test_a_scorers_call_is_reused_by_its_key(store: Store, records: Any) -> None:
    """A judge's answer sits in a span; one that failed is no answer."""
    trace = records.answered()
    ok = Span(
        span_id="1" * 16,
        trace_id=trace.trace_id,
        name="judge",
        start_ns=1,
        completion=Completion(text="yes", usage=Usage(output_tokens=1), cost_usd=0.1, model="m"),
        run_key="k" * 64,
    )
    broken = ok.model_copy(update={"span_id": "2" * 16, "status": "ERROR", "completion": None})
    store.finish_trace(trace.model_copy(update={"spans": (ok, broken)})).result()
    assert store.find_call("k" * 64) == ok.completion
    assert store.find_call("x" * 64) is None


def test_a_trace_is_read_by_the_beginning_of_its_id(store: Store, records: Any) -> None:
    """As git does it: enough digits, else a sentence that names the candidates."""
    first = records.answered(trace_id="abc1" + "0" * 28)
    second = records.answered(trace_id="abc2" + "0" * 28)
    for trace in (first, second):
        store.finish_trace(trace).result()
    assert store.read_trace("ABC1") == first
    with pytest.raises(StoreError, match="'abc' begins more than one trace") as ambiguous:
        store.read_trace("abc")
    assert "abc1" in str(ambiguous.value)
    for nothing in ("f", "", "abc1%", "zz"):
        with pytest.raises(NoSuchRecord, match="no trace has the id"):
            store.read_trace(nothing)


def test_sessions_are_made_by_their_first_trace_or_by_name(
    store: Store, records: Any, look: Any
) -> None:
    """A conversation's traces are found by its id, in order."""
    store.finish_trace(records.answered(session_id="s1")).result()
    store.start_session(Session(session_id="s1", started_ns=1, name="chat", user="u")).result()
    store.finish_trace(records.answered(session_id="s1")).result()
    store.finish_trace(records.answered()).result()
    assert [row.id for row in store.list_traces(session_id="s1")] == [2, 1]
    assert look("SELECT session_id, name, user FROM sessions") == [("s1", "chat", "u")]
    assert look("SELECT session, trace FROM trace_sessions") == [(1, 1), (1, 2)]


def test_spans_may_arrive_after_the_trace_and_again(store: Store, records: Any) -> None:
    """Scorers add theirs with the result; a span that is there already is replaced."""
    trace = records.answered()
    store.finish_trace(trace).result()
    span = Span(span_id="1" * 16, trace_id=trace.trace_id, name="judge", start_ns=1)
    again = span.model_copy(update={"name": "judge again"})
    lost = span.model_copy(update={"trace_id": "f" * 32})
    store.save_result(records.result(), [], [span, lost]).result()
    store.save_result(records.result(), [], [again]).result()
    assert store.read_trace(trace.trace_id).spans == (again,)


def test_everything_is_there_after_opening_again(database: Path, records: Any) -> None:
    """The point of a database."""
    trace: Trace = records.answered()
    with open_store(database) as store:
        store.finish_trace(trace)
    with open_store(database) as store:
        assert store.read_trace(trace.trace_id) == trace
