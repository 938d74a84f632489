"""``/v1/traces``: an OTLP/HTTP receiver, so that any OpenTelemetry program is recorded."""

from __future__ import annotations

import asyncio
import os

from fastapi import APIRouter, Request, Response

from p2re_eval.errors import MalformedSpans
from p2re_eval.server.backend import Backend, Writing
from p2re_eval.server.otlp import Decoded, decoded, reply, unpacked
from p2re_eval.server.problems import ApiProblem, ApiRoute
from p2re_eval.tracing.hiding import Hiding
from p2re_eval.tracing.mapping import captured

_PROTOBUF, _JSON = "application/x-protobuf", "application/json"
_BYTES = {"schema": {"type": "string", "format": "binary"}}


class SpanRoute(ApiRoute):
    """A batch of spans is larger than any other body."""

    most_body = 16 * 1024 * 1024


router = APIRouter(tags=["receiver"], route_class=SpanRoute)


@router.post(
    "/v1/traces",
    summary="Receive spans",
    response_class=Response,
    responses={200: {"content": {_PROTOBUF: _BYTES, _JSON: {}}}},
    openapi_extra={"requestBody": {"content": {_PROTOBUF: _BYTES, _JSON: {}}, "required": True}},
)
async def receive(request: Request, backend: Writing) -> Response:
    """OTLP/HTTP, protobuf or JSON, gzip or not; on disk when the answer comes.

    A span whose id or time is none is counted in `partialSuccess`; the others are kept.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_PROTOBUF, _JSON}:
        raise ApiProblem(415, f"send spans as {_PROTOBUF} or {_JSON}")
    encoding = request.headers.get("content-encoding", "").strip().lower()
    body = await request.body()
    found = await asyncio.to_thread(_keep, backend, body, encoding, kind == _JSON)
    return Response(reply(found, as_json=kind == _JSON), media_type=kind)


def _keep(backend: Backend, body: bytes, encoding: str, as_json: bool) -> Decoded:
    try:
        found = decoded(unpacked(body, encoding), as_json=as_json)
    except MalformedSpans as error:
        raise ApiProblem(400, str(error)) from error
    if found.spans:
        hiding = Hiding.of(os.environ)
        spans = [captured(hiding(span)) for span in found.spans]
        backend.store.save_spans(spans).result()
    return found
