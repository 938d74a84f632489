"""Traces out to a collector: an HTTP server that speaks OTLP, and everything that goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from p2re_eval.bridges import http
from p2re_eval.bridges.otlp import OtlpSettings, sync_otlp
from p2re_eval.bridges.outcome import Outcome
from p2re_eval.bridges.standing import standings
from p2re_eval.errors import Unreachable
from p2re_eval.otlp.protobuf import decoded
from p2re_eval.records import Result, Score
from p2re_eval.store import Store
from p2re_eval.tracing.raw import RawSpan
from tests.bridges.conftest import Runs

pytest.importorskip("opentelemetry.proto", reason="the extra otlp is not installed")


class Collector:
    """Keeps what it is sent; ``refuses`` names a span it cannot take, ``status`` fails all."""

    def __init__(self) -> None:
        self.spans: list[RawSpan] = []
        self.logs: list[tuple[str, str]] = []
        self.headers: list[str] = []
        self.refuses = ""
        self.status = 200
        self.knows_logs = True

    async def traces(self, request: web.Request) -> web.Response:
        self.headers.append(request.headers.get("x-key", ""))
        if self.status != 200:
            return web.Response(status=self.status)
        spans = list(decoded(await request.read()))
        if any(span.span_id == self.refuses for span in spans):
            return web.Response(status=400, text="too strange")
        self.spans += spans
        return web.Response()

    async def log_records(self, request: web.Request) -> web.Response:
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

        if not self.knows_logs:
            return web.Response(status=404)
        sent = ExportLogsServiceRequest.FromString(await request.read())
        for record in sent.resource_logs[0].scope_logs[0].log_records:
            values = {pair.key: pair.value.string_value for pair in record.attributes}
            self.logs.append((record.trace_id.hex(), values["gen_ai.evaluation.name"]))
        return web.Response()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_post("/v1/traces", self.traces)
        application.router.add_post("/v1/logs", self.log_records)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


@pytest.fixture
def collector() -> Collector:
    return Collector()


def export(collector: Collector, store: Store, *, dry: bool = False) -> Outcome:
    """One export; the collector's address is always the same to the ledger."""

    async def exported() -> Outcome:
        async with collector.running() as address:
            settings = OtlpSettings(address=address, dry=dry)
            outcome = await sync_otlp(store, settings)
            again = await sync_otlp(store, settings)
            assert dry or not again.changed, again.lines()
            return outcome

    return asyncio.run(exported())


def test_runs_go_out_with_both_families_and_evaluations_as_events(
    collector: Collector, store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nanoseconds, steps and judgements; a second export has nothing to do."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc, other = 1")
    [trace] = runs.record(store, 1)
    outcome = export(collector, store)
    assert outcome.counts == {"traces_sent": 1, "spans_sent": 2}
    root, step = collector.spans
    assert (root.start_ns, root.end_ns) == (trace.start_ns, trace.end_ns)
    assert step.parent_id == root.span_id == trace.span_id
    assert root.attributes["llm.token_count.prompt"] == 12
    assert root.attributes["gen_ai.usage.input_tokens"] == 12
    [judged] = [event for event in root.events if event.name == "gen_ai.evaluation.result"]
    assert judged.attributes["gen_ai.evaluation.score.label"] == "pass"
    assert root.resource["service.name"] == "p2re"
    assert set(collector.headers) == {"abc"}


def test_more_runs_than_one_batch(collector: Collector, store: Store, runs: Runs) -> None:
    """Each span once."""
    runs.record(store, 450)
    assert export(collector, store).counts["spans_sent"] == 900
    assert len({span.span_id for span in collector.spans}) == len(collector.spans) == 900
    assert collector.logs == []


def test_what_comes_late_goes_late(collector: Collector, store: Store, runs: Runs) -> None:
    """A step joins its trace; a judgement, new or changed, is a log record of it."""

    async def story() -> None:
        async with collector.running() as address:
            settings = OtlpSettings(address=address)
            [trace] = runs.record(store, 1)
            await sync_otlp(store, settings)
            late = trace.spans[0].model_copy(update={"span_id": "9" * 16})
            result = trace.model_copy(update={"spans": (late,)})
            store.save_evaluations([runs.evaluation(trace, name="polite", kind="HUMAN")])
            [first] = [e for e in store.evaluations(trace.trace_id) if e.name == "equals"]
            changed = first.model_copy(update={"score": Score(value=0.0)})
            store.save_evaluations([changed]).result()
            store.save_result(_result(trace.trace_id), [], [late]).result()
            outcome = await sync_otlp(store, settings)
            assert outcome.counts == {"spans_sent": 1, "evaluations_sent": 2}
            assert collector.spans[-1].span_id == result.spans[0].span_id
            assert collector.logs == [(trace.trace_id, "polite"), (trace.trace_id, "equals")]

    asyncio.run(story())


def test_a_span_that_is_refused_is_counted_and_stops_nothing(
    collector: Collector, store: Store, runs: Runs
) -> None:
    """The others arrive; the drop has a reason, in the outcome and in the status."""
    traces = runs.record(store, 30)
    collector.refuses = traces[17].spans[0].span_id
    outcome = export(collector, store)
    assert outcome.counts["spans_sent"] == 59
    assert outcome.counts["dropped"] == 1
    assert "too strange" in outcome.failures[0]
    [standing] = standings(store)
    assert (standing.failed, standing.runs_behind) == (1, 0)
    assert "too strange" in standing.failures[0]


def test_a_collector_without_logs_drops_late_judgements_by_count(
    collector: Collector, store: Store, runs: Runs
) -> None:
    """Many collectors take traces only."""
    [trace] = runs.record(store, 1)
    export(collector, store)
    collector.knows_logs = False

    async def later() -> Outcome:
        async with collector.running() as address:
            settings = OtlpSettings(address=address)
            await sync_otlp(store, settings)
            store.save_evaluations([runs.evaluation(trace, name="polite")]).result()
            return await sync_otlp(store, settings)

    outcome = asyncio.run(later())
    assert outcome.counts == {"dropped": 1}


def test_a_collector_that_is_away_loses_nothing(
    collector: Collector, store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is the queue: the status says how far behind, the next export sends it."""
    monkeypatch.setattr(http, "_FIRST_WAIT_S", 0.001)
    runs.record(store, 3)

    async def story() -> None:
        async with collector.running() as address:
            settings = OtlpSettings(address=address)
        with pytest.raises(Unreachable):
            await sync_otlp(store, settings)
        assert collector.spans == []
        async with collector.running() as address:
            again = await sync_otlp(store, OtlpSettings(address=address))
            assert again.counts["traces_sent"] == 3

    asyncio.run(story())


def test_a_busy_collector_is_asked_again(
    collector: Collector, store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 is retried a few times, then the export stops and says so."""
    monkeypatch.setattr(http, "_FIRST_WAIT_S", 0.001)
    collector.status = 503
    runs.record(store, 1)
    with pytest.raises(http.Refused, match="answered 503"):
        export(collector, store)
    assert len(collector.headers) == 6


def test_a_dry_run_sends_nothing(collector: Collector, store: Store, runs: Runs) -> None:
    """It counts, and leaves the cursors where they are."""
    runs.record(store, 2)
    assert export(collector, store, dry=True).lines()[0] == (
        "would be: 2 traces sent and accepted there"
    )
    assert collector.spans == []


def _result(trace_id: str) -> Result:
    return Result(
        experiment_id="e1",
        item="i",
        suite="s",
        prompt="p",
        model="m",
        case_id="c",
        outcome="passed",
        trace_id=trace_id,
    )
