"""The server process: a socket that is bound before anything is promised, and a clean end."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import uvicorn

from p2re_eval.errors import UsageError
from p2re_eval.server.access import LOOPBACK, Access
from p2re_eval.server.app import create_app

_LOCAL = {"127.0.0.1", "localhost", "::1"}


def serve(
    db: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    root: Path | None = None,
    access: Access = Access(),  # noqa: B008 - frozen
    ready: Callable[[str], None] = print,
) -> None:
    """Serve the web app and the API until Ctrl-C; ``ready`` hears the address once it is open.

    Raises UsageError for an address that cannot be bound, or that needs a token and has none.
    """
    if host not in _LOCAL and access.token is None:
        what = f"'{host}' can be reached from other machines: give a token with --token"
        raise UsageError(f"{what} (or P2RE_TOKEN), or stay on 127.0.0.1")
    listening = _bound(host, port)
    bound = listening.getsockname()[1]
    app = create_app(db, root=root, access=access)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=64 * 1024,
        limit_concurrency=512,
    )
    server = uvicorn.Server(config)
    app.state.backend.stopping = lambda: server.should_exit
    ready(_address(host, bound, access))
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        return  # how a server is meant to end


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, for asyncio turns Nagle's wait of 40 ms off only where it is told so.
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(128)  # whoever hears the address may connect at once
    except OSError as error:
        found.close()
        what = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise UsageError(f"{what}; choose another with --port (0 takes a free one)") from error
    return found


def _address(host: str, port: int, access: Access) -> str:
    name = f"[{host}]" if ":" in host else host
    query = f"?token={access.token}" if access.token else ""
    return f"http://{name}:{port}/{query}"


def hosts(host: str, more: tuple[str, ...]) -> frozenset[str]:
    """The names that requests may be addressed to: loopback, where it listens, and those added."""
    name = f"[{host}]" if ":" in host else host
    return LOOPBACK | {name.lower()} | {one.lower() for one in more}
