"""Sessions: conversations with totals, their turns in order, each said once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from p2re_eval.records import Message, Session, Trace
from p2re_eval.service.contracts import (
    Page,
    SessionDetail,
    Turn,
    bad_cursor,
    cursor_number,
    next_by_id,
    page_size,
)
from p2re_eval.service.transcript import answer_of, unseen
from p2re_eval.store import Store, removal, session_queries
from p2re_eval.store.session_queries import SessionRow, TurnPlace


class Sessions:
    """Every conversation of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(
        self,
        *,
        user: str | None = None,
        text: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[SessionRow]:
        """The newest first; ``text`` is looked for in name, id and user."""
        size, before = page_size(limit), cursor_number(cursor)
        rows = self._store.read(
            lambda connection: session_queries.list_sessions(
                connection, limit=size, before=before, user=user, text=text
            )
        )
        return Page(items=tuple(rows), next_cursor=next_by_id([row.id for row in rows], size))

    def get(self, session_id: str) -> SessionDetail:
        """The session whose id is or begins so. Raises NoSuchRecord, StoreError (ambiguous)."""
        path = self._store.path
        session, totals = self._store.read(
            lambda connection: session_queries.read_session(connection, session_id, path)
        )
        return SessionDetail(session=session, totals=totals)

    def save(self, session: Session) -> None:
        """Describe a session, new or known."""
        self._store.start_session(session).result()

    def delete(self, session_id: str) -> None:
        """Its traces stay, each for itself. Raises NoSuchRecord, StoreError (ambiguous)."""
        whole = self.get(session_id).session.session_id
        self._store.change(lambda change: removal.delete_session(change.connection, whole))

    def turns(self, session_id: str, *, limit: int = 50, cursor: str | None = None) -> Page[Turn]:
        """The traces in the order of time; each holds only what no earlier turn has shown.

        Raises NoSuchRecord, StoreError (ambiguous).
        """
        path = self._store.path
        whole = self._store.read(
            lambda connection: session_queries.whole_id(connection, session_id, path)
        )
        size, (number, after) = page_size(limit), _place(cursor)
        places = self._store.read(
            lambda connection: session_queries.turns(connection, whole, limit=size, after=after)
        )
        turns = tuple(self._turns(whole, places, number))
        more = None
        if len(places) == size:
            more = f"{number + size}.{places[-1].start_ns}.{places[-1].id}"
        return Page(items=turns, next_cursor=more)

    def transcript(self, session_id: str) -> Iterator[Turn]:
        """Every turn, read page by page."""
        cursor = None
        while True:
            page = self.turns(session_id, cursor=cursor)
            yield from page.items
            cursor = page.next_cursor
            if cursor is None:
                return

    def _turns(self, session_id: str, places: Sequence[TurnPlace], number: int) -> Iterator[Turn]:
        if not places:
            return
        first = places[0]
        before = self._store.read(
            lambda connection: session_queries.turn_before(connection, session_id, first)
        )
        shown = [] if before is None else _said(self._store.read_trace(before))
        for place in places:
            trace = self._store.read_trace(place.trace_id)
            number += 1
            yield _turn(trace, number, unseen(trace.prompt.messages, shown))
            shown = _said(trace)


def _said(trace: Trace) -> list[Message]:
    answer = answer_of(trace)
    return [*trace.prompt.messages, *([answer] if answer is not None else [])]


def _turn(trace: Trace, number: int, messages: tuple[Message, ...]) -> Turn:
    completion = trace.completion
    measured = {} if completion is None else {"usage": completion.usage}
    return Turn(
        number=number,
        trace_id=trace.trace_id,
        name=trace.name,
        start_ns=trace.start_ns,
        duration_ns=None if trace.end_ns is None else trace.end_ns - trace.start_ns,
        model=trace.prompt.model.id,
        messages=messages,
        answer=answer_of(trace),
        fault=trace.fault,
        cost_usd=None if completion is None else completion.cost_usd,
        **measured,
    )


def _place(cursor: str | None) -> tuple[int, tuple[int, int] | None]:
    """How many turns were shown, and the (start, row) of the last: ``NUMBER.START.ROW``."""
    if cursor is None:
        return 0, None
    parts = cursor.split(".")
    if len(parts) != 3 or not all(part.removeprefix("-").isdecimal() for part in parts):
        raise bad_cursor(cursor)
    return int(parts[0]), (int(parts[1]), int(parts[2]))
