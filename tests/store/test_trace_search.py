"""Searches find what a reader of all traces would find, and look at no more than they must."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from p2re_eval.records import Fault, Score
from p2re_eval.service import Service
from p2re_eval.store import Store, trace_search
from p2re_eval.store.expression_sql import compile_expression

MOMENT = 1_700_000_000_000_000_000


class Clock:
    """Stands still, an hour after the first trace."""

    def now_ns(self) -> int:
        return MOMENT + 3_600_000_000_000

    def monotonic_ns(self) -> int:
        return 0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


@pytest.fixture
def service(store: Store, records: Any) -> Service:
    """1 small OK with a tag, 2 large OK dear, 3 small failed, 4 large OK in a suite, 5 running."""
    texts = ["refund please", "a refund of money", "parcel lost", "login broken", "refund again"]
    traces = [
        records.trace(
            prompt=records.prompt(text, name=["small", "large"][number % 2]).model_copy(
                update={"name": "route", "version": f"{number:x}" * 64}
            )
        )
        for number, text in enumerate(texts)
    ]
    priced = records.answered(traces[1], "refused").completion.model_copy(update={"cost_usd": 0.5})
    fault = Fault(kind="rate_limited", message="slow down")
    ended = [
        records.answered(
            traces[0].model_copy(update={"tags": ("vip", "eu"), "metadata": {"shop": "berlin"}})
        ),
        traces[1].model_copy(
            update={
                "status": "OK",
                "completion": priced,
                "end_ns": traces[1].start_ns + 2_000_000_000,
                "session_id": "chat",
            }
        ),
        traces[2].model_copy(
            update={"status": "ERROR", "fault": fault, "end_ns": traces[2].start_ns + 1}
        ),
        records.answered(traces[3].model_copy(update={"suite": "suites/a.yaml"}), "it's fixed"),
    ]
    for trace in ended:
        store.finish_trace(trace)
    store.begin_trace(traces[4])
    store.save_evaluations(
        [
            records.evaluation(ended[0].trace_id, "faithful", score=Score(value=0.2, passed=False)),
            records.evaluation(ended[1].trace_id, "faithful", score=Score(value=0.9, passed=True)),
            records.evaluation(
                ended[1].trace_id,
                "mood",
                kind="HUMAN",
                identifier="ann",
                score=Score(label="happy", explanation="nice words"),
            ),
        ]
    ).result()
    service = Service(store, Clock())
    service.traces.pin(ended[3].trace_id)
    return service


CASES = [
    ("", [5, 4, 3, 2, 1]),
    ('model == "openai/small"', [5, 3, 1]),
    ("model != openai/small", [4, 2]),
    ("model ~ LARGE", [4, 2]),
    ("model in (openai/large, openai/none)", [4, 2]),
    ("model not in (openai/large, openai/none)", [5, 3, 1]),
    ("status == error", [3]),
    ("status != OK", [5, 3]),
    ("status == OK", [4, 2, 1]),
    ("error == rate_limited", [3]),
    ("error == none", [5, 4, 2, 1]),
    ("error != none", [3]),
    ("suite != suites/a.yaml", [5, 3, 2, 1]),
    ("suite == none", [5, 3, 2, 1]),
    ("cost_usd > 0.01", [2]),
    ("cost_usd > $0.01 and cost_usd <= 0.5", [2]),
    ("cost_usd == none", [5, 4, 3, 1]),
    ("not cost_usd > 0.01", [5, 4, 3, 1]),
    ("total_tokens == 8", [4, 2, 1]),
    ("latency >= 2s", [2]),
    ("latency < 1ms", [4, 3, 1]),
    ("session == chat", [2]),
    ("tag == vip", [1]),
    ("tag != vip", [5, 4, 3, 2]),
    ("tag in (eu, us)", [1]),
    ("metadata.shop == berlin", [1]),
    ("pinned", [4]),
    ("pinned == false", [5, 3, 2, 1]),
    ("not pinned", [5, 3, 2, 1]),
    ("age < 2h", [5, 4, 3, 2, 1]),
    ("age < 30m", []),
    ('started < "2023-01-01"', []),
    ('started >= "2023-11-14T00:00:00+00:00"', [5, 4, 3, 2, 1]),
    ("version == " + "1" * 64, [2]),
    ("version == 1111111", [2]),
    ("version != 1111111", [5, 4, 3, 1]),
    ("version in (0000000, 3333333)", [4, 1]),
    ("version == v3", []),
    ("refund", [2, 1]),
    ("text ~ refund", [2, 1]),
    ("text !~ refund", [5, 4, 3]),
    ("not refund", [5, 4, 3]),
    ("refund money", [2]),
    ('"refund of money"', [2]),
    ("ref*", [2, 1]),
    ("input ~ refused", []),
    ("output ~ refused", [2]),
    ("it's", [4]),
    ('eval("faithful").score < 0.5', [1]),
    ("eval(faithful) > 0.5", [2]),
    ("eval(faithful).passed", [2]),
    ("eval(faithful).passed == false", [1]),
    ("eval(faithful)", [2, 1]),
    ("not eval(faithful)", [5, 4, 3]),
    ("eval(mood).label == happy and eval(mood).annotator == ann", [2]),
    ("eval(mood).kind == human eval(mood).explanation ~ nice", [2]),
    ("eval(faithful).error", []),
    ("refund or login", [4, 2, 1]),
    ("(refund or login) and model == openai/large", [4, 2]),
    ("status == OK and not (refund or pinned)", []),
    ('model == "openai/large" and cost_usd > 0.01 and eval("faithful").score < 1 '
     'and text ~ "refund"', [2]),
    ("id == " + "0" * 31 + "3", [3]),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), CASES, ids=[case[0] or "-" for case in CASES])
def test_what_is_found(service: Service, expression: str, expected: list[int]) -> None:
    """Newest first. Unknown values match no comparison but `!=` and `== none`."""
    page = service.traces.search(expression)
    assert [hit.row.id for hit in page.items] == expected
    assert page.next_cursor is None


@pytest.mark.parametrize("expression", [case[0] for case in CASES])
def test_every_plan_finds_the_same(
    service: Service, monkeypatch: pytest.MonkeyPatch, expression: str
) -> None:
    """Few matches are sorted, many are walked, and a page ends where its budget does."""
    whole = [hit.row.id for hit in service.traces.search(expression).items]
    for few, scan in ((1, 20_000), (1, 2), (1000, 2)):
        monkeypatch.setattr(trace_search, "FEW_ROWS", few)
        monkeypatch.setattr(trace_search, "SCAN_ROWS", scan)
        found, cursor = [], None
        while True:
            page = service.traces.search(expression, limit=1, cursor=cursor)
            found += [hit.row.id for hit in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert found == whole, (few, scan)


def test_snippets_show_the_words_that_were_found(service: Service) -> None:
    """With marks, so that each door can show them in its own way."""
    [hit] = service.traces.search("refused and model == openai/large").items
    [snippet] = hit.snippets
    assert (snippet.part, snippet.text, snippet.marks) == ("response", "refused", ((0, 7),))
    [first, second] = service.traces.search("refund or refused", limit=1).items[0].snippets
    assert (first.part, second.part) == ("prompt", "response")
    start, end = first.marks[0]
    assert first.text[start:end] == "refund"


def test_an_evaluation_nobody_gave_is_said(service: Service) -> None:
    """A misspelt name finds nothing, and the note says why."""
    page = service.traces.search('eval("faithfull").score < 1')
    assert page.items == ()
    assert page.note == "no evaluation is called 'faithfull'; did you mean 'faithful'?"


def test_a_full_scan_is_never_silent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an index the note says so, and each page looks at a bounded number."""
    monkeypatch.setattr(trace_search, "FEW_ROWS", 1)
    monkeypatch.setattr(trace_search, "SCAN_ROWS", 2)
    page = service.traces.search("cost_usd > 9")
    assert (page.items, page.next_cursor) == ((), "4")
    assert page.note is not None
    assert page.note.startswith("no index serves this expression: every trace is looked at (2")
    assert service.traces.search("model == openai/large").note is None
    crowded = service.traces.search("model == openai/small and cost_usd > 9").note
    assert crowded is not None
    assert crowded.startswith("many traces match 'model', and each is looked at")


