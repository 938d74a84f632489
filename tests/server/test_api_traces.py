"""Traces through the API: lists, searches, parts of one trace, changes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from p2re_eval.records import Session
from p2re_eval.store import open_store


def ids(answer: Any) -> list[str]:
    return [item["row"]["trace_id"] for item in answer.json["items"]]


def test_lists_walk_page_by_page_to_the_end(served: Any, record: Any) -> None:
    made = [record.trace().trace_id for _ in range(5)]
    seen, cursor = [], ""
    for size in (2, 2, 1):
        page = served.get(f"/traces?limit=2{cursor}")
        assert len(page.json["items"]) == size
        seen += ids(page)
        cursor = f"&cursor={page.json['next_cursor']}"
    assert seen == made[::-1]
    assert page.json["next_cursor"] is None


def test_rows_carry_their_scores(served: Any, record: Any) -> None:
    trace = record.trace()
    record.evaluation(trace, "equals", passed=False)
    item = served.get("/traces").json["items"][0]
    assert item["scores"] == [
        {"name": "equals", "value": 0.0, "label": None, "passed": False, "broke": False}
    ]


def test_filters_narrow(served: Any, record: Any) -> None:
    record.trace()
    other = record.trace(model="local/tiny")
    failed = record.trace(None)
    assert ids(served.get("/traces?model=local/tiny")) == [other.trace_id]
    assert ids(served.get("/traces?status=ERROR")) == [failed.trace_id]
    assert served.get("/traces?status=WRONG").status == 422


def test_a_search_joins_words_with_filters(served: Any, record: Any) -> None:
    found = record.trace("refund", asked="My \u20ac card", model="local/tiny")
    record.trace("refund")
    query = quote("output ~ refund and latency < 1s")
    page = served.get(f"/traces?q={query}&model=local/tiny")
    assert ids(page) == [found.trace_id]
    assert page.json["items"][0]["snippets"] == [
        {"part": "response", "text": "refund", "marks": [[0, 6]]}
    ]
    assert ids(served.get(f"/traces?q={query}&model=%22")) == []


def test_a_wrong_search_is_shown_where_it_is_wrong(served: Any) -> None:
    """The filters that were joined to it do not show in the message."""
    answer = served.get(f"/traces?status=OK&q={quote('status == OK and modle == a')}")
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    line, mark = answer.json["detail"].splitlines()
    assert line == "status == OK and modle == a"
    assert mark == "                 ^ unknown field 'modle'; did you mean 'model'?"


def test_facets_count_the_newest(served: Any, record: Any) -> None:
    record.trace()
    record.trace()
    record.trace(model="local/tiny")
    answer = served.get("/traces/facets").json
    assert answer["facets"]["model"] == [
        {"value": "openai/gpt-5-mini", "count": 2},
        {"value": "local/tiny", "count": 1},
    ]
    assert answer["fields"]["cost_usd"] == "US dollars"


def test_the_head_of_a_trace_comes_without_its_spans(served: Any, record: Any) -> None:
    agent = record.agent(spans=4)
    record.evaluation(agent)
    head = served.get(f"/traces/{agent.trace_id}").json
    assert head["span_count"] == 4
    assert head["trace"]["spans"] == []
    assert head["trace"]["completion"]["text"] == "It was **charged twice**."
    assert [one["name"] for one in head["evaluations"]] == ["equals"]
    assert head["pinned_ns"] is None


def test_the_tree_is_columns_with_parents_first(served: Any, record: Any) -> None:
    agent = record.agent(spans=3)
    tree = served.get(f"/traces/{agent.trace_id}/tree").json
    assert tree["ids"] == [agent.span_id, *(f"{number:016x}" for number in (1, 2, 3))]
    assert tree["parents"] == [0, 0, 1, 2]
    assert [tree["names"][at] for at in tree["name"]] == ["agent", "step 1", "step 2", "step 3"]
    assert [tree["kinds"][at] for at in tree["kind"]] == ["LLM", "TOOL", "LLM", "TOOL"]
    assert [tree["statuses"][at] for at in tree["status"]] == ["OK", "OK", "OK", "ERROR"]
    assert tree["start"] == [0, 1000, 2000, 3000]
    assert tree["duration"] == [100_000, 5000, 5000, 5000]


def test_payloads_come_span_by_span(served: Any, record: Any) -> None:
    agent = record.agent()
    span = served.get(f"/traces/{agent.trace_id}/spans/{2:016x}").json
    assert span["completion"]["text"] == "a child's answer"
    assert span["attributes"] == {"step": 2}
    missing = served.get(f"/traces/{agent.trace_id}/spans/{99:016x}")
    assert missing.status == 404


def test_spans_are_found_by_what_they_say(served: Any, record: Any) -> None:
    agent = record.agent()
    found = served.get(f"/traces/{agent.trace_id}/find?q=CHARGED").json
    assert found == {"ids": [f"{2:016x}"]}
    assert served.get(f"/traces/{agent.trace_id}/find?q=%22step%22").json["ids"] != []
    assert served.get(f"/traces/{agent.trace_id}/find?q=nowhere").json == {"ids": []}


def test_unknown_and_ambiguous_ids_are_problems(served: Any, record: Any) -> None:
    record.trace()
    record.trace()
    missing, two = served.get("/traces/ffff"), served.get("/traces/0000")
    assert (missing.status, missing.json["title"]) == (404, "Not found")
    assert "no trace has the id 'ffff'" in missing.json["detail"]
    assert two.status == 409
    assert "begins more than one trace" in two.json["detail"]


def test_pins_and_tags_are_kept(served: Any, record: Any) -> None:
    path = f"/api/p2re/traces/{record.trace().trace_id}"
    assert served.ask("PUT", f"{path}/pin", json_body={"pinned": True}).json == {"pinned": True}
    tags = served.ask("POST", f"{path}/tags", json_body={"add": ["keep", "odd"]})
    assert tags.json == {"tags": ["keep", "odd"]}
    served.ask("POST", f"{path}/tags", json_body={"remove": ["odd"]})
    item = served.get("/traces").json["items"][0]["row"]
    assert item["tags"] == ["keep"]
    assert item["pinned_ns"] is not None


def test_deleted_traces_are_gone(served: Any, record: Any) -> None:
    one, two, three = (record.trace().trace_id for _ in range(3))
    assert served.ask("DELETE", f"/api/p2re/traces/{one}").json == {"deleted": 1}
    none = served.post("/traces/delete", {"trace_ids": [two, "f" * 32]})
    assert none.status == 404
    assert ids(served.get("/traces")) == [three, two]
    assert served.post("/traces/delete", {"trace_ids": [two, three]}).json == {"deleted": 2}


def test_a_trace_is_exported_whole(served: Any, record: Any) -> None:
    agent = record.agent()
    as_json = served.get(f"/traces/{agent.trace_id}/export?form=json")
    assert len(as_json.json["trace"]["spans"]) == 4
    as_html = served.get(f"/traces/{agent.trace_id}/export")
    assert as_html.headers["content-disposition"] == (
        f'attachment; filename="trace-{agent.trace_id[:12]}.html"'
    )
    assert b"a child's answer" in as_html.body


def test_polling_an_unchanged_trace_costs_a_304(served: Any, record: Any) -> None:
    path = f"/traces/{record.trace().trace_id}"
    first = served.get(path)
    again = served.get(path, If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    record.evaluation(record.store.read_trace(f"{1:032x}"))
    assert served.get(path, If_None_Match=first.headers["etag"]).status == 200


def test_polling_notices_what_any_process_wrote(served: Any, record: Any) -> None:
    """The tag of a list stands for the state of the file, and for what was answered in it."""
    record.trace()
    served.store.index_everything()  # which is written too, a moment after the trace
    first = served.get("/traces")
    tag = first.headers["etag"]
    kept = served.get("/traces")
    assert (kept.json, kept.headers["etag"]) == (first.json, tag)
    assert served.get("/traces", If_None_Match=tag).status == 304
    with open_store(served.store.path) as other:
        other.start_session(Session(session_id="chat", started_ns=1)).result()
    same = served.get("/traces", If_None_Match=tag)  # written elsewhere, but not to this list
    assert (same.status, same.headers["etag"] != tag) == (304, True)
    record.trace()
    changed = served.get("/traces", If_None_Match=same.headers["etag"])
    assert (changed.status, len(changed.json["items"])) == (200, 2)


def test_a_kept_answer_is_refused_like_any_other(serve: Any, record: Any) -> None:
    """Who may not ask hears nothing, however often others did."""
    record.trace()
    served = serve(token="secret-token")
    first = served.get("/traces", Authorization="Bearer secret-token")
    assert first.status == 200
    assert served.get("/traces", If_None_Match=first.headers["etag"]).status == 401
    assert served.get("/traces").status == 401


def test_the_same_question_of_many_at_once_is_answered_to_all(served: Any, record: Any) -> None:
    """They share an answer; one that comes to nothing leaves nobody waiting."""
    for _ in range(30):
        record.trace()
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(served.get, ["/traces?limit=30"] * 32 + ["/traces?cursor=x"] * 16))
    assert [answer.status for answer in found] == [200] * 32 + [422] * 16
    assert {len(answer.json["items"]) for answer in found[:32]} == {30}


def test_an_export_is_a_download_every_time(served: Any, record: Any) -> None:
    path = f"/traces/{record.trace().trace_id}/export?form=json"
    for _ in range(2):
        assert "attachment" in served.get(path).headers["content-disposition"]


def test_half_a_character_is_shown_as_an_escape(served: Any, record: Any) -> None:
    """Models cut emoji in two; that must not take the page away."""
    trace_id = record.trace("cut \ud83d here").trace_id
    head = served.get(f"/traces/{trace_id}")
    assert head.json["trace"]["completion"]["text"] == "cut \ud83d here"
    assert b"\\ud83d" in head.body
    assert served.get(f"/traces/{trace_id}/export").status == 200
    assert served.get("/traces").status == 200


def test_two_traces_are_compared(served: Any, record: Any) -> None:
    before, after = record.trace("account"), record.trace("billing", asked="I was charged once.")
    record.evaluation(before, passed=False)
    record.evaluation(after, passed=True)
    found = served.get(f"/traces/compare?a={before.trace_id}&b={after.trace_id}").json
    assert (found["before"]["trace_id"], found["after"]["name"]) == (before.trace_id, "route")
    assert [one["presence"] for one in found["messages"]] == ["same", "changed"]
    assert found["answer"]["before"] == [{"text": "account", "changed": True}]
    (equals,) = found["evaluations"]
    assert (equals["name"], equals["flipped"]) == ("equals", True)
    assert served.get(f"/traces/compare?a={before.trace_id}&b=ffff").status == 404
    assert served.get(f"/traces/compare?a={before.trace_id}").status == 422


def test_facets_count_what_was_just_written(served: Any, record: Any) -> None:
    """Asked again at once: an answer is kept only until something is written."""
    record.trace()
    counts = []
    for _ in range(2):
        served.store.index_everything()
        found = served.get("/traces/facets").json["facets"]["status"]
        counts.append([(one["value"], one["count"]) for one in found])
        record.trace()
    assert counts == [[("OK", 1)], [("OK", 2)]]
