"""Results, evaluations, experiments and prompt versions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import (
    Experiment,
    Fault,
    GateVerdict,
    Place,
    PromptTemplate,
    Revision,
    Score,
    TemplateMessage,
    Usage,
)
from p2re_eval.store import Store

E1 = Experiment(experiment_id="e1", name="suites", started_ns=1, planned=3)


def test_a_result_comes_back_as_it_went_in(store: Store, records: Any) -> None:
    """Every field, with evaluations that scored and one that broke."""
    scored = records.evaluation(
        "t",
        score=Score(value=0.5, label="fair", passed=False, explanation="so so", metadata={"k": 1}),
        identifier="x",
        duration_ns=5,
        created_ns=9,
        weight=0.0,
        kind="LLM",
    )
    silent = records.evaluation("t", "length", score=Score())
    broken = records.evaluation(
        "t", "judge", score=None, fault=Fault(kind="scorer", message="boom")
    )
    result = records.result(
        4,
        prompt_version="v",
        tags=("refund",),
        cluster="c",
        outcome="error",
        value=0.5,
        trace_id="t",
        source="replay",
        recorded=True,
        fault=Fault(kind="server", message="x", status=500),
        evaluations=(scored, silent, broken),
        inputs_preview="in",
        output_preview="out",
        expected_preview="exp",
        usage=Usage(input_tokens=0),
        cost_usd=0.25,
        duration_ns=77,
        place=Place(path="suites/a.yaml", line=3),
        repeat=2,
    )
    store.save_result(result, result.evaluations).result()
    assert list(store.results("e1")) == [result]


def test_results_come_in_item_order_however_they_finished(store: Store, records: Any) -> None:
    """By suite, then position, over several pages; other experiments' are not among them."""
    for position in reversed(range(600)):
        store.save_result(records.result(position), [])
    store.save_result(records.result(0, suite="suites/0.yaml"), [])
    store.save_result(records.result(0, experiment_id="e2"), []).result()
    found = [(result.suite, result.position) for result in store.results("e1")]
    expected = [("suites/0.yaml", 0), *(("suites/a.yaml", position) for position in range(600))]
    assert found == expected
    assert list(store.results("nothing")) == []


def test_a_run_made_again_replaces_its_result(store: Store, records: Any) -> None:
    """One row a planned run: --lf inside an experiment does not count a case twice."""
    trace = records.answered()
    failed = records.evaluation(trace.trace_id, score=Score(value=0, passed=False))
    passed = records.evaluation(trace.trace_id)
    store.save_result(records.result(outcome="failed", trace_id=trace.trace_id), [failed])
    store.save_result(records.result(outcome="passed", trace_id=trace.trace_id), [passed]).result()
    [result] = store.results("e1")
    assert result.outcome == "passed"
    assert result.evaluations == (passed,)


def test_experiments_that_judge_one_cached_trace_do_not_disturb_each_other(
    store: Store, records: Any
) -> None:
    """What an experiment found stays, when a later one looks at the same trace."""
    first = records.evaluation("t", experiment_id="e1")
    second = records.evaluation("t", experiment_id="e2", score=Score(value=0, passed=False))
    human = records.evaluation("t", experiment_id=None, kind="HUMAN", name="note")
    store.save_result(records.result(trace_id="t"), [first])
    store.save_result(records.result(trace_id="t", experiment_id="e2"), [second])
    store.save_evaluations([human]).result()
    assert next(store.results("e1")).evaluations == (first,)
    assert next(store.results("e2")).evaluations == (second,)
    assert store.evaluations("t") == [first, second, human]


def test_the_newest_judgement_of_a_name_and_identifier_stays(store: Store, records: Any) -> None:
    """Upsert on (trace, name, identifier), also where no experiment is meant."""
    for identifier, value in (("ann", 0), ("bob", 1), ("ann", 1)):
        one = records.evaluation(
            "t", identifier=identifier, experiment_id=None, score=Score(value=value)
        )
        store.save_evaluations([one]).result()
    kept = store.evaluations("t")
    assert [(one.identifier, one.score and one.score.value) for one in kept] == [
        ("bob", 1),
        ("ann", 1),
    ]


