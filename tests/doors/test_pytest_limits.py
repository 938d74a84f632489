"""A service's limits, seen through pytest: what they did to the run is in its report."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

# pytester forgets modules first imported inside a run: what is slow to import is imported here.
import p2re_eval.providers.http_connection
import p2re_eval.providers.prices
import p2re_eval.report.terminal
import p2re_eval.scorers.builtin  # noqa: F401
from p2re_eval.store import open_store

GOOD = {
    "choices": [{"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}]
}
WRONG_KEY = {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}
SLOW_DOWN = {"error": {"message": "Rate limit reached"}}


class Service:
    """A real HTTP server that refuses its first calls in one way, by the key if one is named."""

    def __init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                key = self.headers.get("Authorization", "").removeprefix("Bearer ")
                with service.lock:
                    service.keys.append(key)
                    number = len(service.keys)
                status = 200 if number > service.refused else service.status
                status = 401 if key == service.bad_key else status
                said = {200: GOOD, 401: WRONG_KEY, 429: SLOW_DOWN}[status]
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Retry-After", "0")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.lock = threading.Lock()
        self.keys: list[str] = []
        self.refused, self.status, self.bad_key = 0, 401, "-"
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


@pytest.fixture
def suite(pytester: pytest.Pytester, service: Service, monkeypatch: Any) -> pytest.Pytester:
    """Forty cases against the server."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-one-0123456789")
    for folder in ("prompts", "suites"):
        pytester.mkdir(folder)
    url = f"http://127.0.0.1:{service.server.server_port}/v1"
    (pytester.path / "prompts/route.yaml").write_text(
        f'model: {{provider: openai, name: tiny, base_url: "{url}"}}\nprompt: Route it.\n'
    )
    cases = "".join(f"  - {{id: c{n}, expected: billing}}\n" for n in range(40))
    (pytester.path / "suites/s.yaml").write_text(
        f"prompt: route\nscorers: [equals]\ncases:\n{cases}"
    )
    pytester.makeini("[pytest]\n")
    return pytester


def _limits(suite: pytest.Pytester) -> dict[str, Any]:
    with open_store(suite.path / "x.db") as store:
        (experiment,) = store.list_experiments()
        return dict(experiment.settings["limits"])


def test_a_dead_provider_is_left_alone_and_the_report_says_what_was_not_run(
    suite: pytest.Pytester, service: Service
) -> None:
    """The key is wrong: a few errors, the rest is skipped with the reason, and counted."""
    service.refused = 10_000
    result = suite.runpytest_inprocess(
        "--p2re", "--p2re-db", "x.db", "--p2re-concurrency", "2", "-rs"
    )
    counts = result.parseoutcomes()
    asked = len(service.keys)
    assert asked <= 5
    assert counts == {"errors": asked, "skipped": 40 - asked}
    result.stdout.fnmatch_lines(
        [
            f"limits *{40 - asked} runs not run: openai/tiny at 127.0.0.1:*: "
            "3 runs in a row ended with 'authentication'*",
        ]
    )
    (told,) = _limits(suite).values()
    assert told["not_run"] == 40 - asked


def test_a_storm_is_waited_out_and_the_report_shows_the_cut(
    suite: pytest.Pytester, service: Service
) -> None:
    """Eight calls are refused at once: every case passes, at half the calls in flight."""
    service.refused, service.status = 8, 429
    result = suite.runpytest_inprocess(
        "--p2re", "--p2re-db", "x.db", "--p2re-concurrency", "8", "--p2re-report", "r.md"
    )
    assert result.parseoutcomes() == {"passed": 40}
    assert len(service.keys) == 48
    result.stdout.fnmatch_lines(["limits *openai/tiny at 127.0.0.1:*: 8 -> * in flight as it*"])
    assert "- limits: openai/tiny at" in (suite.path / "r.md").read_text()
    (told,) = _limits(suite).values()
    assert told["asked"] == told["reached"] == 8
    assert told["cuts"][0] <= 4


def test_two_keys_share_the_load_and_a_bad_one_is_left_alone(
    suite: pytest.Pytester, service: Service, monkeypatch: Any
) -> None:
    """Keys stand with a comma between them; what the bad one refused the good one answers."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-bad-0123456789, sk-one-0123456789")
    service.bad_key = "sk-bad-0123456789"
    result = suite.runpytest_inprocess("--p2re", "--p2re-db", "x.db", "--p2re-concurrency", "4")
    assert result.parseoutcomes() == {"passed": 40}
    assert service.keys.count("sk-bad-0123456789") <= 5
    assert service.keys.count("sk-one-0123456789") == 40
    result.stdout.fnmatch_lines(["limits    openai/tiny at * (OPENAI_API_KEY#1): 3 runs in a row*"])
    assert "sk-" not in result.stdout.str()


def test_the_workers_limits_are_one_log(suite: pytest.Pytester, service: Service) -> None:
    """Under xdist each worker gives up by itself; the report has the sum."""
    service.refused = 10_000
    suite.runpytest_subprocess("--p2re", "--p2re-db", "x.db", "--p2re-concurrency", "2", "-n", "2")
    (told,) = _limits(suite).values()
    assert told["asked"] == 2
    assert told["not_run"] == 40 - len(service.keys)
