"""``p2re sync`` and ``p2re import otlp`` as a user types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from p2re_eval.bridges import http
from p2re_eval.cli import main
from p2re_eval.otlp.protobuf import decoded, encoded
from p2re_eval.store import open_store
from p2re_eval.tracing.raw import RawSpan

pytest.importorskip("opentelemetry.proto", reason="the extra otlp is not installed")

TRACE_ID, ROOT, STEP = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "00f067aa0ba902b7"
MOMENT = 1_795_000_000_123_456_789
SPANS = [
    RawSpan(
        TRACE_ID,
        STEP,
        "chat",
        MOMENT + 1,
        parent_id=ROOT,
        end_ns=MOMENT + 9,
        attributes={"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-5-mini"},
    ),
    RawSpan(TRACE_ID, ROOT, "answer", MOMENT, end_ns=MOMENT + 10, attributes={"input.value": "Hi"}),
]


def p2re(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """One imported trace of two spans."""
    spans = tmp_path / "spans.pb"
    spans.write_bytes(encoded(SPANS, {}))
    path = tmp_path / "runs.db"
    result = p2re("import", "otlp", spans, "--db", path)
    assert result.output == f"{spans}: 2 spans of 1 trace\n"
    return path


@pytest.fixture
def collector() -> Iterator[tuple[str, list[str]]]:
    """Its address, and the names of the spans it has taken."""
    taken: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                taken.extend(span.name for span in decoded(body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_imported_trace_is_like_any_other(database: Path) -> None:
    """The root came last in the file; importing again changes nothing."""
    with open_store(database) as store:
        trace = store.read_trace(TRACE_ID)
        assert (trace.name, trace.start_ns, trace.end_ns) == ("answer", MOMENT, MOMENT + 10)
        assert [span.name for span in trace.spans] == ["chat"]
    again = p2re("import", "otlp", database.parent / "spans.pb", "--db", database)
    assert again.output.endswith("spans.pb: nothing that is not here already\n")


def test_a_file_that_is_no_otlp_is_a_sentence(tmp_path: Path) -> None:
    """Exit code 2, the place, and no traceback."""
    path = tmp_path / "spans.json"
    path.write_text('{"resourceSpans": []}\n{]\n')
    result = p2re("import", "otlp", path, "--db", tmp_path / "runs.db")
    assert result.exit_code == 2
    assert "spans.json:2: not JSON" in result.output
    assert "Traceback" not in result.output


def test_otlp_goes_out_and_the_status_says_so(
    database: Path, collector: tuple[str, list[str]]
) -> None:
    """A summary with requests and time; a second export has nothing to do."""
    address, taken = collector
    assert p2re("sync", "status", "--db", database).output == (
        "nothing was ever synced; see p2re sync -h\n"
    )
    planned = p2re("sync", "otlp", "--url", address, "--db", database, "--dry-run")
    assert "would be: 2 spans" in planned.output
    assert taken == []
    first = p2re("sync", "otlp", "--url", address, "--db", database)
    assert first.exit_code == 0, first.output
    assert first.output.startswith(f"otlp {address} (1 request, ")
    assert "2 spans sent" in first.output
    assert taken == ["answer", "chat"]
    again = p2re("sync", "otlp", "--url", address, "--db", database)
    assert "nothing to do: everything that has ended here was sent" in again.output
    assert (
        json.loads(p2re("sync", "otlp", "--url", address, "--db", database, "--json").output)[
            "counts"
        ]
        == {}
    )
    status = p2re("sync", "status", "--db", database)
    assert f"otlp {address}" in status.output
    [standing] = json.loads(p2re("sync", "status", "--db", database, "--json").output)
    assert (standing["runs_behind"], standing["failed"]) == (0, 0)


def test_watching_follows_until_ctrl_c(database: Path, collector: tuple[str, list[str]]) -> None:
    """What is recorded while it runs goes out; Ctrl-C is a clean end."""
    address, taken = collector
    code = "from p2re_eval.cli import main; main()"
    command = [sys.executable, "-c", code, "sync", "otlp", "--url", address, "--watch"]
    process = subprocess.Popen(
        [*command, "--db", str(database), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["counts"]["spans_sent"] == 2
    more = RawSpan("1" * 32, "2" * 16, "later", MOMENT, end_ns=MOMENT + 1)
    path = database.parent / "more.pb"
    path.write_bytes(encoded([more], {}))
    p2re("import", "otlp", path, "--db", database)
    assert json.loads(process.stdout.readline())["counts"]["spans_sent"] == 1
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0
    assert taken[-1] == "later"


@pytest.mark.parametrize("command", ["phoenix", "otlp"])
def test_a_server_that_is_away_is_a_sentence(
    database: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2 after a few tries; a wrong address is told at once."""
    monkeypatch.setattr(http, "_FIRST_WAIT_S", 0.001)
    result = p2re("sync", command, "--url", "http://127.0.0.1:9", "--db", database)
    assert result.exit_code == 2
    assert "http://127.0.0.1:9 cannot be reached" in result.output
    wrong = p2re("sync", command, "--url", "localhost:6006", "--db", database)
    assert wrong.exit_code == 2
    assert "'localhost:6006' is no address; write it like http://" in wrong.output
    secret = p2re("sync", command, "--url", "http://me:pass@host", "--db", database)
    assert "carries a password; put it in the environment" in secret.output
    assert "pass@" not in secret.output


def test_without_a_database_there_is_nothing_to_sync(tmp_path: Path) -> None:
    """And none is made."""
    result = p2re("sync", "phoenix", "--db", tmp_path / "none.db")
    assert result.exit_code == 2
    assert "there is no database yet" in result.output
    assert list(tmp_path.iterdir()) == []
