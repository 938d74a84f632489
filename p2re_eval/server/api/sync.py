"""``/sync``: how every system that the database is kept in step with stands."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from p2re_eval.bridges.standing import Standing, standings
from p2re_eval.server.backend import Reading, answer
from p2re_eval.server.problems import ApiRoute

router = APIRouter(prefix="/sync", tags=["sync"], route_class=ApiRoute)


class Standings(BaseModel):
    """Every target that was ever synced with."""

    items: list[Standing]


@router.get("", response_model=Standings, summary="Lag and failures of each target")
def sync_status(backend: Reading) -> Response:
    """From the database alone: no target is asked. `p2re sync` does the work."""
    return answer(Standings(items=standings(backend.store)))
