"""The files of the web app, read once into memory: no request ever names a path on disk."""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from p2re_eval.viewer import FILES as VIEWER

HERE = Path(__file__).parent / "static"
_NOT_PAGES = frozenset({"api", "v1"})
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
    "Cache-Control": "no-cache",
}


@dataclass(frozen=True)
class _File:
    body: bytes
    type: str
    tag: str


def _read(path: Path) -> _File:
    body = path.read_bytes()
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "text/plain"
    tag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
    return _File(body, f"{kind}; charset=utf-8", tag)


def static_files() -> dict[str, _File]:
    """Every file by the name under which it is asked for."""
    found = {}
    for folder, prefix in ((HERE, ""), (VIEWER, "viewer/")):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                found[prefix + path.relative_to(folder).as_posix()] = _read(path)
    return found


def pages_router() -> APIRouter:
    """``/static/...``, and the shell of the app under every address that it routes itself."""
    files = static_files()
    router = APIRouter(include_in_schema=False)

    def answer(request: Request, file: _File) -> Response:
        headers = {**HEADERS, "ETag": file.tag}
        if file.tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        return Response(file.body, media_type=file.type, headers=headers)

    @router.get("/static/{name:path}")
    async def static(request: Request, name: str) -> Response:
        file = files.get(name)
        return Response(status_code=404, headers=HEADERS) if file is None else answer(request, file)

    @router.get("/favicon.ico")
    async def favicon(request: Request) -> Response:
        return answer(request, files["icon.svg"])

    async def shell(request: Request) -> Response:
        """For the addresses of pages; what is no page of the API is none of the app either."""
        if request.path_params.get("section") in _NOT_PAGES:
            raise HTTPException(404)
        return answer(request, files["index.html"])

    for address in ("/", "/{section}", "/{section}/{rest:path}"):
        router.add_api_route(address, shell, methods=["GET"])
    return router
