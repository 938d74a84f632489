"""The API and the web app over one database: a door for browsers and other programs."""

from __future__ import annotations

from p2re_eval.errors import MissingExtra

try:
    import fastapi  # noqa: F401 - asked for here, so that no other file has to
    import uvicorn  # noqa: F401
except ImportError as error:
    raise MissingExtra(
        "the API and the web app need FastAPI and uvicorn: pip install 'p2re-eval[server]'"
    ) from error

from p2re_eval.server.access import Access
from p2re_eval.server.app import create_app
from p2re_eval.server.router import p2re_router
from p2re_eval.server.serve import serve

__all__ = ["Access", "create_app", "p2re_router", "serve"]
