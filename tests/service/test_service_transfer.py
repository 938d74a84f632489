"""What goes out comes back the same; databases merge in any order, any number of times."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import StoreError
from p2re_eval.records import (
    Evaluation,
    Experiment,
    Exposure,
    Fault,
    OnlineExperiment,
    Result,
    Score,
    Session,
    Span,
    Trace,
    Variant,
)
from p2re_eval.service import Feedback, Service
from p2re_eval.store import open_store
from p2re_eval.store.online_transfer import KeepOnline, KeepUnit, online_lines, write_line
from p2re_eval.store.removal import drop_texts, remove_rows
from p2re_eval.store.stat_queries import StatsQuery
from p2re_eval.store.transaction import Transaction
from tests.service.conftest import Runs

SECONDS = 1_000_000_000


def compare_tones(service: Service, *, units: dict[str, str], **more: Any) -> None:
    """An A/B experiment under one name, and who got what."""
    variants = Variant(name="calm"), Variant(name="brisk")
    made = OnlineExperiment(name="tone", variants=variants, outcome="good", salt="s", **more)

    def start(transaction: Transaction) -> None:
        write_line(transaction, KeepOnline(made))
        for number, (unit, variant) in enumerate(units.items()):
            write_line(transaction, KeepUnit("tone", unit, variant, made.started_ns + number))

    service.store.change(start)


def fill(service: Service, runs: Any, first: int = 1) -> None:
    """One of everything: answers, a fault, spans, sessions, labels, judgements, an experiment."""
    for text in ("One", "Two"):
        service.prompts.save(runs.template(text))
    service.prompts.label("route", "live", "4f6e65")
    service.prompts.label("route", "live", "54776f")
    service.sessions.save(Session(session_id="chat", started_ns=1, user="ann", name="Refund"))
    compare_tones(service, started_ns=5, status="STOPPED", units={"u": "brisk", "only-a": "calm"})
    one = runs.record(
        "lone \ud800 surrogate", session_id="chat", tags=("vip",), metadata={"a": [1, None]},
        cost_usd=0.1,
    )  # fmt: skip
    two = runs.record(
        experiment_id="e1", exposures=(Exposure(experiment="x", variant="a", unit="u"),)
    )
    runs.record(status="ERROR", completion=None, fault=Fault(kind="server", message="down"))
    runs.record(status="ABANDONED", completion=None, end_ns=None)
    child = Span(
        span_id="c" * 16,
        trace_id=two.trace_id,
        name="judge",
        start_ns=5,
        end_ns=6,
        prompt=runs.prompt("judge this"),
        completion=two.completion,
        attributes={"k": "v"},
    )
    service.traces.record(two, [child])
    service.traces.pin(one.trace_id)
    for label in ("bad", "good"):
        service.evaluations.annotate(Feedback(trace_id=one.trace_id, annotator="ann", label=label))
    evaluation = Evaluation(
        evaluation_id="e-1", trace_id=two.trace_id, name="equals", scorer="equals",
        scorer_version="1", score=Score(value=1.0, passed=True), experiment_id="e1", created_ns=7,
    )  # fmt: skip
    stray = evaluation.model_copy(update={"trace_id": "gone", "experiment_id": None})
    service.store.start_experiment(Experiment(experiment_id="e1", name="n", started_ns=1))
    result = Result(
        experiment_id="e1", item="i", suite="s", prompt="route", model="openai/gpt-5-mini",
        case_id="c", outcome="passed", trace_id=two.trace_id,
    )  # fmt: skip
    service.store.save_result(result, [evaluation])
    service.store.save_evaluations([stray]).result()
    service.store.finish_experiment(
        Experiment(experiment_id="e1", name="n", started_ns=1, ended_ns=2, status="COMPLETE")
    )
    dropped = runs.record("these words are dropped")
    service.store.index_everything()
    row = [row.id for row in service.traces.list().items if row.trace_id == dropped.trace_id]
    service.store.change(lambda change: drop_texts(change.connection, row))


def content(service: Service) -> list[str]:
    """Everything but where it stands."""
    return list(service.transfer.export_lines())[1:]


def test_an_export_makes_the_same_database_again(
    service: Service, runs: Any, tmp_path: Path
) -> None:
    """To the last line, statistics and search included; a second import changes nothing."""
    fill(service, runs)
    lines = list(service.transfer.export_lines())
    with open_store(tmp_path / "copy.db") as store:
        copy = Service(store)
        for _ in range(2):
            counts = copy.transfer.import_lines([line.encode() for line in lines], source="x.jsonl")
            assert counts["finish_trace"] == 5
            assert list(copy.transfer.export_lines())[1:] == lines[1:]
            wanted = StatsQuery(by=("model", "hour", "status"), source=None)
            assert copy.statistics.report(wanted) == service.statistics.report(wanted)
        assert len(copy.traces.search("surrogate").items) == 1
        assert copy.traces.search("dropped").items == ()
        assert copy.traces.list().items[0].output_preview == "these words are dropped"
        assert copy.prompts.get("route", "live").row.version[:6] == "54776f"


def test_part_of_it_goes_out_by_expression(service: Service, runs: Any) -> None:
    fill(service, runs)
    lines = [json.loads(line) for line in service.transfer.export_lines("tag == vip")]
    assert [line.get("write", "header") for line in lines] == [
        "header",
        "finish_trace",
        "pin_trace",
        "save_evaluations",
        "keep_past_evaluation",
    ]


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([b"nonsense"], "x.jsonl: is no export; `p2re traces export` writes one"),
        ([b'{"p2re_export": 99}'], "a newer p2re_eval wrote this export"),
        ([b'{"p2re_export": 1}', b'{"write": "x"}'], "x.jsonl:2: this line of the export cannot"),
        ([b'{"p2re_export": 1}', b"{", b""], "x.jsonl:2: this line of the export cannot"),
    ],
)
def test_what_is_no_export_is_a_sentence(
    service: Service, lines: list[bytes], sentence: str
) -> None:
    with pytest.raises(StoreError, match=sentence):
        service.transfer.import_lines(lines, source="x.jsonl")


def test_a_backup_is_whole_private_and_comes_back(
    service: Service, runs: Any, tmp_path: Path
) -> None:
    """What was recorded after it is gone again, but kept beside."""
    fill(service, runs)
    before = content(service)
    target = tmp_path / "deep" / "copy.backup"
    assert service.transfer.back_up(target) == target.stat().st_size
    assert target.stat().st_mode & 0o777 == 0o600
    with pytest.raises(StoreError, match="there is a file already"):
        service.transfer.back_up(target)
    runs.record("later")
    kept = service.transfer.restore(target)
    assert content(service) == before
    assert kept is not None
    with open_store(kept, read_only=True) as store:
        assert len(Service(store).traces.list().items) == 6
    runs.record("and on it goes")
    assert len(service.traces.list().items) == 6


def test_what_is_no_backup_is_not_restored(service: Service, runs: Any, tmp_path: Path) -> None:
    runs.record()
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE x(y)")
    for path in (other, tmp_path / "absent"):
        with pytest.raises(StoreError):
            service.transfer.restore(path)
    assert len(service.traces.list().items) == 1


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, Path]:
    """Two databases that share a session, a prompt, an experiment, and a trace with judgements."""
    paths = tmp_path / "a.db", tmp_path / "b.db"
    shared: Trace | None = None
    for number, path in enumerate(paths):
        with open_store(path) as store:
            service, runs = Service(store), Runs(store)
            if shared is None:
                shared = runs.record("seen by both")
                fill(service, runs)
            else:
                for _ in range(20):  # other ids than those of the first
                    next(runs._numbers)
                store.finish_trace(shared).result()
                service.prompts.save(runs.template("Three"))
                service.prompts.save(runs.template("One"))
                service.prompts.label("route", "live", "4f6e65")
                runs.record("only here", session_id="chat")
                units = {"u": "calm", "only-b": "calm"}
                compare_tones(service, started_ns=4, status="RUNNING", units=units)
            judged = Evaluation(
                evaluation_id=f"j{number}", trace_id=shared.trace_id, name="polite", scorer="p",
                scorer_version="1", score=Score(value=number / 2), created_ns=number,
            )  # fmt: skip
            service.evaluations.create(judged)
    return paths


def merged(tmp_path: Path, name: str, *sources: Path) -> list[str]:
    with open_store(tmp_path / name) as store:
        service = Service(store)
        service.transfer.merge(sources)
        return content(service)


def test_a_merge_does_not_depend_on_the_order(two: tuple[Path, Path], tmp_path: Path) -> None:
    """A with B is B with A, also one after the other, also with one of them twice."""
    a, b = two
    both = merged(tmp_path, "ab.db", a, b)
    assert merged(tmp_path, "ba.db", b, a) == both
    assert merged(tmp_path, "aba.db", a, b, a) == both
    step = tmp_path / "step.db"
    merged(tmp_path, "step.db", a)
    with open_store(step) as store:
        service = Service(store)
        service.transfer.merge([b])
        again = service.transfer.merge([a, b])
        assert again == {}
        assert sorted(content(service)) == sorted(both)


def test_of_two_judgements_the_later_stays(two: tuple[Path, Path], tmp_path: Path) -> None:
    merged(tmp_path, "out.db", *two)
    with open_store(tmp_path / "out.db") as store:
        service = Service(store)
        [hit] = service.traces.search('"seen by both"').items
        [one] = service.traces.get(hit.row.trace_id).evaluations
        assert (one.evaluation_id, one.score and one.score.value) == ("j1", 0.5)
        report = service.statistics.report(StatsQuery(source=None))
        assert report.total.traces == len(service.traces.list().items) == 7


def test_ab_experiments_and_their_units_come_along(two: tuple[Path, Path], tmp_path: Path) -> None:
    """Of two of one name the first that was started stays, and a unit keeps what it got first."""
    merged(tmp_path, "out.db", *two)
    with open_store(tmp_path / "out.db") as store:
        found = store.read(lambda connection: list(online_lines(connection)))
    assert isinstance(found[0], KeepOnline)
    assert (found[0].experiment.name, found[0].experiment.started_ns) == ("tone", 4)
    assert found[1:] == [
        KeepUnit("tone", "only-a", "calm", 6),
        KeepUnit("tone", "only-b", "calm", 5),
        KeepUnit("tone", "u", "calm", 4),
    ]


def test_what_retention_took_is_counted_once(two: tuple[Path, Path], tmp_path: Path) -> None:
    """Each file's own count of what it let go travels under its name."""
    a, b = two
    for path in two:
        with open_store(path) as store:
            store.index_everything()
            row = store.list_traces(limit=1)[0].id
            store.change(lambda change, row=row: remove_rows(change.connection, [row], keep=True))
    with open_store(tmp_path / "out.db") as store:
        service = Service(store)
        for sources in ([a, b], [b], [b, a]):
            service.transfer.merge(sources)
            total = service.statistics.report(StatsQuery(source=None)).total
            assert total.traces == 7
        assert len(service.traces.list().items) == 5


