"""Statistics are the same whether read from rollups, from fresh rows, or after rows are gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Evaluation, Fault, ModelSettings, Score
from p2re_eval.service import Feedback, Service
from p2re_eval.store import open_store
from p2re_eval.store.apply import apply_one
from p2re_eval.store.connection import open_for_reading
from p2re_eval.store.jobs import SaveEvaluations
from p2re_eval.store.removal import remove_rows
from p2re_eval.store.stat_queries import StatsQuery, StatsReport, stats

DAY = 86_400_000_000_000
NOON = 1_700_000_000_000_000_000 // DAY * DAY + DAY // 2


def judge(trace_id: str, value: float, experiment_id: str | None = None) -> Evaluation:
    return Evaluation(
        evaluation_id=f"{trace_id}-{experiment_id}",
        trace_id=trace_id,
        name="faithful",
        scorer="faithful",
        scorer_version="1",
        score=Score(value=value, passed=value >= 0.5),
        experiment_id=experiment_id,
    )


@pytest.fixture
def filled(service: Service, runs: Any) -> Service:
    """Two models on two days: six answers of which two have a price, one fault, three scores."""
    for number in range(6):
        name, start = ["small", "large"][number % 2], NOON + (number // 4) * DAY + number
        trace = runs.record(
            prompt=runs.prompt(model=ModelSettings(provider="openai", name=name)),
            start_ns=start,
            end_ns=start + (number + 1) * 100_000_000,
            cost_usd=0.5 if number < 2 else None,
        )
        if number < 3:
            service.evaluations.create(judge(trace.trace_id, number / 2))
    runs.record(
        status="ERROR",
        completion=None,
        fault=Fault(kind="server", message="down"),
        start_ns=NOON,
        end_ns=NOON + 50_000_000,
        prompt=runs.prompt(model=ModelSettings(provider="openai", name="small")),
    )
    return service


def test_totals_and_what_is_unknown(filled: Service) -> None:
    """Seven runs, one error, two prices; the fault has no tokens and no cost."""
    total = filled.statistics.report().total
    assert (total.traces, total.errors, total.priced) == (7, 1, 2)
    assert (total.input_tokens, total.output_tokens, total.cost_usd) == (60, 12, 1.0)
    assert total.cached_tokens is None
    assert total.unpriced_share == pytest.approx(5 / 7)
    assert total.p50_ns == pytest.approx(300_000_000, rel=0.02)
    assert total.p99_ns == pytest.approx(500_000_000, rel=0.02)


def test_groups(filled: Service) -> None:
    report = filled.statistics.report(StatsQuery(by=("model", "day")))
    midnight = NOON - DAY // 2
    assert [(row.key["model"], row.key["day"], row.traces, row.errors) for row in report.rows] == [
        ("openai/large", midnight, 2, 0),
        ("openai/large", midnight + DAY, 1, 0),
        ("openai/small", midnight, 3, 1),
        ("openai/small", midnight + DAY, 1, 0),
    ]
    scores = filled.statistics.report(StatsQuery(by=("model",))).scores
    assert [(row.key["model"], row.evaluations, row.mean, row.pass_rate) for row in scores] == [
        ("openai/large", 1, 0.5, 1.0),
        ("openai/small", 2, 0.5, 0.5),
    ]


@pytest.mark.parametrize(
    ("wanted", "traces", "period"),
    [
        (StatsQuery(model="openai/large"), 3, "day"),
        (StatsQuery(prompt="route", version="aaaa"), 7, "day"),
        (StatsQuery(version="bb"), 0, "day"),
        (StatsQuery(since_ns=NOON + DAY + 5, until_ns=NOON + 2 * DAY), 2, "hour"),
        (StatsQuery(until_ns=NOON), 5, "day"),
        (StatsQuery(source="replay"), 0, "day"),
        (StatsQuery(source=None, by=("hour",)), 7, "hour"),
    ],
    ids=str,
)
def test_windows_and_filters(filled: Service, wanted: StatsQuery, traces: int, period: str) -> None:
    report = filled.statistics.report(wanted)
    assert (report.total.traces, report.period) == (traces, period)


def everything(service: Service) -> StatsReport:
    return service.statistics.report(
        StatsQuery(by=("model", "prompt", "version", "hour", "status", "source"), source=None)
    )


def test_rolled_up_or_not_the_numbers_are_the_same(filled: Service, database: Path) -> None:
    """Fresh rows are counted on the way; a reader without a writer sees them too."""
    with open_store(database, read_only=True) as reader:
        fresh = everything(Service(reader))
    filled.store.index_everything()
    assert everything(filled) == fresh
    assert filled.store.read(lambda c: c.execute("SELECT count(*) FROM rollups").fetchone()[0]) > 0


def test_what_is_rolled_up_while_it_is_counted_counts_once(filled: Service, database: Path) -> None:
    """The index is fed by another thread or process between two questions of one report."""
    total = filled.statistics.report().total
    connection = open_for_reading(database, busy_timeout_s=1)
    connection.set_trace_callback(
        lambda sql: filled.store.index_everything() if "FROM rollups" in sql else None
    )
    report = stats(connection, StatsQuery(), now_ns=NOON)
    connection.close()
    assert report.total == total
    assert filled.store.read(lambda c: c.execute("SELECT sum(traces) FROM rollups").fetchone()[0])


def test_a_second_ending_and_a_changed_mind_count_once(service: Service, runs: Any) -> None:
    """What is replaced after it was counted is taken out first."""
    trace = runs.record(cost_usd=1.0)
    service.evaluations.create(judge(trace.trace_id, 0.0))
    service.store.index_everything()
    answer = trace.completion.model_copy(update={"cost_usd": 3.0})
    service.traces.record(trace.model_copy(update={"completion": answer}))
    service.evaluations.create(judge(trace.trace_id, 1.0))
    for _ in range(2):
        report = service.statistics.report()
        assert (report.total.traces, report.total.cost_usd) == (1, 3.0)
        [score] = report.scores
        assert (score.evaluations, score.mean, score.passed, score.failed) == (1, 1.0, 1, 0)
        service.store.index_everything()


def test_what_is_deleted_by_hand_is_not_counted_any_more(filled: Service) -> None:
    """As if it had never been: rollup rows that fell to nothing leave."""
    filled.store.index_everything()
    filled.traces.delete([row.trace_id for row in filled.traces.list().items])
    report = everything(filled)
    assert (report.rows, report.scores, report.total.traces) == ((), (), 0)


def test_what_retention_takes_stays_in_every_chart(filled: Service) -> None:
    """The share of a row moves to the file's own origin in the transaction that deletes it."""
    filled.store.index_everything()
    before = everything(filled)
    filled.store.change(lambda change: remove_rows(change.connection, [1, 2, 7], keep=True))
    assert everything(filled) == before
    assert len(filled.traces.list().items) == 4
    rows = filled.store.read(
        lambda c: c.execute("SELECT DISTINCT origin <> '' FROM rollups ORDER BY 1").fetchall()
    )
    assert [row[0] for row in rows] == [0, 1]


