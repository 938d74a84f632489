"""Conversations: totals, order, and each turn shown once."""

from __future__ import annotations

from typing import Any

import pytest

from p2re_eval.errors import NoSuchRecord, StoreError, UsageError
from p2re_eval.records import Fault, Message, Session
from p2re_eval.service import Service
from p2re_eval.service.transcript import unseen

SYSTEM = Message(role="system", content="Be kind.")


def said(role: Any, text: str) -> Message:
    return Message(role=role, content=text)


def converse(runs: Any, session_id: str, *turns: tuple[str, str]) -> None:
    """A program that sends the whole conversation with every turn."""
    messages = [SYSTEM]
    for question, answer in turns:
        messages.append(said("user", question))
        prompt = runs.prompt().model_copy(update={"messages": tuple(messages)})
        runs.record(answer, prompt=prompt, session_id=session_id, cost_usd=0.01)
        messages.append(said("assistant", answer))


def test_a_transcript_shows_each_turn_once(service: Service, runs: Any) -> None:
    """Even a word that is said twice, and across pages."""
    converse(runs, "chat", ("Hi", "Hello"), ("yes", "ok"), ("yes", "sure"), ("bye", "bye"))
    shown = [
        ([message.content for message in turn.messages], turn.answer and turn.answer.content)
        for turn in service.sessions.transcript("chat")
    ]
    assert shown == [
        (["Be kind.", "Hi"], "Hello"),
        (["yes"], "ok"),
        (["yes"], "sure"),
        (["bye"], "bye"),
    ]
    paged, cursor = [], None
    while True:
        page = service.sessions.turns("chat", limit=1, cursor=cursor)
        paged += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(paged) == tuple(service.sessions.transcript("chat"))
    assert [turn.number for turn in paged] == [1, 2, 3, 4]


def test_turns_are_in_the_order_of_time(service: Service, runs: Any) -> None:
    """A clock that went backwards, or a late import, does not shuffle them."""
    runs.record("second", session_id="chat", start_ns=200)
    runs.record("first", session_id="chat", start_ns=100)
    answers = [turn.answer and turn.answer.content for turn in service.sessions.turns("chat").items]
    assert answers == ["first", "second"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("s u1 a1 u2", "u2"),
        ("s a1 u2", "u2"),
        ("s u2", "u2"),
        ("s u1 other u2", "other u2"),
        ("u1", "u1"),
        ("s", ""),
    ],
)
def test_what_is_new_after_a_turn(asked: str, expected: str) -> None:
    """Whole history, a window of it, none of it, an answer that was edited, a question again."""
    words = {"s": SYSTEM, "other": said("assistant", "edited")}
    words |= {f"u{n}": said("user", f"u{n}") for n in (1, 2)} | {"a1": said("assistant", "a1")}
    shown = [SYSTEM, words["u1"], words["a1"]]
    found = unseen([words[word] for word in asked.split()], shown)
    if asked == "u1":
        assert found == ()
    else:
        assert found == tuple(words[word] for word in expected.split())


def test_totals_say_what_is_unknown(service: Service, runs: Any) -> None:
    runs.record(session_id="chat", cost_usd=0.25)
    runs.record(session_id="chat")
    fault = Fault(kind="server", message="down")
    runs.record(session_id="chat", status="ERROR", completion=None, fault=fault)
    service.sessions.save(Session(session_id="chat", started_ns=5, user="u7", name="Refund"))
    totals = service.sessions.get("chat").totals
    assert (totals.traces, totals.errors, totals.cost_usd, totals.unpriced) == (3, 1, 0.25, 2)
    assert (totals.input_tokens, totals.first_input) == (20, "I was charged twice.")
    [row] = service.sessions.list(user="u7").items
    assert row == totals
    assert service.sessions.list(user="u8").items == ()


def test_a_session_is_found_by_its_beginning(service: Service) -> None:
    for name in ("chat-1", "chat-12", "talk"):
        service.sessions.save(Session(session_id=name, started_ns=1))
    assert service.sessions.get("ta").session.session_id == "talk"
    assert service.sessions.get("chat-1").session.session_id == "chat-1"
    with pytest.raises(StoreError, match="begins more than one session"):
        service.sessions.get("chat")
    with pytest.raises(NoSuchRecord, match="no session 'x'"):
        service.sessions.get("x")
    with pytest.raises(UsageError, match="is no cursor"):
        service.sessions.turns("talk", cursor="nonsense")
