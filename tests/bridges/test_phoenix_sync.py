"""Traces and annotations with a real Phoenix server: both sides in step, and neither loses."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

import pytest

from p2re_eval.bridges.http import Peer
from p2re_eval.bridges.phoenix.client import Annotation, Phoenix
from p2re_eval.clock import SystemClock
from p2re_eval.errors import Unreachable
from p2re_eval.records import Completion, Fault, Score, ToolCall
from p2re_eval.store import Store
from p2re_eval.tracing.raw import RawEvent, RawSpan
from p2re_eval.tracing.told import told
from tests.bridges.conftest import MOMENT, PhoenixServer, Runs, delete, free_port, sync


def ask(server: PhoenixServer, project: str, question: Any) -> Any:
    """What ``question(phoenix)`` answers, asked past the bridge."""

    async def asked() -> Any:
        async with Peer(server.address, SystemClock()) as peer:
            return await question(Phoenix(peer, project))

    return asyncio.run(asked())


def annotated(server: PhoenixServer, project: str, *span_ids: str) -> list[Annotation]:
    found = ask(server, project, lambda phoenix: phoenix.annotations(list(span_ids)))
    return sorted(found, key=lambda one: one.name)


def test_what_is_recorded_here_is_seen_there(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """Runs with their steps and evaluations arrive whole; a second sync has nothing to do."""
    traces = runs.record(store, 20)
    first = sync(store, phoenix.address, project)
    assert first.counts == {"traces_pushed": 20, "spans_pushed": 40, "evaluations_pushed": 20}
    again = sync(store, phoenix.address, project)
    assert again.lines() == ["nothing to do: both sides hold the same"]
    assert again.requests == 4
    page = ask(phoenix, project, lambda there: there.spans_from(0))
    assert len(page.spans) == 40
    [there] = [one.raw for one in page.spans if one.raw.span_id == traces[3].span_id]
    assert there.attributes["llm.input_messages.1.message.content"] == "ticket 3"
    assert there.attributes["llm.token_count.prompt"] == 12
    assert there.attributes["session.id"] == "chat-42"
    [judged] = annotated(phoenix, project, traces[3].span_id)
    assert (judged.name, judged.label, judged.score) == ("equals", "pass", 1.0)
    assert judged.metadata["p2re"]["experiment_id"] == "e1"


def test_a_richer_row_here_is_never_overwritten_by_what_phoenix_made_of_it(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """Phoenix keeps microseconds and loses attributes; ours stay as they were recorded."""
    trace = runs.run(metadata={"mixed": [1, "a", {"b": None}]}, tags=("refund",))
    store.finish_trace(trace).result()
    before = store.read_trace(trace.trace_id)
    sync(store, phoenix.address, project)
    sync(store, phoenix.address, project, full=True)
    assert store.read_trace(trace.trace_id) == before
    [there] = [
        one.raw
        for one in ask(phoenix, project, lambda there: there.spans_from(0)).spans
        if one.raw.span_id == trace.span_id
    ]
    assert there.start_ns == round(trace.start_ns / 1000) * 1000 != trace.start_ns


def test_failures_tool_calls_and_faulty_scorers_arrive(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """An error is an error there too, never a score; a broken scorer is labelled as one."""
    fault = Fault(kind="timeout", message="no answer in 30 s", attempts=3)
    failed = runs.run(status="ERROR", completion=None, fault=fault, spans=())
    called = Completion(tool_calls=(ToolCall(id="1", name="file", arguments='{"team": "b"}'),))
    asked = runs.run(completion=called, spans=())
    for one in (failed, asked):
        store.finish_trace(one)
    broken = runs.evaluation(
        asked, name="note", score=None, fault=Fault(kind="scorer", message="x")
    )
    store.save_evaluations([broken]).result()
    assert sync(store, phoenix.address, project).failures == []
    spans = {
        one.raw.span_id: one.raw
        for one in ask(phoenix, project, lambda there: there.spans_from(0)).spans
    }
    assert spans[failed.span_id].status == "ERROR"
    assert spans[failed.span_id].status_message == "no answer in 30 s"
    calls = "llm.output_messages.0.message.tool_calls.0.tool_call.function"
    assert spans[asked.span_id].attributes[f"{calls}.name"] == "file"
    [judged] = annotated(phoenix, project, asked.span_id)
    assert (judged.name, judged.label, judged.score) == ("note_", "error", None)


def test_what_was_made_there_is_imported(
    phoenix: PhoenixServer, project: str, store: Store
) -> None:
    """An application's own trace and a person's annotations become a trace and evaluations."""
    trace_id, root, child = secrets.token_hex(16), secrets.token_hex(8), secrets.token_hex(8)
    spans = [
        RawSpan(
            trace_id,
            root,
            "answer",
            MOMENT,
            end_ns=MOMENT + 9000,
            status="OK",
            attributes={
                "openinference.span.kind": "CHAIN",
                "input.value": "Hello?",
                "metadata": json.dumps({"tenant": {"name": "acme"}}),
                "session.id": "chat-7",
            },
            events=(RawEvent("thought", MOMENT + 1000, {"n": 1}),),
        ),
        RawSpan(
            trace_id,
            child,
            "ChatCompletion",
            MOMENT + 1000,
            parent_id=root,
            end_ns=MOMENT + 8000,
            status="OK",
            attributes={
                "openinference.span.kind": "LLM",
                "llm.model_name": "gpt-5-mini",
                "llm.provider": "openai",
                "llm.output_messages.0.message.role": "assistant",
                "llm.output_messages.0.message.content": "Good day.",
                "llm.token_count.prompt": 9,
                "llm.token_count.completion": 3,
            },
        ),
    ]

    async def made_there(there: Phoenix) -> None:
        await there.send_spans(spans)
        while len((await there.spans_from(0)).spans) < 2:
            await asyncio.sleep(0.1)  # somebody else's write: only asking tells
        await there.annotate(
            [
                Annotation(span_id=root, name="polite", kind="HUMAN", score=0.0, label="rude"),
                Annotation(span_id=child, name="short", kind="LLM", score=1.0, explanation="yes"),
                Annotation(trace_id=trace_id, name="whole", kind="HUMAN", label="good"),
            ]
        )

    ask(phoenix, project, made_there)
    outcome = sync(store, phoenix.address, project)
    assert outcome.counts == {"spans_pulled": 2, "evaluations_pulled": 3}
    trace = store.read_trace(trace_id)
    assert (trace.kind, trace.name, trace.session_id) == ("CHAIN", "answer", "chat-7")
    assert trace.metadata == {"tenant": {"name": "acme"}}
    assert trace.events[0]["name"] == "thought"
    [step] = trace.spans
    assert step.completion is not None
    assert (step.completion.text, step.completion.usage.input_tokens) == ("Good day.", 9)
    polite, short, whole = sorted(store.evaluations(trace_id), key=lambda one: one.name)
    assert (polite.kind, polite.score and polite.score.label) == ("HUMAN", "rude")
    assert short.score is not None
    assert short.score.metadata["phoenix"]["span_id"] == child
    better = whole.model_copy(update={"score": whole.score.model_copy(update={"label": "great"})})
    store.save_evaluations([better]).result()
    assert sync(store, phoenix.address, project).counts == {"evaluations_pushed": 1}
    [said] = ask(phoenix, project, lambda there: there.trace_annotations([trace_id]))
    assert said.label == "great"
    again = sync(store, phoenix.address, project, full=True)
    assert not again.changed, again.lines()


def test_two_databases_meet_in_one_project(
    phoenix: PhoenixServer, project: str, store: Store, elsewhere: Store, runs: Runs
) -> None:
    """What one wrote there, another takes over with scorer and experiment, and sends nothing."""
    [trace] = runs.record(store, 1)
    sync(store, phoenix.address, project)
    taken = sync(elsewhere, phoenix.address, project)
    assert taken.counts == {"spans_pulled": 2, "evaluations_pulled": 1}
    [judged] = elsewhere.evaluations(trace.trace_id)
    assert (judged.scorer, judged.experiment_id) == ("equals", "e1")
    assert judged.score is not None
    assert judged.score.passed is True
    there = elsewhere.read_trace(trace.trace_id)
    assert there.prompt.messages == trace.prompt.messages
    assert there.completion is not None
    assert there.completion.text == "billing"
    for one in (elsewhere, store):
        assert not sync(one, phoenix.address, project).changed


class Judged:
    """One run with one evaluation that both sides hold."""

    def __init__(self, server: PhoenixServer, project: str, store: Store, runs: Runs) -> None:
        self.server, self.project, self.store, self.runs = server, project, store, runs
        [self.trace] = runs.record(store, 1)
        self.sync()

    def sync(self) -> dict[str, int]:
        return sync(self.store, self.server.address, self.project).counts

    def here(self) -> Any:
        [one] = self.store.evaluations(self.trace.trace_id)
        return one

    def there(self) -> Annotation:
        [one] = annotated(self.server, self.project, self.trace.span_id)
        return one

    def change_here(self, score: Score, **given: Any) -> None:
        update = {"score": score, **given}
        self.store.save_evaluations([self.here().model_copy(update=update)]).result()

    def change_there(self, **given: Any) -> None:
        changed = self.there().model_copy(update=given)
        ask(self.server, self.project, lambda there: there.annotate([changed]))


@pytest.fixture
def judged(phoenix: PhoenixServer, project: str, store: Store, runs: Runs) -> Judged:
    return Judged(phoenix, project, store, runs)


def test_a_change_here_is_written_there(judged: Judged) -> None:
    """Judged again: the annotation is replaced, not doubled."""
    judged.change_here(Score(value=0.25, passed=False), evaluation_id="f" * 32)
    assert judged.sync() == {"evaluations_pushed": 1}
    assert (judged.there().score, judged.there().label) == (0.25, "fail")
    assert judged.sync() == {}


def test_a_change_there_is_taken_over(judged: Judged) -> None:
    """A person corrects a scorer in Phoenix: what it said is kept beside the correction."""
    judged.change_there(score=0.0, label="fail", explanation="not polite", kind="HUMAN")
    assert judged.sync() == {"evaluations_updated": 1}
    one = judged.here()
    assert (one.kind, one.score.value, one.score.passed) == ("HUMAN", 0.0, False)
    assert one.score.metadata["replaced"]["value"] == 1.0
    assert judged.sync() == {}


def test_a_person_there_wins_over_a_program_here(judged: Judged) -> None:
    """Both changed: the conflict is recorded, and judging again does not undo the correction."""
    judged.change_there(score=0.0, label="fail", kind="HUMAN")
    judged.change_here(Score(value=0.75, passed=True))
    assert judged.sync() == {"conflicts": 1}
    assert judged.here().score.value == 0.0
    assert judged.here().score.metadata["replaced"]["value"] == 0.75
    judged.change_here(Score(value=0.5, passed=True), kind="CODE")
    assert judged.sync() == {"conflicts": 1}
    assert judged.there().score == judged.here().score.value == 0.0
    assert judged.sync() == {}


def test_a_person_here_wins_over_a_program_there(judged: Judged) -> None:
    """And the loser is kept in the metadata of both."""
    judged.change_there(score=0.5, label=None, kind="LLM")
    judged.change_here(Score(value=0.9, passed=True), kind="HUMAN")
    assert judged.sync() == {"conflicts": 1, "evaluations_pushed": 1}
    assert judged.there().score == 0.9
    assert judged.there().metadata["replaced"]["score"] == 0.5
    assert judged.sync() == {}


def test_push_alone_does_not_write_over_what_changed_there(judged: Judged) -> None:
    """It takes nothing over either: the next whole sync settles it."""
    judged.change_there(score=0.0, label="fail", kind="HUMAN")
    judged.change_here(Score(value=0.75, passed=True))
    outcome = sync(judged.store, judged.server.address, judged.project, push=True)
    assert not outcome.changed
    assert judged.there().score == 0.0
    assert judged.here().score.value == 0.75


def test_what_is_deleted_there_stays_here(judged: Judged) -> None:
    """A tombstone in the ledger: it is neither deleted here nor sent again."""

    async def take_away(there: Phoenix) -> None:
        delete(there.peer.address, f"/v1/traces/{judged.trace.trace_id}")

    judged.runs.record(judged.store, 1)
    judged.sync()
    ask(judged.server, judged.project, take_away)
    outcome = sync(judged.store, judged.server.address, judged.project, full=True)
    assert outcome.counts["deleted_there"] >= 1
    assert judged.store.read_trace(judged.trace.trace_id) == judged.trace
    assert judged.sync() == {}
    page = ask(judged.server, judged.project, lambda there: there.spans_from(0))
    assert len(page.spans) == 2


def test_a_step_that_joins_later_is_sent_later(judged: Judged) -> None:
    """Such as the call of a judge that ran when the trace had gone already."""
    late = judged.trace.spans[0].model_copy(update={"span_id": secrets.token_hex(8)})
    judged.store.finish_trace(
        judged.trace.model_copy(update={"spans": (*judged.trace.spans, late)})
    ).result()
    assert judged.sync()["spans_pushed"] == 1
    assert judged.sync() == {}


def test_a_program_that_reports_to_both_is_not_sent_twice(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """What is there already is left alone, what is missing there is added."""
    trace = runs.run()
    store.finish_trace(trace).result()

    async def report(there: Phoenix) -> None:
        await there.send_spans(told(trace)[:1])
        while not (await there.spans_from(0)).spans:
            await asyncio.sleep(0.1)  # somebody else's write: only asking tells

    ask(phoenix, project, report)
    assert sync(store, phoenix.address, project).counts == {"spans_pushed": 1, "traces_pushed": 1}
    assert not sync(store, phoenix.address, project).changed
    assert store.read_trace(trace.trace_id) == trace


def test_a_trace_that_another_project_has_is_given_up_with_a_reason(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Phoenix keeps a span once, whatever the project: it accepts the second and never shows it."""
    monkeypatch.setattr("p2re_eval.bridges.phoenix.departures.PATIENCE_S", 1.0)
    runs.record(store, 1)
    sync(store, phoenix.address, project)
    outcome = sync(store, phoenix.address, f"{project}-other")
    assert "another project may hold this trace already" in outcome.failures[0]
    again = sync(store, phoenix.address, f"{project}-other")
    assert not again.changed