def test_recordings_are_the_answers_in_item_order(store: Store, records: Any) -> None:
    """Cached answers of another experiment included, failures and strangers left out."""
    mine = records.answered(experiment_id="e1")
    cached = records.answered(experiment_id="e0")
    loose = records.answered(experiment_id="e1")
    failed = records.trace(
        status="ERROR", fault=Fault(kind="server", message="x"), experiment_id="e1"
    )
    stranger = records.answered(experiment_id="e2")
    for trace in (mine, cached, loose, failed, stranger):
        store.finish_trace(trace)
    for position, trace in ((2, mine), (1, cached), (0, failed)):
        store.save_result(records.result(position, trace_id=trace.trace_id), [])
    store.save_result(records.result(3, trace_id="f" * 32), []).result()
    assert list(store.recordings("e1")) == [cached, mine, loose]


def test_an_experiment_says_which_variants_it_ran(store: Store, records: Any, look: Any) -> None:
    """`assignments` has one row for each suite, prompt version and model."""
    for position in range(3):
        store.save_result(records.result(position, prompt_version="v1"), [])
    store.save_result(records.result(4, prompt_version="v2"), []).result()
    assert look("SELECT experiment_id, prompt, prompt_version, model FROM assignments") == [
        ("e1", "route_ticket", "v1", "openai/gpt-5-mini"),
        ("e1", "route_ticket", "v2", "openai/gpt-5-mini"),
    ]


def test_an_experiment_comes_back_started_and_finished(store: Store) -> None:
    """On disk when the call returns; verdicts and all."""
    started = E1.model_copy(
        update={
            "suites": ("suites/a.yaml",),
            "revision": Revision(commit="c" * 40, branch="main", dirty=True),
            "packages": {"p2re-eval": "0.1.0"},
            "settings": {"repeat": 3},
        }
    )
    store.start_experiment(started)
    assert store.read_experiment("e1") == started
    verdict = GateVerdict(
        gate="pass_rate >= 0.9", suite="suites/a.yaml", passed=None, value=None, explanation="?"
    )
    ended = started.model_copy(
        update={"status": "COMPLETE", "ended_ns": 9, "verdicts": (verdict,), "planned": 5}
    )
    store.finish_experiment(ended)
    assert store.read_experiment("latest") == ended


def test_a_late_start_does_not_undo_the_end(store: Store) -> None:
    """xdist workers all say that the experiment starts, some when it is over."""
    ended = E1.model_copy(update={"status": "COMPLETE", "ended_ns": 9})
    store.finish_experiment(ended)
    store.start_experiment(E1)
    assert store.list_experiments() == [ended]


def test_experiments_are_found_by_beginning_and_newest_first(store: Store) -> None:
    """`latest`, an id, or enough of it."""
    for name in ("aa1", "aa2", "b"):
        store.start_experiment(E1.model_copy(update={"experiment_id": name}))
    assert [one.experiment_id for one in store.list_experiments(2)] == ["b", "aa2"]
    assert store.read_experiment("latest").experiment_id == "b"
    assert store.read_experiment("aa1").experiment_id == "aa1"
    with pytest.raises(StoreError, match="begins more than one experiment"):
        store.read_experiment("a")
    with pytest.raises(NoSuchRecord, match="no experiment 'z'"):
        store.read_experiment("z")
    with pytest.raises(NoSuchRecord):
        store.read_experiment("")


def test_the_latest_of_nothing_is_a_sentence(store: Store) -> None:
    """No experiment yet: say what to do."""
    with pytest.raises(NoSuchRecord, match="run a suite with --p2re first"):
        store.read_experiment("latest")


def test_versions_are_numbered_kept_once_and_never_changed(
    store: Store, look: Any, database: Path
) -> None:
    """v1, v2 ... in the order of appearance; the database itself refuses a change."""
    template = PromptTemplate(
        name="route", version="1" * 64, messages=(TemplateMessage(role="user", content="{{ x }}"),)
    )
    newer = template.model_copy(update={"version": "2" * 64, "path": "prompts/route.yaml"})
    other = template.model_copy(update={"name": "greet"})
    for one in (template, newer, template, other):
        store.save_prompt_version(one).result()
    assert look(
        "SELECT t.name, v.number, substr(v.version, 1, 1), v.path FROM versions v "
        "JOIN prompt_templates t ON t.id = v.template ORDER BY v.id"
    ) == [
        ("route", 1, "1", None),
        ("route", 2, "2", "prompts/route.yaml"),
        ("greet", 1, "1", None),
    ]
    body = look("SELECT body FROM versions WHERE id = 2")[0][0]
    assert PromptTemplate.model_validate_json(body) == newer
    with closing(sqlite3.connect(database)) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="never changes"):
            connection.execute("UPDATE versions SET body = ''")
        with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
            connection.execute("DELETE FROM versions")
