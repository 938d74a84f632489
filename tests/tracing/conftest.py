"""A program's own environment: a service that replays recorded answers, and a capture around it."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Trace
from p2re_eval.store import open_store
from p2re_eval.tracing import Capture, capture

_FRAMING = {"content-length", "transfer-encoding", "content-encoding", "connection"}


class Service(ThreadingHTTPServer):
    """Answers every POST with the same recorded answer; ``asked`` keeps the bodies."""

    daemon_threads = True

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = (status, headers, body)
        self.asked: list[Any] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        self.server.asked.append(json.loads(self.rfile.read(length) or b"null"))
        status, headers, body = self.server.answer
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in _FRAMING:
                self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def serve() -> Iterator[Callable[..., Service]]:
    """Start a service that gives this answer."""
    started: list[Service] = []

    def start(
        body: bytes | str | dict[str, Any],
        *,
        status: int = 200,
        headers: dict[str, str] | None = None,
    ) -> Service:
        if isinstance(body, dict):
            body = json.dumps(body)
        data = body.encode() if isinstance(body, str) else body
        service = Service(status, headers or {"content-type": "application/json"}, data)
        threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
        started.append(service)
        return service

    yield start
    for service in started:
        service.shutdown()
        service.server_close()


@pytest.fixture
def replay(shared_data: Path, serve: Callable[..., Service]) -> Callable[..., tuple[Service, Any]]:
    """Serve the first recorded answer that was asked for so; gives its request's body as well."""

    def start(
        provider: str, endpoint: str, *, stream: bool, having: str = ""
    ) -> tuple[Service, Any]:
        with closing((shared_data / "wire_dev.jsonl").open(encoding="utf-8")) as lines:
            for row in map(json.loads, lines):
                wanted = (provider, endpoint, stream, 200)
                if (row["provider"], row["endpoint"], row["stream"], row["status"]) != wanted:
                    continue
                answer = row["response"]
                coded = answer["body_b64"]
                body = base64.b64decode(coded) if coded else answer["body"].encode()
                if having in body.decode(errors="replace"):
                    kind = answer["headers"].get("content-type", "application/json")
                    return serve(body, headers={"content-type": kind}), row["request"]["body"]
        pytest.skip(f"no recording of {provider} {endpoint}")

    return start


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "captured.db"


@pytest.fixture
def capturing(database: Path) -> Iterator[Capture]:
    """Everything of the test is captured."""
    pytest.importorskip("opentelemetry.sdk", reason="pip install p2re-eval[capture]")
    with capture(database) as made:
        yield made


@pytest.fixture
def traces(database: Path) -> Callable[[], list[Trace]]:
    """What is on disk now, the oldest first, as another process would see it."""

    def read() -> list[Trace]:
        with open_store(database, read_only=True) as store:
            return [store.read_trace(row.trace_id) for row in reversed(store.list_traces())]

    return read