def test_a_row_number_that_is_given_anew_hides_nothing(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """The newest span is deleted there and another takes its number: it is imported, too."""
    first, second, third = (told(runs.run(spans=()))[0] for _ in range(3))

    async def send(there: Phoenix, raw: RawSpan) -> int:
        await there.send_spans([raw])
        while True:
            for one in (await there.spans_from(0)).spans:
                if one.raw.span_id == raw.span_id:
                    return one.row
            await asyncio.sleep(0.1)  # somebody else's write: only asking tells

    async def replace(there: Phoenix, row: int) -> bool:
        delete(there.peer.address, f"/v1/traces/{second.trace_id}")
        return await send(there, third) == row

    ask(phoenix, project, lambda there: send(there, first))
    row = ask(phoenix, project, lambda there: send(there, second))
    assert sync(store, phoenix.address, project).counts == {"spans_pulled": 2}
    assert ask(phoenix, project, lambda there: replace(there, row))
    outcome = sync(store, phoenix.address, project)
    assert outcome.counts == {"spans_pulled": 1}
    assert outcome.notes == ["spans were deleted there; all of them were read again"]
    assert {one.trace_id for one in store.list_traces()} == {
        first.trace_id,
        second.trace_id,
        third.trace_id,
    }


def test_a_dry_run_changes_neither_side(
    phoenix: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """It counts what would go, and the next sync still sends it."""
    runs.record(store, 3)
    planned = sync(store, phoenix.address, project, dry=True)
    assert planned.lines()[0] == "would be: 6 spans sent and seen there"
    assert store.sync_ledger(planned.target).counts() == {}
    assert sync(store, phoenix.address, project).counts["spans_pushed"] == 6


def test_a_server_that_is_away_is_a_sentence(
    store: Store, runs: Runs, project: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a few tries, with what to do; nothing is marked as sent."""
    monkeypatch.setattr("p2re_eval.bridges.http._FIRST_WAIT_S", 0.001)
    [_] = runs.record(store, 1)
    with pytest.raises(Unreachable, match=r"cannot be reached .*; start it, or check the address"):
        sync(store, f"http://127.0.0.1:{free_port()}", project)