@pytest.mark.parametrize(
    ("expression", "index"),
    [
        ("model == openai/small", "traces_by_model (model=?)"),
        ("session == chat and status == OK", "traces_of_session_in_time (session_id=?)"),
        ("tag == vip", "SEARCH g USING PRIMARY KEY (tag=?)"),
        ("refund", "SCAN search VIRTUAL TABLE INDEX"),
        ("eval(faithful).score < 0.5", "evaluations_by_name (name=? AND value<?)"),
        ("started > \"2023-01-01\"", "traces_by_start (start_ns>?)"),
        ("version == 1111111", "traces_by_version (prompt_version>? AND prompt_version<?)"),
        ("pinned", "traces_pinned"),
        ("status == ERROR", "traces_not_ok (status=?)"),
        ("id == 0a", "(trace_id=?)"),
    ],
)  # fmt: skip
def test_an_index_leads(service: Service, expression: str, index: str) -> None:
    """The plan begins with the rarest condition's index."""
    service.store.index_everything()
    wanted = compile_expression(expression, now_ns=MOMENT)

    def plan_of(connection: sqlite3.Connection) -> list[str]:
        asked: list[str] = []
        connection.set_trace_callback(asked.append)
        trace_search.search_traces(connection, wanted, limit=5)
        connection.set_trace_callback(None)
        [page] = [sql for sql in asked if "CROSS JOIN" in sql]
        return [row["detail"] for row in connection.execute(f"EXPLAIN QUERY PLAN {page}")]

    plan = service.store.read(plan_of)
    assert any(index in line for line in plan), plan
    assert not any(line.startswith("SCAN t") for line in plan), plan


def test_a_version_that_is_not_there(service: Service) -> None:
    """Numbers are git's, so the database alone has none."""
    page = service.traces.search("version == v20")
    assert (page.items, page.note) == (
        (),
        "no prompt of this database has a version 'v20'; a number is that of git: name one prompt "
        "beside it, in its project",
    )
    assert service.traces.search("version == prodution").note == (
        "no prompt of this database has a version 'prodution'; give the beginning of its hash, "
        "seven digits or more"
    )
