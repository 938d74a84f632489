"""``/sessions``: conversations with their totals, and their turns each said once."""

from __future__ import annotations

from fastapi import APIRouter, Response

from p2re_eval.server.api.parameters import Cursor, Id, Limit, Word
from p2re_eval.server.backend import Reading, answer
from p2re_eval.server.problems import RecordRoute
from p2re_eval.service.contracts import Page, SessionDetail, Turn
from p2re_eval.store.session_queries import SessionRow

router = APIRouter(prefix="/sessions", tags=["sessions"], route_class=RecordRoute)


@router.get("", response_model=Page[SessionRow], summary="List sessions")
def list_sessions(
    backend: Reading,
    user: Word = None,
    q: Word = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """The newest first, with their totals; `q` is looked for in name, id and user."""
    return answer(backend.service.sessions.list(user=user, text=q, limit=limit, cursor=cursor))


@router.get("/{session_id}", response_model=SessionDetail, summary="One session")
def get_session(backend: Reading, session_id: Id) -> Response:
    """With its totals."""
    return answer(backend.service.sessions.get(session_id))


@router.get("/{session_id}/turns", response_model=Page[Turn], summary="Its turns")
def list_turns(
    backend: Reading, session_id: Id, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """In the order of time; each holds only what no earlier turn has shown."""
    return answer(backend.service.sessions.turns(session_id, limit=limit, cursor=cursor))
