"""Errors as RFC 9457 problem documents, and the route class that makes them.

The route class carries everything that must also hold where a host application mounts the router:
problems, the limit of a body, ETags and the headers that keep answers private.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import Message, Receive

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    GitError,
    MissingExtra,
    NoSuchRecord,
    NotAllowed,
    P2REError,
    RenderError,
    StoreError,
    StoreFull,
    StoreLocked,
    StoreReadOnly,
    UsageError,
)
from p2re_eval.server.freshness import FROM_RECORD, Unchanged, same_answer, tag_of

MOST_BODY = 1024 * 1024
"""Bytes that a request may carry; the receiver of spans has its own limit."""
_TITLES = {
    400: "Bad request",
    401: "Token needed",
    403: "Refused",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    421: "Wrong host",
    422: "Invalid request",
    503: "Busy",
    507: "Disk full",
}
_STATUS_OF: tuple[tuple[type[P2REError], int], ...] = (
    (NoSuchRecord, 404),
    (StoreReadOnly, 403),
    (StoreLocked, 503),
    (StoreFull, 507),
    (StoreError, 409),
    (NotAllowed, 409),
    (UsageError, 422),
    (RenderError, 422),
    (DefinitionError, 422),
    (DefinitionErrors, 422),
    (GitError, 409),
    (MissingExtra, 501),
)
PRIVATE = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "private, no-cache",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}


class Problem(BaseModel):
    """An RFC 9457 problem document: what every error of the API looks like."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, Any]] = Field(default_factory=list)


class ApiProblem(Exception):
    """Raised by a route: ends the request with this status and sentence."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class ApiRoute(APIRoute):
    """A route whose errors are problems, whose bodies are limited and whose answers have ETags."""

    most_body = MOST_BODY
    from_record = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def handler(request: Request) -> Response:
            setattr(request.state, FROM_RECORD, self.from_record and _asks_record(request))
            try:
                try:
                    response = await handle(limited(request, self.most_body))
                except Unchanged as found:
                    response = found.response
                except Exception as error:  # noqa: BLE001 - what nobody meant is raised again
                    response = problem_of(error)
                for name, value in PRIVATE.items():
                    response.headers.setdefault(name, value)
                return _tagged(request, response)
            finally:
                if hasattr(request.state, "p2re_asking"):
                    request.state.p2re.freshness.after(request)

        return handler


def limited(request: Request, most: int) -> Request:
    """The request, whose body ends in a problem where it grows beyond ``most`` bytes."""
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit() or int(declared) > most:
        raise ApiProblem(413, f"the body may have at most {most} bytes")
    return Request(request.scope, _counted(request.receive, most))


def _counted(receive: Receive, most: int) -> Receive:
    seen = 0

    async def counting() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > most:
            raise ApiProblem(413, f"the body may have at most {most} bytes")
        return message

    return counting


def problem_of(error: Exception) -> Response:
    """The problem document of an exception; one that nobody meant is raised again."""
    if isinstance(error.__cause__, ApiProblem):
        error = error.__cause__  # FastAPI wraps what a body raises while it is read
    if isinstance(error, ApiProblem):
        return problem(error.status, error.detail)
    if isinstance(error, RequestValidationError):
        return _invalid(error)
    if isinstance(error, HTTPException | StarletteHTTPException):
        return problem(error.status_code, str(error.detail))
    if isinstance(error, P2REError):
        status = next((code for kind, code in _STATUS_OF if isinstance(error, kind)), 500)
        return problem(status, str(error))
    raise error


def problem(status: int, detail: str, errors: list[dict[str, Any]] | None = None) -> Response:
    """A response that is a problem document."""
    document = Problem(
        title=_TITLES.get(status, "Error"), status=status, detail=detail, errors=errors or []
    )
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return Response(
        document.model_dump_json(exclude_defaults=True),
        status_code=status,
        media_type="application/problem+json",
        headers=headers,
    )


def _invalid(error: RequestValidationError) -> Response:
    """Where and what, without echoing the input back."""
    found = [
        {"where": ".".join(str(step) for step in one["loc"]), "what": one["msg"]}
        for one in error.errors()
    ]
    said = "; ".join(f"{one['where']}: {one['what']}" for one in found[:3])
    return problem(422, said or "the request is not understood", found)


class RecordRoute(ApiRoute):
    """A route whose GET answers come from the database alone: asked again they cost nothing until
    something is written."""

    from_record = True


def _asks_record(request: Request) -> bool:
    """A search may say "the last hour": its answer changes with the clock."""
    return request.method == "GET" and "q" not in request.query_params


def _tagged(request: Request, response: Response) -> Response:
    """A GET that would be answered as before is answered 304."""
    body = getattr(response, "body", None)
    if request.method != "GET" or response.status_code != 200 or not isinstance(body, bytes):
        return response
    if "ETag" not in response.headers:
        state = getattr(request.state, "p2re_state", "")
        response.headers["ETag"] = tag_of(body, state)
        if state and "content-disposition" not in response.headers:
            request.state.p2re.freshness.keep(request, body, response.media_type)
    tag = response.headers["ETag"]
    if not same_answer(tag, request):
        return response
    kept = {name: response.headers[name] for name in ("ETag", *PRIVATE)}
    return Response(status_code=304, headers=kept)
