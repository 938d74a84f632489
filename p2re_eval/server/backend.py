"""What the routes work with: the store, the project beside it, and what is allowed."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Request, Response
from pydantic import BaseModel
from pydantic_core import PydanticSerializationError

from p2re_eval.clock import SystemClock, new_trace_id
from p2re_eval.online import Online
from p2re_eval.online.assigning import Desk
from p2re_eval.plugins import installed_redact
from p2re_eval.project import layout
from p2re_eval.records import Evaluation
from p2re_eval.server.access import Access
from p2re_eval.server.freshness import Freshness
from p2re_eval.server.problems import ApiProblem
from p2re_eval.server.project import Project
from p2re_eval.service import Service
from p2re_eval.service.revisions import Revisions
from p2re_eval.store import Store, open_store


class Backend:
    """One database and one project, for the life of a router.

    A store that is given stays open when the application ends; one that is named by its path is
    opened with the first request and closed at the end.
    """

    def __init__(self, store: Store | Path, *, root: Path | None, access: Access) -> None:
        self.access = access
        self.root = root
        self.stopping: Callable[[], bool] = lambda: False
        self._given = store
        self._store = store if isinstance(store, Store) else None
        self.path = store.path if isinstance(store, Store) else store
        self._service: Service | None = None
        self._project: Project | None = None
        self._desk: Desk | None = None
        self._freshness: Freshness | None = None
        self._lock = threading.Lock()

    @property
    def store(self) -> Store:
        """The open store. Raises StoreError when it cannot be opened."""
        with self._lock:
            if self._store is None:
                assert isinstance(self._given, Path)
                read_only = self.access.read_only
                redact = None if read_only else installed_redact()
                self._store = open_store(self._given, read_only=read_only, redact=redact)
            return self._store

    @property
    def service(self) -> Service:
        """Everything recorded, by noun."""
        store = self.store
        if self._service is None:
            self._service = Service(store, revisions=Revisions(lambda: self.project))
        return self._service

    @property
    def freshness(self) -> Freshness:
        """Whether anything was written. Raises StoreError when the file cannot be opened."""
        path = self.store.path
        with self._lock:
            if self._freshness is None:
                self._freshness = Freshness(path)
            return self._freshness

    @property
    def online(self) -> Online:
        """The A/B experiments."""
        return Online(self.store, prompts=self.service.prompts)

    @property
    def desk(self) -> Desk:
        """Where units are assigned: it remembers definitions, so there is one."""
        with self._lock:
            if self._desk is None:
                self._desk = Desk(self.path)
            return self._desk

    @property
    def project(self) -> Project | None:
        """The prompts beside the database, where there are any."""
        if self.root is None or not layout(self.root).prompts.is_dir():
            return None
        with self._lock:
            if self._project is None:
                self._project = Project(self.root, self.path)
            return self._project

    @property
    def the_project(self) -> Project:
        """The same where nothing works without it."""
        found = self.project
        if found is None:
            raise ApiProblem(409, "this server shows no project; start it in one, or with --root")
        return found

    def judged(self, trace_id: str, **given: Any) -> Evaluation:
        """An evaluation of a trace that is there. Raises NoSuchRecord, StoreError (ambiguous)."""
        now_ns = SystemClock().now_ns()
        return Evaluation(
            evaluation_id=new_trace_id(now_ns),
            trace_id=self.service.looking.head(trace_id).trace.trace_id,
            created_ns=now_ns,
            **given,
        )

    @asynccontextmanager
    async def lifespan(self, _: Any) -> AsyncIterator[None]:
        """Closes what was opened here."""
        yield
        for part in (self._project, self._desk, self._freshness):
            if part is not None:
                part.close()
        with self._lock:
            self._freshness = None
            if self._store is not None and self._store is not self._given:
                self._store.close()
                self._store, self._service = None, None

    def may_write(self) -> None:
        """Raises a problem where this server only shows."""
        if self.access.read_only:
            raise ApiProblem(403, "this server only shows: it was started with --read-only")


# Not plain functions: FastAPI would send each of them to a thread of its own and back.
async def _backend(request: Request) -> Backend:
    found: Backend = request.state.p2re
    return found


async def _writing(request: Request) -> Backend:
    backend: Backend = request.state.p2re
    backend.may_write()
    return backend


Reading = Annotated[Backend, Depends(_backend)]
Writing = Annotated[Backend, Depends(_writing)]


def answer(model: BaseModel, status: int = 200) -> Response:
    """A record as a response; FastAPI would validate what is known to be right."""
    return Response(json_text(model), status_code=status, media_type="application/json")


def json_text(model: BaseModel) -> str:
    """The record as JSON; half a character that a model said stays what it is, as an escape."""
    try:
        return model.model_dump_json()
    except PydanticSerializationError:
        return json.dumps(model.model_dump(mode="json"))
