"""A service that breaks, seen through pytest: the letter, the sentence, and what stays on disk."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

# pytester forgets modules first imported inside a run: what is slow to import is imported here.
import p2re_eval.providers.http_connection
import p2re_eval.providers.prices
import p2re_eval.report.summary
import p2re_eval.report.terminal
import p2re_eval.scorers.builtin  # noqa: F401
from p2re_eval.cli import main
from p2re_eval.records import Trace
from p2re_eval.store import open_store

GOOD: dict[str, Any] = {
    "id": "r-1",
    "model": "tiny-2026",
    "choices": [{"message": {"role": "assistant", "content": "billing"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 1},
}
SOON = {"Retry-After": "0"}
ONE_TRY = "run_timeout_s: 0.2"
"""The first pause is at least a quarter of a second: no second attempt fits."""


class Service:
    """A real HTTP server on loopback that answers each call with the next step of a script."""

    def __init__(self) -> None:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                service.asked.append(json.loads(self.rfile.read(length)))
                number = len(service.asked) - 1
                service.steps[min(number, len(service.steps) - 1)](self)

            def log_message(self, *_: object) -> None:
                """Quiet."""

        self.asked: list[dict[str, Any]] = []
        self.steps: list[Callable[[Any], None]] = []
        self.over = threading.Event()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server.server_port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1"

    def hang(self, handler: Any) -> None:
        """Say nothing until the test is over."""
        self.over.wait(30)
        handler.close_connection = True

    def close(self) -> None:
        self.over.set()
        self.server.shutdown()
        self._thread.join()
        self.server.server_close()


def reply(
    status: int, body: object, headers: dict[str, str] | None = None
) -> Callable[[Any], None]:
    """A whole answer; a string is sent as it is."""
    text = body if isinstance(body, str) else json.dumps(body)

    def send(handler: Any) -> None:
        content = text.encode()
        handler.send_response(status)
        for name, value in (headers or {}).items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    return send


def cut(text: str, *, kind: str = "application/json") -> Callable[[Any], None]:
    """The beginning of an answer that promises more than comes."""

    def send(handler: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(text) + 100))
        handler.end_headers()
        handler.wfile.write(text.encode())
        handler.close_connection = True

    return send


def refused(message: str) -> dict[str, Any]:
    return {"error": {"message": message}}


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def one_case(project: Any, url: str, *settings: str) -> None:
    """A suite of one case for a model at this address."""
    more = "".join(f", {setting}" for setting in settings)
    project.write(
        "suites/support.yaml",
        f"""\
        prompt: route
        models: [{{provider: openai, name: tiny, base_url: "{url}"{more}}}]
        scorers: [equals]
        cases:
          - id: charged
            inputs: {{ticket: I was charged twice.}}
            expected: billing
        """,
    )


def only_trace(project: Any) -> Trace:
    """The one run on disk, whole."""
    with open_store(project.db) as store:
        [row] = store.list_traces()
        trace = store.read_trace(row.trace_id)
        assert isinstance(trace, Trace)
        return trace


def assert_broke(project: Any, *settings: str, kind: str, attempts: int, says: str) -> Trace:
    """Runs the suite: E and exit code 1; the sentence on the terminal; the same on disk."""
    result = project.run()
    output = result.stdout.str()
    result.assert_outcomes(errors=1)
    assert result.ret == 1
    assert "suites/support.yaml E" in output
    assert "Traceback" not in output
    assert "INTERNALERROR" not in output
    tries = f" after {attempts} attempts" if attempts > 1 else ""
    told = " ".join(output.split())
    assert f"suites/support.yaml:5:5: openai/tiny gave no answer{tries} ({kind}): " in told
    assert says in told
    trace = only_trace(project)
    assert (trace.status, trace.completion, trace.attempts) == ("ERROR", None, attempts)
    assert trace.fault is not None
    assert (trace.fault.kind, trace.fault.attempts) == (kind, attempts)
    assert says in trace.fault.message
    [row] = project.results()
    assert (row.outcome, row.value, row.evaluations) == ("error", None, ())
    assert row.fault is not None
    assert row.fault.kind == kind
    return trace


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def test_refused_connection_names_the_address(project: Any) -> None:
    """A server that is not there: an error of the machine, not of the model."""
    host = f"127.0.0.1:{unused_port()}"
    one_case(project, f"http://{host}/v1", ONE_TRY)
    assert_broke(
        project,
        kind="connection",
        attempts=1,
        says=f"no connection to {host} (Connection refused); check that the server runs",
    )


def test_refused_connection_is_tried_again_within_the_time_of_the_run(project: Any) -> None:
    """The limit is named that ended the attempts."""
    one_case(project, f"http://127.0.0.1:{unused_port()}/v1", "run_timeout_s: 0.7")
    result = project.run()
    result.assert_outcomes(errors=1)
    assert "past the run's limit of 0.7 s (run_timeout_s)" in " ".join(result.stdout.str().split())
    assert only_trace(project).attempts == 2


def test_unknown_host_is_not_tried_again(project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that does not resolve now will not a second later."""
    monkeypatch.setenv("P2RE_KEYS", "http://models.invalid=")
    one_case(project, "http://models.invalid/v1")
    says = "the name of models.invalid does not resolve; check base_url and the network"
    assert_broke(project, kind="connection", attempts=1, says=says)


