"""The web app and the API as one application."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from p2re_eval.server.access import COOKIE, Access
from p2re_eval.server.backend import Backend
from p2re_eval.server.pages import HEADERS, pages_router
from p2re_eval.server.problems import problem, problem_of
from p2re_eval.server.router import PREFIX, receiver_over, router_over
from p2re_eval.store import Store


def create_app(
    store: Store | Path,
    *,
    root: Path | None = None,
    access: Access = Access(),  # noqa: B008 - frozen
) -> FastAPI:
    """Everything that ``p2re serve`` serves."""
    app = FastAPI(
        title="p2re",
        summary="Traces, prompts, experiments and evaluations of one database.",
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    backend = app.state.backend = Backend(store, root=root, access=access)
    app.include_router(router_over(backend))
    app.include_router(receiver_over(backend))
    app.include_router(pages_router())
    for kind in (StarletteHTTPException, Exception):
        app.add_exception_handler(kind, _told)
    app.add_middleware(Guard, access=access)
    return app


async def _told(request: Request, error: Exception) -> Response:
    """Every error is a problem document; one that nobody meant is told without its details, which
    the log has."""
    if isinstance(error, StarletteHTTPException):
        return problem_of(error)
    return problem(500, "the server broke on this request; its log says where")


class Guard:
    """The first thing that a request meets: access, and headers on whatever is answered."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app = app
        self.access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        answer = self._answer(scope)
        await (self.app if answer is None else answer)(scope, receive, guarded)

    def _answer(self, scope: Scope) -> Response | None:
        """What ends the request here: a refusal, or the token of a link put into a cookie."""
        headers = Headers(scope=scope)
        refusal = self.access.refusal(scope["method"], headers)
        if refusal is None:
            return None
        given = parse_qs(scope["query_string"].decode("ascii", "replace")).get("token", [""])[0]
        with_it = {**headers, "authorization": f"Bearer {given}"}
        if refusal.status != 401 or scope["method"] != "GET" or not given:
            return problem(refusal.status, refusal.why)
        if self.access.refusal("GET", with_it) is not None:
            return problem(refusal.status, refusal.why)
        page = RedirectResponse("/" + scope["path"].lstrip("/\\"), status_code=303)
        page.set_cookie(COOKIE, given, httponly=True, samesite="strict", max_age=30 * 86400)
        return page
