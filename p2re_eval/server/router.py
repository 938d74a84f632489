"""The API as one router, for the web app and for any FastAPI application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import APIRouter, Depends, Request

from p2re_eval.server.access import Access
from p2re_eval.server.api import ROUTERS, otlp
from p2re_eval.server.backend import Backend
from p2re_eval.server.freshness import FROM_RECORD
from p2re_eval.server.problems import ApiProblem, Problem
from p2re_eval.store import Store

PREFIX = "/api/p2re"
_PROBLEM = {"model": Problem, "content": {"application/problem+json": {}}}


def p2re_router(
    store: Store | Path,
    *,
    root: Path | None = None,
    access: Access = Access(),  # noqa: B008 - frozen
    prefix: str = PREFIX,
) -> APIRouter:
    """The whole API below ``prefix``: ``app.include_router(p2re_router(Path("p2re.db")))``.

    ``root`` is the project whose prompts and suites are shown beside what was recorded.
    The default access answers to loopback names only; an application with a host name of its own
    passes ``Access(hosts=frozenset({"app.example.com"}))`` behind its own login, or a token.
    """
    return router_over(Backend(store, root=root, access=access), prefix=prefix)


def router_over(backend: Backend, *, prefix: str = PREFIX) -> APIRouter:
    """The same over a backend that somebody else made."""
    router = APIRouter(
        prefix=prefix,
        dependencies=[Depends(_guard(backend.access)), Depends(_giving(backend))],
        responses={"default": {**_PROBLEM, "description": "What went wrong"}},
        lifespan=backend.lifespan,
    )
    for part in ROUTERS:
        router.include_router(part)
    return router


def receiver_over(backend: Backend) -> APIRouter:
    """``/v1/traces`` at the root, where exporters send to unless they are told otherwise."""
    router = APIRouter(
        dependencies=[Depends(_guard(backend.access)), Depends(_giving(backend))],
        include_in_schema=False,
    )
    router.include_router(otlp.router)
    return router


def _guard(access: Access) -> Callable[[Request], Awaitable[None]]:
    async def guard(request: Request) -> None:
        refusal = access.refusal(request.method, request.headers)
        if refusal is not None:
            raise ApiProblem(refusal.status, refusal.why)

    return guard


def _giving(backend: Backend) -> Callable[[Request], Awaitable[None]]:
    async def give(request: Request) -> None:
        request.state.p2re = backend
        if getattr(request.state, FROM_RECORD, False):
            await backend.freshness.before(request)

    return give