def test_a_trace_that_one_file_let_go_of_and_another_holds_is_counted_once(
    two: tuple[Path, Path], tmp_path: Path
) -> None:
    """Neither merging again nor pruning the united file changes a chart; its judgement likewise."""
    a, b = two

    def counted(path: Path) -> tuple[int, float | None, list[tuple[str, int]]]:
        with open_store(path) as store:
            report = Service(store).statistics.report(StatsQuery(source=None))
            scores = [(one.name, one.evaluations) for one in report.scores]
            return report.total.traces, report.total.cost_usd, scores

    merged(tmp_path, "before.db", a, b)
    before = counted(tmp_path / "before.db")
    with open_store(a) as store:
        store.index_everything()
        shared = [row.id for row in store.list_traces() if row.input_preview == "seen by both"]
        store.change(lambda change: remove_rows(change.connection, shared, keep=True))
    for sources in ([a, b], [b], [b, a]):
        merged(tmp_path, "out.db", *sources)
        assert counted(tmp_path / "out.db") == before
    with open_store(tmp_path / "out.db") as store:
        store.index_everything()
        rows = [row.id for row in store.list_traces()]
        assert len(rows) == 7
        store.change(lambda change: remove_rows(change.connection, rows, keep=True))
        assert store.list_traces() == []
    assert counted(tmp_path / "out.db") == before
    merged(tmp_path, "again.db", tmp_path / "out.db", a)
    assert counted(tmp_path / "again.db") == before


def test_a_database_is_not_merged_into_itself(service: Service) -> None:
    with pytest.raises(StoreError, match="cannot be merged into itself"):
        service.transfer.merge([service.store.path])


def test_parquet_holds_the_documented_views(service: Service, runs: Any, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    fill(service, runs)
    written = service.transfer.write_parquet(tmp_path / "out")
    assert {path.name: rows for path, rows in written.items()} == {
        "traces.parquet": 5,
        "calls.parquet": 6,
        "evaluations.parquet": 3,
    }
    table = parquet.read_table(tmp_path / "out" / "traces.parquet")
    assert table.column("cost_usd").to_pylist() == [0.1, None, None, None, None]
    assert str(table.schema.field("start_ns").type) == "int64"
