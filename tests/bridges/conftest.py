"""A real Phoenix server, started once on free ports and stopped by its own process; and runs."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.bridges.http import Peer
from p2re_eval.bridges.outcome import Outcome
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.bridges.phoenix.sync import PhoenixSettings, sync_phoenix
from p2re_eval.clock import SystemClock
from p2re_eval.records import (
    Completion,
    Evaluation,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Span,
    Trace,
    Usage,
)
from p2re_eval.store import Store, open_store

MOMENT = 1_795_000_000_123_456_789
START_LIMIT_S = 120


def phoenix_program() -> Path | None:
    """The server's program: ``make .venv-phoenix`` installs it, P2RE_PHOENIX names another."""
    named = os.environ.get("P2RE_PHOENIX")
    beside = Path(__file__).parents[2] / ".venv-phoenix" / "bin" / "phoenix"
    path = Path(named) if named else beside
    return path if path.exists() else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class PhoenixServer:
    """One server with a working folder of its own; it can be killed and started again."""

    def __init__(self, program: Path, folder: Path, **environment: str) -> None:
        self._program = program
        self._folder = folder
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self.port, self.grpc_port = free_port(), free_port()
        self.address = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "PHOENIX_WORKING_DIR": str(self._folder),
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(self.grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            **self._environment,
        }
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), "serve"], env=environment, stdout=log, stderr=log
            )
        self._await()

    def kill(self) -> None:
        """As a crash does: nothing that it holds in memory is written."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def forget_everything(self) -> None:
        """What ``rm -r`` of its folder does to a stopped server."""
        shutil.rmtree(self._folder)

    def _end(self, how: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _await(self) -> None:
        """Asked until it answers, as anybody who starts a server has to."""
        import time

        deadline = time.monotonic() + START_LIMIT_S
        while True:
            assert self._process is not None
            assert self._process.poll() is None, (self._folder / "server.log").read_text()[-3000:]
            try:
                with urllib.request.urlopen(f"{self.address}/arize_phoenix_version", timeout=2):
                    return
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert time.monotonic() < deadline, "Phoenix did not start"
                time.sleep(0.2)


def delete(address: str, path: str) -> None:
    """Take away what is there, as a person does in Phoenix's pages."""
    asked = urllib.request.Request(f"{address}{path}", method="DELETE")
    with urllib.request.urlopen(asked, timeout=30):
        pass


@pytest.fixture(scope="session")
def phoenix_binary() -> Path:
    program = phoenix_program()
    if program is None:
        pytest.skip("no Phoenix here; run: make .venv-phoenix")
    return program


@pytest.fixture(scope="session")
def phoenix(
    phoenix_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhoenixServer]:
    """One for all tests that leave it running; each test has a project of its own.

    P2RE_PHOENIX_PORT names the port of one that runs here already: starting takes half a minute.
    """
    running = os.environ.get("P2RE_PHOENIX_PORT")
    if running:
        server = PhoenixServer(phoenix_binary, Path())
        server.address = f"http://127.0.0.1:{running}"
        yield server
        return
    server = PhoenixServer(phoenix_binary, tmp_path_factory.mktemp("phoenix") / "data")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def clean(phoenix: PhoenixServer) -> Iterator[None]:
    """Prompts belong to the server: none is left for other tests."""
    yield

    async def sweep() -> None:
        async with Peer(phoenix.address, SystemClock()) as peer:
            for one in await Phoenix(peer, "").items("/v1/prompts"):
                delete(peer.address, f"/v1/prompts/{one['id']}")

    asyncio.run(sweep())


@pytest.fixture
def project() -> str:
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_store(tmp_path / "here.db") as opened:
        yield opened


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Store]:
    """Another person's database, synced with the same project."""
    with open_store(tmp_path / "elsewhere.db") as opened:
        yield opened


def sync(store: Store, address: str, project: str, **settings: bool) -> Outcome:
    wanted = PhoenixSettings(address=address, project=project, **settings)
    return asyncio.run(sync_phoenix(store, wanted))


class Runs:
    """Runs with a step below them, whose ids no other test has."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def prompt(self, text: str = "I was charged twice.") -> RenderedPrompt:
        return RenderedPrompt(
            name="route_ticket",
            version="a" * 64,
            messages=(
                Message(role="system", content="Route it."),
                Message(role="user", content=text),
            ),
            model=ModelSettings(provider="openai", name="gpt-5-mini", temperature=0.0),
            variables={"ticket": text},
        )

    def run(self, text: str = "I was charged twice.", **given: Any) -> Trace:
        number = next(self._numbers)
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        begun = MOMENT + number * 1_000_000_007
        judge = Span(
            span_id=secrets.token_hex(8),
            trace_id=trace_id,
            parent_id=span_id,
            name="llm_judge",
            start_ns=begun + 11,
            end_ns=begun + 2_000_013,
            prompt=self.prompt("Is it polite?"),
            completion=Completion(text="yes"),
        )
        answer = Completion(
            text="billing",
            model="gpt-5-mini-2025",
            usage=Usage(input_tokens=12, output_tokens=1),
            cost_usd=0.00025,
        )
        return Trace(
            **{
                "trace_id": trace_id,
                "span_id": span_id,
                "name": "route_ticket",
                "status": "OK",
                "start_ns": begun,
                "end_ns": begun + 1_500_000_001,
                "prompt": self.prompt(text),
                "completion": answer,
                "suite": "suites/support.yaml",
                "case_id": f"case-{number}",
                "session_id": "chat-42",
                "spans": (judge,),
                **given,
            }
        )

    def evaluation(self, trace: Trace, **given: Any) -> Evaluation:
        return Evaluation(
            **{
                "evaluation_id": secrets.token_hex(16),
                "trace_id": trace.trace_id,
                "name": "equals",
                "scorer": "equals",
                "scorer_version": "1",
                "score": Score(value=1.0, passed=True, explanation="the same"),
                "created_ns": MOMENT,
                "experiment_id": "e1",
                **given,
            }
        )

    def record(self, store: Store, count: int) -> list[Trace]:
        """So many runs on disk, each with an evaluation."""
        made = [self.run(f"ticket {number}") for number in range(count)]
        for trace in made:
            store.finish_trace(trace)
        store.save_evaluations([self.evaluation(trace) for trace in made]).result()
        return made


@pytest.fixture
def runs() -> Runs:
    return Runs()