def test_tls_to_a_plain_port_is_said(project: Any, service: Service) -> None:
    """https where the server speaks http: not tried again."""
    service.steps = [reply(200, GOOD)]
    one_case(project, f"https://{service.host}/v1")
    assert_broke(
        project, kind="connection", attempts=1, says="or whether the address is plain http"
    )
    assert service.asked == []


def test_certificate_that_nobody_trusts_is_refused(
    project: Any, service: Service, tmp_path: Path
) -> None:
    """Nothing is sent, and it is not tried again."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs openssl")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    name = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *name, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = service.server
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    service.steps = [reply(200, GOOD)]
    one_case(project, f"https://{service.host}/v1")
    says = f"no trusted TLS connection to {service.host} (self-signed certificate); check the"
    assert_broke(project, kind="connection", attempts=1, says=says)
    assert service.asked == []


def test_rate_limit_with_retry_after_is_waited_for(project: Any, service: Service) -> None:
    """The third attempt is answered: the case passes, and the trace tells of three."""
    limited = reply(429, refused("slow down"), SOON)
    service.steps = [limited, limited, reply(200, GOOD)]
    one_case(project, service.url)
    result = project.run()
    result.assert_outcomes(passed=1)
    assert result.ret == 0
    trace = only_trace(project)
    assert (trace.status, trace.attempts, trace.fault) == ("OK", 3, None)
    assert trace.completion is not None
    assert (trace.completion.text, trace.completion.model) == ("billing", "tiny-2026")
    assert len(service.asked) == 3


def test_rate_limit_that_stays_is_an_error_after_five_attempts(
    project: Any, service: Service
) -> None:
    """The service's own words are kept."""
    service.steps = [reply(429, refused("slow down"), SOON)]
    one_case(project, service.url)
    says = f"{service.host} answered 429: slow down; lower the concurrency"
    trace = assert_broke(project, kind="rate_limited", attempts=5, says=says)
    assert trace.fault is not None
    assert trace.fault.status == 429
    assert len(service.asked) == 5


def test_rate_limit_without_a_hint_backs_off(project: Any, service: Service) -> None:
    """Without Retry-After the next attempt comes a moment later, not at once."""
    service.steps = [reply(429, refused("slow down")), reply(200, GOOD)]
    one_case(project, service.url)
    project.run().assert_outcomes(passed=1)
    trace = only_trace(project)
    assert trace.attempts == 2
    assert trace.end_ns is not None
    assert trace.end_ns - trace.start_ns >= 250_000_000


def test_retry_after_longer_than_the_run_ends_it_now(project: Any, service: Service) -> None:
    """Nobody waits an hour to hear that an hour is too long."""
    service.steps = [reply(429, refused("come back later"), {"Retry-After": "3600"})]
    one_case(project, service.url)
    says = "the next attempt would be in 3600 s, past the run's limit of 600 s (run_timeout_s)"
    assert_broke(project, kind="rate_limited", attempts=1, says=says)


def test_used_up_quota_is_not_tried_again(project: Any, service: Service) -> None:
    """A 429 that waiting does not cure."""
    body = {"error": {"message": "no money", "code": "insufficient_quota"}}
    service.steps = [reply(429, body, SOON)]
    one_case(project, service.url)
    says = "no money; top up the account or use another; waiting does not help"
    assert_broke(project, kind="quota_exhausted", attempts=1, says=says)


@pytest.mark.parametrize(
    ("status", "kind"), [(500, "server"), (502, "server"), (503, "overloaded")]
)
def test_broken_service_is_an_error_after_five_attempts(
    project: Any, service: Service, status: int, kind: str
) -> None:
    """Also when a proxy answers with a page instead of JSON: its title is the message."""
    page = "<html><head><title>Something broke</title></head><body>...</body></html>"
    service.steps = [reply(status, page, SOON)]
    one_case(project, service.url)
    says = f"{service.host} answered {status}: Something broke; try again later"
    trace = assert_broke(project, kind=kind, attempts=5, says=says)
    assert trace.fault is not None
    assert trace.fault.status == status
    assert len(service.asked) == 5


