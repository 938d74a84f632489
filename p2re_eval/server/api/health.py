"""``/health``: whether the database can be read, and what this server is willing to do."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response
from pydantic import BaseModel

from p2re_eval.server.backend import Reading, answer
from p2re_eval.server.problems import ApiRoute

router = APIRouter(tags=["server"], route_class=ApiRoute)


class Health(BaseModel):
    """What the web app asks first. ``database`` is the file's name, not its place."""

    status: str
    version: str
    database: str
    project: str | None
    read_only: bool
    write_files: bool
    newest: int


@router.get("/health", response_model=Health, summary="Is the database there")
def health(backend: Reading) -> Response:
    """`newest` counts what has ended: the cursor at which `/stream` would begin."""
    store = backend.store
    return answer(
        Health(
            status="ok",
            version=version("p2re-eval"),
            database=store.path.name,
            project=None if backend.root is None else backend.root.name,
            read_only=backend.access.read_only,
            write_files=backend.access.write_files,
            newest=store.newest_end(),
        )
    )
