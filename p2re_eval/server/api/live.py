"""``/stream``: traces as they end, of any process, as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse

from p2re_eval.server.backend import Backend, Reading, json_text
from p2re_eval.server.problems import ApiRoute
from p2re_eval.service.looking import TraceItem

router = APIRouter(tags=["traces"], route_class=ApiRoute)

_POLL_S = 0.4
_BEAT_S = 15
_BATCH = 100


@router.get(
    "/stream",
    summary="Traces as they end",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def stream(
    request: Request,
    backend: Reading,
    after: Annotated[int | None, Query(ge=0, lt=1 << 63)] = None,
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> StreamingResponse:
    """Each event is a trace as lists show it; its id resumes a broken stream."""
    resumed = last_event_id if last_event_id and last_event_id.isdecimal() else None
    cursor = int(resumed) if resumed is not None and len(resumed) < 19 else after
    if cursor is None:
        cursor = await asyncio.to_thread(backend.store.newest_end)
    return StreamingResponse(_events(request, backend, cursor), media_type="text/event-stream")


async def _events(request: Request, backend: Backend, cursor: int) -> AsyncIterator[str]:
    quiet = 0.0
    yield f"retry: 2000\nid: {cursor}\nevent: ready\ndata: {{}}\n\n"
    while not backend.stopping() and not await request.is_disconnected():
        items, cursor = await asyncio.to_thread(_ended, backend, cursor)
        for item in items:
            yield f"id: {cursor}\nevent: trace\ndata: {json_text(item)}\n\n"
        if items:
            quiet = 0.0
            continue
        await asyncio.sleep(_POLL_S)
        quiet += _POLL_S
        if quiet > _BEAT_S:
            quiet = 0.0
            yield ": still here\n\n"


def _ended(backend: Backend, cursor: int) -> tuple[tuple[TraceItem, ...], int]:
    rows, after = backend.store.ended_after(cursor, limit=_BATCH)
    return backend.service.looking.items(rows), after