def test_wrong_key_is_not_tried_again_and_never_shown(
    project: Any, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even when the service repeats it, on the terminal or on disk."""
    monkeypatch.setenv("OPENAI_API_KEY", "secret-of-mine-12345")
    service.steps = [reply(401, refused("Incorrect API key provided: secret-of-mine-12345"))]
    one_case(project, service.url)
    trace = assert_broke(
        project, kind="authentication", attempts=1, says="check the key in OPENAI_API_KEY"
    )
    assert "secret-of-mine" not in trace.model_dump_json()
    for file in project.path.glob("runs.db*"):
        assert b"secret-of-mine" not in file.read_bytes()


def test_silence_ends_with_the_attempts_time(project: Any, service: Service) -> None:
    """timeout_s of the suite's model settings, and where to raise it."""
    service.steps = [service.hang]
    one_case(project, service.url, "timeout_s: 0.15", ONE_TRY)
    says = "openai/tiny gave no answer within 0.15 s; raise timeout_s in the model settings"
    assert_broke(project, kind="timeout", attempts=1, says=says)


def test_silence_longer_than_the_run_may_take_names_that_limit(
    project: Any, service: Service
) -> None:
    """Raising timeout_s would not help."""
    service.steps = [service.hang]
    one_case(project, service.url, ONE_TRY)
    says = "openai/tiny gave no answer within the run's 0.2 s; raise run_timeout_s in the model"
    assert_broke(project, kind="timeout", attempts=1, says=says)


def test_silence_once_is_survived(project: Any, service: Service) -> None:
    """The second attempt has a time of its own."""
    service.steps = [service.hang, reply(200, GOOD)]
    one_case(project, service.url, "timeout_s: 0.4")
    project.run().assert_outcomes(passed=1)
    assert only_trace(project).attempts == 2


def test_answer_cut_off_in_the_middle_is_kept_and_never_scored(
    project: Any, service: Service
) -> None:
    """What arrived is on disk as a part, not as an answer."""
    beginning = json.dumps(GOOD)[:40]
    service.steps = [cut(beginning)]
    one_case(project, service.url, ONE_TRY)
    says = f"{service.host} hung up in the middle of its answer"
    trace = assert_broke(project, kind="truncated", attempts=1, says=says)
    assert trace.fault is not None
    assert trace.fault.partial == beginning


def test_stream_cut_off_in_the_middle_keeps_its_text(project: Any, service: Service) -> None:
    """A half answer could have been "billing, or rather technical"."""
    chunk = {"choices": [{"index": 0, "delta": {"content": "bill"}}]}
    service.steps = [cut(f"data: {json.dumps(chunk)}\n\n", kind="text/event-stream")]
    one_case(project, service.url, "stream: true", ONE_TRY)
    says = f"{service.host} hung up in the middle of its answer"
    trace = assert_broke(project, kind="truncated", attempts=1, says=says)
    assert trace.fault is not None
    assert trace.fault.partial == "bill"


def test_hanging_up_without_a_word_is_tried_again(project: Any, service: Service) -> None:
    """As a load balancer does when its server restarts."""

    def hang_up(handler: Any) -> None:
        handler.close_connection = True

    service.steps = [hang_up, reply(200, GOOD)]
    one_case(project, service.url)
    project.run().assert_outcomes(passed=1)
    assert only_trace(project).attempts == 2


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("<html>Welcome to the intranet</html>", "sent no JSON but '<html>Welcome to the intra"),
        ('{"choices": [{"message"', 'sent no JSON but \'{"choices": [{"message"\''),
        ("", "sent no JSON but ''; check that base_url is the API's address"),
        ({"choices": []}, "answered without any choice; check that it serves chat completions"),
        ({"choices": None}, "answered without any choice"),
        ([], "answered without any choice"),
    ],
)
def test_answer_that_is_none_is_asked_for_once_more(
    project: Any, service: Service, body: object, says: str
) -> None:
    """Broken JSON, a login page, nothing chosen: twice, then it is an error."""
    service.steps = [reply(200, body)]
    one_case(project, service.url)
    assert_broke(project, kind="malformed", attempts=2, says=says)
    assert len(service.asked) == 2


