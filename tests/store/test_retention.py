"""What is let go, what stays, that charts do not notice, and that the file shrinks."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import UsageError
from p2re_eval.records import Completion, Score
from p2re_eval.service import Feedback, Service
from p2re_eval.store import Store, open_store, retention
from p2re_eval.store.retention import RetentionPolicy
from p2re_eval.store.stat_queries import StatsQuery, StatsReport
from p2re_eval.store.sweep import used_bytes

DAY = 86_400_000_000_000
NOW = 1_700_000_000_000_000_000


class Clock:
    """Stands still."""

    def now_ns(self) -> int:
        return NOW

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.fixture
def store(database: Path) -> Any:
    with open_store(database, clock=Clock()) as opened:
        yield opened


def record(store: Store, records: Any, days: float, text: str = "", **given: Any) -> str:
    """An answered run of so many days ago, with texts and a raw answer of its own."""
    begun = records.trace(
        prompt=records.prompt(f"question {text} " + "word " * 80),
        start_ns=NOW - round(days * DAY),
        **given,
    )
    trace = records.answered(begun, f"answer {text} " + "reply " * 80)
    completion: Completion = trace.completion
    raw = {"id": text, "body": f"raw {text} " + "r" * 400}
    ended = trace.model_copy(
        update={"completion": completion.model_copy(update={"raw": raw, "cost_usd": 0.01})}
    )
    store.finish_trace(ended).result()
    return str(trace.trace_id)


@pytest.fixture
def service(store: Store, records: Any) -> Service:
    """Runs of 1, 10, 40 and 100 days ago; and of 100 days a pinned, a judged, a scored one."""
    for days in (1, 10, 40, 100):
        record(store, records, days, f"day{days}")
    service = Service(store, Clock())
    service.traces.pin(record(store, records, 100, "pinned"))
    judged = record(store, records, 100, "judged")
    service.evaluations.annotate(Feedback(trace_id=judged, annotator="ann", label="good"))
    scored = record(store, records, 100, "scored")
    evaluation = records.evaluation(scored, "equals", score=Score(value=0.5), experiment_id=None)
    store.save_evaluations([evaluation]).result()
    store.begin_trace(records.trace(start_ns=NOW - 100 * DAY)).result()
    return service


def left(service: Service) -> list[str]:
    """What is still there, by the word that tells it apart; '-' where the texts are gone."""
    found = []
    for row in service.traces.list().items:
        detail = service.traces.get(row.trace_id)
        if row.status == "RUNNING":
            found.append("running")
        elif detail.texts_dropped:
            found.append(f"-{row.input_preview.split()[1]}")
        else:
            found.append(detail.trace.prompt.messages[0].text.split()[1])
    return sorted(found)


def charts(service: Service) -> StatsReport:
    return service.statistics.report(StatsQuery(by=("model", "day", "status"), source=None))


def test_old_rows_go_and_charts_stay(service: Service) -> None:
    """Pinned, judged, scored and running ones are kept, and counted as such."""
    before = charts(service)
    report = service.keeping.prune(RetentionPolicy(row_days=30))
    assert (report.rows_deleted, report.protected, report.dry_run) == (2, 4, False)
    assert left(service) == ["day1", "day10", "judged", "pinned", "running", "scored"]
    assert charts(service) == before
    assert service.traces.search("day100").items == ()
    assert len(service.traces.search("day10").items) == 1
    assert service.keeping.prune(RetentionPolicy(row_days=30)).rows_deleted == 0


def test_what_only_a_scorer_judged_may_go_if_the_policy_says_so(service: Service) -> None:
    """What a person judged or pinned stays even then; the score outlives its trace."""
    before = charts(service)
    report = service.keeping.prune(RetentionPolicy(row_days=30, keep_evaluated=False))
    assert (report.rows_deleted, report.protected) == (3, 3)
    assert left(service) == ["day1", "day10", "judged", "pinned", "running"]
    assert charts(service) == before
    assert [one.name for one in service.evaluations.list().items] == ["equals", "feedback"]


def test_the_tiers(service: Service) -> None:
    """Raw answers first, then texts, of which previews, tokens and cost stay; then rows."""
    before = charts(service)
    policy = RetentionPolicy(raw_days=5, text_days=20, row_days=60)
    report = service.keeping.prune(policy)
    assert (report.raw_dropped, report.texts_dropped, report.rows_deleted) == (3, 2, 1)
    assert left(service) == ["-day40", "day1", "day10", "judged", "pinned", "running", "scored"]
    assert charts(service) == before
    rows = {row.input_preview.split()[1]: row for row in service.traces.list().items[:3]}
    raw = {
        name: service.traces.get(row.trace_id).trace.completion.raw is not None
        for name, row in rows.items()
        if name.startswith("day")
    }
    assert raw.get("day10", False) is False
    hits = service.traces.search("day40").items
    assert hits == ()
    dropped = next(row for row in service.traces.list().items if "day40" in row.input_preview)
    trace = service.traces.get(dropped.trace_id).trace
    assert (trace.prompt.messages, trace.completion and trace.completion.text) == ((), "")
    assert (dropped.input_tokens, dropped.cost_usd) == (7, 0.01)
    assert service.keeping.prune(policy).texts_dropped == 0


def test_a_dry_run_foresees_what_goes_and_changes_nothing(service: Service) -> None:
    policy = RetentionPolicy(raw_days=5, text_days=20, row_days=60)
    before = list(service.transfer.export_lines())
    foreseen = service.keeping.prune(policy, dry_run=True)
    assert list(service.transfer.export_lines()) == before
    assert foreseen.dry_run
    assert (foreseen.rows_deleted, foreseen.protected) == (1, 4)
    assert (foreseen.raw_dropped, foreseen.texts_dropped) == (3, 2)
    assert foreseen.bytes_after < foreseen.bytes_before


def test_no_more_traces_than_the_policy_wants(service: Service) -> None:
    """The oldest go first, whatever their age; what is protected stays beyond the number."""
    assert service.keeping.prune(RetentionPolicy(max_traces=6)).rows_deleted == 2
    assert left(service) == ["day1", "day10", "judged", "pinned", "running", "scored"]
    assert service.keeping.prune(RetentionPolicy(max_traces=0)).rows_deleted == 2
    assert left(service) == ["judged", "pinned", "running", "scored"]


def test_the_file_shrinks(store: Store, records: Any, database: Path) -> None:
    """Rows, texts and the index leave their pages, and the pages leave the file."""
    service = Service(store, Clock())
    empty = store.read(used_bytes)
    for number in range(300):
        record(store, records, 50, f"number{number}")
    record(store, records, 1, "new")
    store.index_everything()
    report = service.keeping.prune(RetentionPolicy(row_days=30))
    assert report.rows_deleted == 300
    assert report.bytes_before > empty + 300_000
    assert report.bytes_after < empty + 50_000
    with closing(sqlite3.connect(database)) as connection:
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM blobs), (SELECT count(*) FROM prompts), "
            "(SELECT count(*) FROM messages), (SELECT count(*) FROM responses)"
        ).fetchone()
        assert counts == (4, 1, 1, 1)
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)
    assert database.stat().st_size <= report.bytes_after + 8192 * 2
    assert left(service) == ["new"]


def test_the_file_is_kept_below_a_size(store: Store, records: Any) -> None:
    service = Service(store, Clock())
    for number in range(300):
        record(store, records, 50 - number / 300, f"number{number}")
    limit = 900_000
    report = service.keeping.prune(RetentionPolicy(max_bytes=limit))
    assert report.bytes_before > limit >= report.bytes_after
    assert 0 < report.rows_deleted < 300
    assert any("number299" in name for name in left(service))


def test_others_write_meanwhile_and_lose_nothing(
    store: Store, records: Any, database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that takes up the very texts that are being swept finds them again."""
    monkeypatch.setattr(retention, "BATCH", 5)
    service = Service(store, Clock())
    for number in range(60):
        record(store, records, 50, f"shared{number % 10}")
    stop = threading.Event()
    written: list[str] = []

    def write() -> None:
        with open_store(database, clock=Clock()) as other:
            while not stop.is_set():
                written.append(record(other, records, 1, f"shared{len(written) % 10}"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 3:
            pass
        report = service.keeping.prune(RetentionPolicy(row_days=30))
    finally:
        stop.set()
        writer.join()
    assert report.rows_deleted == 60
    for number, trace_id in enumerate(written):
        trace = service.traces.get(trace_id).trace
        assert trace.prompt.messages[0].text.startswith(f"question shared{number % 10} ")
        assert trace.completion is not None
        assert trace.completion.text.startswith(f"answer shared{number % 10} ")
    assert store.health().integrity == "ok"


def test_a_policy_that_keeps_everything_is_refused(service: Service) -> None:
    with pytest.raises(UsageError, match="this policy keeps everything"):
        service.keeping.prune(RetentionPolicy())
