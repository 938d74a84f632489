"""`p2re capture -- COMMAND` records a program that knows nothing of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from p2re_eval.store import open_store

pytest.importorskip("openinference.instrumentation.openai", reason="install the dev group")

P2RE = Path(sys.executable).with_name("p2re")
PROGRAM = """
import http.server, json, os, sys, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": "billing"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
        body = {"id": "r", "object": "chat.completion", "created": 1, "model": "m"}
        body = json.dumps({**body, "choices": [choice], "usage": usage}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
import openai
client = openai.OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")
answer = client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])
print(answer.choices[0].message.content)
"""


def launch(*arguments: str | Path, **more: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [P2RE, "capture", *arguments], capture_output=True, text=True, timeout=60, **more
    )


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "p2re.db"


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "app.py"
    path.write_text(PROGRAM + "sys.exit(3)\n")
    return path


def test_a_program_is_recorded_without_a_change(database: Path, program: Path) -> None:
    """Output and exit code are its own; one line tells what was recorded."""
    options = (
        "--db",
        database,
        "--session",
        "nightly",
        "--user",
        "ada",
        "--tag",
        "a",
        "--tag",
        "b",
    )
    done = launch(*options, "--", sys.executable, program)
    assert (done.returncode, done.stdout) == (3, "billing\n")
    assert done.stderr == f"p2re: 1 span recorded in {database}\n"
    with open_store(database) as store:
        [row] = store.list_traces()
    assert (row.status, row.session_id, row.user) == ("OK", "nightly", "ada")
    assert row.tags == ("a", "b")
    assert (row.input_tokens, row.output_preview) == (5, "billing")


def test_a_call_is_on_disk_when_the_process_is_killed_next(database: Path, tmp_path: Path) -> None:
    """Nothing that was answered is lost."""
    path = tmp_path / "app.py"
    path.write_text(PROGRAM + "os.kill(os.getpid(), 9)\n")
    done = launch("--db", database, "--", sys.executable, path)
    assert (done.returncode, done.stderr) == (-9, "")
    with open_store(database) as store:
        [row] = store.list_traces()
    assert (row.status, row.output_preview) == ("OK", "billing")


def test_a_program_that_calls_no_model_is_left_in_peace(database: Path) -> None:
    """Nothing is said; its own sitecustomize runs."""
    folder = database.parent / "its own"
    folder.mkdir()
    told = "import os\nif 'P2RE_DB' in os.environ:  # p2re is a Python program itself\n"
    (folder / "sitecustomize.py").write_text(told + "    print('its own', end=' ')\n")
    command = [sys.executable, "-c", "import sys; print('openai' in sys.modules)"]
    done = launch("--db", database, "--", *command, env={"PYTHONPATH": str(folder), "PATH": ""})
    assert (done.returncode, done.stdout, done.stderr) == (0, "its own False\n", "")


def test_a_database_that_cannot_be_is_one_line(tmp_path: Path, program: Path) -> None:
    """The program runs all the same."""
    done = launch("--db", tmp_path, "--", sys.executable, program)
    assert (done.returncode, done.stdout) == (3, "billing\n")
    assert "this is a folder" in done.stderr
    assert "1 lost" in done.stderr


def test_a_command_that_is_not_there(database: Path) -> None:
    """A sentence and exit code 2."""
    done = launch("--", "no-such-program")
    assert done.returncode == 2
    assert "there is no program 'no-such-program' on the PATH" in done.stderr