def test_error_inside_a_successful_reply_is_an_error(project: Any, service: Service) -> None:
    """Some routers answer 200 and put the refusal in the body."""
    service.steps = [reply(200, {"error": {"message": "no such model", "code": 404}})]
    one_case(project, service.url)
    says = f"{service.host} reported an error: no such model; check the model's name and base_url"
    assert_broke(project, kind="not_found", attempts=1, says=says)


def test_huge_answer_is_kept_whole(project: Any, service: Service) -> None:
    """Eight megabytes: read, scored, on disk, and only its beginning on the terminal."""
    text = "word " * 1_600_000
    message = {"role": "assistant", "content": text}
    service.steps = [reply(200, {**GOOD, "choices": [{"message": message}]})]
    one_case(project, service.url)
    result = project.run()
    result.assert_outcomes(failed=1)
    assert len(result.stdout.str()) < 10_000
    trace = only_trace(project)
    assert trace.completion is not None
    assert trace.completion.text == text
    assert [len(row.output_preview) for row in project.results()] == [500]


def test_endless_answer_is_stopped(project: Any, service: Service) -> None:
    """A stream of nothing but filler ends at the largest reply that is accepted."""

    def pour(handler: Any) -> None:
        handler.send_response(200)
        handler.end_headers()
        handler.close_connection = True
        try:
            while not service.over.is_set():
                handler.wfile.write(b" " * 1_048_576)
        except OSError:
            return

    service.steps = [pour]
    one_case(project, service.url, "run_timeout_s: 30")
    says = f"{service.host} sent more than 65536 KiB; check base_url, or set max_tokens"
    assert_broke(project, kind="malformed", attempts=2, says=says)


def test_one_broken_call_costs_only_its_own_case(project: Any, service: Service) -> None:
    """The neighbours pass, the error is E and not F, and gates do not hide it."""
    service.steps = [reply(200, GOOD)]

    def by_ticket(handler: Any) -> None:
        asked = service.asked[-1]["messages"][-1]["content"]
        reply(400, refused("too rude"))(handler) if "rude" in asked else reply(200, GOOD)(handler)

    service.steps = [by_ticket]
    project.write(
        "suites/support.yaml",
        f"""\
        prompt: route
        models: [{{provider: openai, name: tiny, base_url: "{service.url}"}}]
        scorers: [equals]
        gates: [pass_rate >= 0.1]
        cases:
          - {{id: a, inputs: {{ticket: one}}, expected: billing}}
          - {{id: b, inputs: {{ticket: rude}}, expected: billing}}
          - {{id: c, inputs: {{ticket: three}}, expected: billing}}
        """,
    )
    result = project.run("--p2re-concurrency", "1")
    assert result.ret == 1
    assert "suites/support.yaml .E." in result.stdout.str()
    assert [row.outcome for row in project.results()] == ["passed", "error", "passed"]
    with open_store(project.db) as store:
        assert [row.status for row in store.list_traces()] == ["OK", "ERROR", "OK"]


WATCH = """\
import socket, sys

LOG = open("sockets.log", "a", buffering=1)
INTERNET = {socket.AF_INET, socket.AF_INET6}


def watch(event, arguments):
    if event == "socket.__new__" and arguments[1] not in INTERNET:
        return  # asyncio's own pair
    if event in {"socket.__new__", "socket.connect", "socket.getaddrinfo"}:
        LOG.write(event + "\\n")


sys.addaudithook(watch)
"""


def test_replay_opens_no_socket(project: Any, service: Service) -> None:
    """Python itself tells of every socket: a live run opens some, a replayed one none, and neither
    does one that misses its recording."""
    service.steps = [reply(200, GOOD)]
    one_case(project, service.url)
    project.write("conftest.py", WATCH)
    project.run(subprocess=True).assert_outcomes(passed=1)
    log = project.path / "sockets.log"
    assert "socket.connect" in log.read_text()
    watch = project.path / "conftest.py"
    watch.unlink()  # p2re record would load it here, in this process
    command = ["record", "suites/support.yaml", "--db", str(project.db)]
    assert CliRunner().invoke(main, command, catch_exceptions=False).exit_code == 0
    asked = len(service.asked)
    watch.write_text(WATCH)
    log.unlink()
    replayed = project.run("--p2re-source", "replay", subprocess=True)
    replayed.assert_outcomes(passed=1)
    project.write("prompts/route.yaml", "inputs: {ticket: string}\nprompt: 'new {{ ticket }}'\n")
    missed = project.run("--p2re-source", "replay", subprocess=True)
    missed.assert_outcomes(errors=1)
    assert log.read_text() == ""
    assert len(service.asked) == asked
