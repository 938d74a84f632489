"""Full-text search finds what was asked and answered, and its index never goes wrong."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from p2re_eval.records import Message, ToolCall
from p2re_eval.store import Store, open_store
from p2re_eval.store.payloads import message_text
from p2re_eval.store.search import as_query


def found(store: Store, text: str, **options: Any) -> list[int]:
    return [row.id for row in store.search(text, **options)]


def check_index(database: Path) -> None:
    """SQLite compares the index with the texts it was made of; raises where they differ."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.create_function("message_text", 1, message_text, deterministic=True)
        connection.execute("INSERT INTO search(search, rank) VALUES ('integrity-check', 1)")


def test_words_of_the_prompt_and_the_answer_are_found_newest_first(
    store: Store, records: Any
) -> None:
    """All words must be there, in any message; what had ended before the call is seen by it."""
    for ticket, answer in (("Charged twice!", "billing"), ("No signal", "technical")):
        prompt = records.prompt("Route it.", ticket)
        store.finish_trace(records.answered(records.trace(prompt=prompt), text=answer))
    store.begin_trace(records.trace(prompt=records.prompt("charged"))).result()
    assert found(store, "charged BILLING") == [1]
    assert found(store, "route") == [2, 1]
    assert found(store, "route", limit=1) == [2]
    assert found(store, "charged technical") == []
    assert found(store, '"charged twice"') == [1]
    assert found(store, '"twice charged"') == []
    assert found(store, "charg*") == [1]
    assert found(store, "charg") == []


@pytest.mark.parametrize(
    ("typed", "query"),
    [
        ("a b", '"a" "b"'),
        ('say "a b', '"say" "a b"'),
        ("NOT (x) AND", '"NOT" "(x)" "AND"'),
        ("prompt:x", '"prompt:x"'),
        ("bill*", '"bill"*'),
        ('it"s', '"it""s"'),
        ("* - ( ) ^", ""),
        ("", ""),
    ],
)
def test_nothing_that_is_typed_is_a_syntax_error(store: Store, typed: str, query: str) -> None:
    """Operators of FTS5 are words like any other."""
    assert as_query(typed) == query
    assert store.search(typed) == []


def test_a_changed_answer_is_found_by_its_new_words_only(
    store: Store, records: Any, database: Path
) -> None:
    """Replacing an indexed answer takes the old words out with the text they came from."""
    begun = records.trace()
    store.finish_trace(records.answered(begun, text="technical")).result()
    assert found(store, "technical") == [1]
    store.finish_trace(records.answered(begun, text="billing")).result()
    assert found(store, "technical") == []
    assert found(store, "billing") == [1]
    check_index(database)


def test_replacing_what_is_not_indexed_yet_leaves_the_index_sound(
    store: Store, records: Any, database: Path
) -> None:
    """A delete of an entry that is not there would corrupt it: the watermark guards."""
    begun = records.trace()
    store.finish_trace(records.answered(begun, text="technical"))
    store.finish_trace(records.answered(begun, text="account"))
    store.finish_trace(records.answered(begun, text="billing")).result()
    assert found(store, "billing") == [1]
    assert found(store, "technical") == []
    check_index(database)


def test_the_next_opening_indexes_what_the_last_did_not(database: Path, records: Any) -> None:
    """The watermark is in the file; abandoned runs' prompts are found as well."""
    with open_store(database) as store:
        store.finish_trace(records.answered(text="billing"))
        store.begin_trace(records.trace(prompt=records.prompt("interrupted")))
    with open_store(database) as store:
        assert found(store, "billing") == [1]
        assert found(store, "interrupted") == [2]
        assert store.health().unindexed == 0
    check_index(database)


def test_tool_calls_parts_and_damaged_texts() -> None:
    """The index reads tool calls and text parts; what it cannot read, it skips."""
    call = ToolCall(id="1", name="refund", arguments='{"amount": 5}')
    message = Message(role="assistant", content="done", tool_calls=(call,))
    assert message_text(message.model_dump_json()) == 'done\nrefund {"amount": 5}'
    assert message_text('{"content": [{"type": "text", "text": "a"}, {"url": "b"}]}') == "a"
    assert message_text("not json") is None
    assert message_text(b"not zlib") is None
    assert message_text(None) is None


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(st.text(), min_size=1, max_size=4), st.text())
def test_the_index_says_what_the_tables_say_however_it_was_fed(
    tmp_path_factory: pytest.TempPathFactory, records: Any, asked: list[str], answer: str
) -> None:
    """The writer hands over the texts that it has just written; they are those that the tables
    give back, from which an entry is taken out again."""
    database = tmp_path_factory.mktemp("index") / "p2re.db"
    with open_store(database) as store:
        prompt = records.prompt(*asked, "key sk-proj-0123456789abcdefghijkl")
        for _ in range(2):
            store.finish_trace(records.answered(records.trace(prompt=prompt), text=answer))
        store.index_everything()
    check_index(database)


def test_the_index_forgets_a_text_that_another_process_has_replaced(
    database: Path, records: Any
) -> None:
    """A row's number may come again for another text: what was remembered no longer holds."""
    with open_store(database) as store:
        store.finish_trace(records.answered(records.trace(), text="crimson")).result()
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute(
                "UPDATE blobs SET body = replace(body, 'crimson', 'scarlet') "
                "WHERE typeof(body) = 'text'"
            )
        store.index_everything()
        assert (found(store, "crimson"), found(store, "scarlet")) == ([], [1])
    check_index(database)