def test_people_count_as_people(service: Service, runs: Any) -> None:
    trace = runs.record()
    service.evaluations.annotate(Feedback(trace_id=trace.trace_id, annotator="ann", passed=True))
    [score] = service.statistics.report().scores
    assert (score.name, score.kind, score.pass_rate, score.mean) == ("feedback", "HUMAN", 1.0, None)


def test_a_trace_that_changes_after_it_was_counted_is_counted_as_it_is(
    service: Service, runs: Any, database: Path
) -> None:
    """A late span changes tokens, cost and model of a captured trace; its scores move along."""
    trace = runs.record(cost_usd=1.0)
    service.evaluations.create(judge(trace.trace_id, 1.0))
    service.store.index_everything()
    service.store.change(
        lambda change: change.connection.execute(
            "UPDATE traces SET model = 'a, b', cost_usd = 4.0, end_ns = end_ns + 1000000000"
        )
    )
    with open_store(database, read_only=True) as reader:
        fresh = everything(Service(reader))
    service.store.index_everything()
    report = everything(service)
    [row] = report.rows
    assert (row.key["model"], row.traces, row.cost_usd) == ("a, b", 1, 4.0)
    assert row.p50_ns == pytest.approx(1_250_000_000, rel=0.02)
    [score] = report.scores
    assert (score.key["model"], score.evaluations) == ("a, b", 1)
    assert fresh.rows == report.rows


def test_a_judgement_that_came_before_its_trace_is_counted_with_it(
    service: Service, runs: Any, database: Path
) -> None:
    """The watermark has passed it by; and with its trace it goes again, to nothing and not less."""
    early = judge("a" * 32, 1.0)
    service.store.change(lambda change: apply_one(change, SaveEvaluations((early,))))
    service.store.index_everything()
    assert service.statistics.report().scores == ()
    runs.record(trace_id="a" * 32)
    with open_store(database, read_only=True) as reader:
        [fresh] = Service(reader).statistics.report().scores
    service.store.index_everything()
    [score] = service.statistics.report().scores
    assert (fresh.evaluations, score.evaluations, score.mean) == (1, 1, 1.0)
    service.traces.delete(["a" * 32])
    rows = service.store.read(lambda c: c.execute("SELECT * FROM score_rollups").fetchall())
    assert rows == []
