"""Crashes on both sides, a server that forgot everything, keys, and a server of an older kind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from p2re_eval.bridges import http
from p2re_eval.bridges.phoenix.client import Phoenix, global_id, row_of
from p2re_eval.bridges.phoenix.sync import PhoenixSettings, sync_phoenix
from p2re_eval.clock import SystemClock
from p2re_eval.errors import BridgeError, Refused
from p2re_eval.store import Store, open_store
from tests.bridges.conftest import PhoenixServer, Runs, sync

KEY = "an-admin-secret-of-32-characters-or-more-1"


@pytest.fixture(scope="module")
def guarded(
    phoenix_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[PhoenixServer]:
    """A server of this file's own, which asks for a key."""
    server = PhoenixServer(
        phoenix_binary,
        tmp_path_factory.mktemp("guarded") / "data",
        PHOENIX_ENABLE_AUTH="true",
        PHOENIX_SECRET="a-signing-secret-of-32-characters-or-more-1",
        PHOENIX_ADMIN_SECRET=KEY,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PHOENIX_API_KEY", KEY)


def arrived(server: PhoenixServer, project: str, key: str = "") -> set[tuple[str, str]]:
    """Every (trace id, span id) that the project has."""

    async def asked() -> set[tuple[str, str]]:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        async with http.Peer(server.address, SystemClock(), headers=headers, attempts=1) as peer:
            return {pair async for pair in Phoenix(peer, project).stored()}

    return asyncio.run(asked())


def await_arrivals(server: PhoenixServer, project: str, count: int, key: str = "") -> None:
    deadline = time.monotonic() + 60
    while len(arrived(server, project, key)) < count:
        assert time.monotonic() < deadline, "nothing arrives"


def test_without_the_key_it_says_so(
    guarded: PhoenixServer, project: str, store: Store, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request, no retry, and the sentence names the way out."""
    runs.record(store, 1)
    monkeypatch.delenv("PHOENIX_API_KEY", raising=False)
    with pytest.raises(Refused, match=r"answered 401: .*; give a key in the environment"):
        sync(store, guarded.address, project)
    monkeypatch.setenv("PHOENIX_API_KEY", KEY)
    assert sync(store, guarded.address, project).counts["spans_pushed"] == 2


@pytest.mark.usefixtures("key")
def test_a_server_killed_midway_gets_what_it_lost(
    guarded: PhoenixServer,
    project: str,
    store: Store,
    runs: Runs,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It accepted more than it had stored: what was not seen there is sent again, once each."""
    monkeypatch.setattr(http, "_FIRST_WAIT_S", 0.05)
    traces = runs.record(store, 250)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(sync, store, guarded.address, project)
        await_arrivals(guarded, project, 1, KEY)
        guarded.kill()
        with pytest.raises(BridgeError):
            running.result()
    guarded.start()
    before = len(arrived(guarded, project, KEY))
    assert 0 < before < 500
    sync(store, guarded.address, project)
    wanted = {(t.trace_id, s) for t in traces for s in (t.span_id, t.spans[0].span_id)}
    assert arrived(guarded, project, KEY) == wanted
    assert not sync(store, guarded.address, project).changed


@pytest.mark.usefixtures("key")
def test_a_server_that_forgot_everything_gets_everything_again(
    guarded: PhoenixServer, project: str, store: Store, runs: Runs
) -> None:
    """Its database is gone: what was recorded here, evaluations too, goes there once more."""
    runs.record(store, 5)
    sync(store, guarded.address, project)
    guarded.stop()
    guarded.forget_everything()
    guarded.start()
    outcome = sync(store, guarded.address, project)
    assert outcome.counts == {"traces_pushed": 5, "spans_pushed": 10, "evaluations_pushed": 5}
    assert "sent again from the beginning" in outcome.notes[0]
    assert not sync(store, guarded.address, project).changed


def test_a_sync_killed_midway_goes_on_where_it_stopped(
    phoenix: PhoenixServer, project: str, tmp_path: Path, runs: Runs
) -> None:
    """`kill -9` on our side at any moment: the next one sends the rest, and nothing twice."""
    path = tmp_path / "runs.db"
    with open_store(path) as store:
        traces = runs.record(store, 200)
    code = "from p2re_eval.cli import main; main()"
    command = [sys.executable, "-c", code, "sync", "phoenix", "--db", str(path)]
    command += ["--url", phoenix.address, "--project", project]
    process = subprocess.Popen(command, env=dict(os.environ), stdout=subprocess.DEVNULL)
    await_arrivals(phoenix, project, 1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with open_store(path) as store:
        sync(store, phoenix.address, project)
        wanted = {(t.trace_id, s) for t in traces for s in (t.span_id, t.spans[0].span_id)}
        assert arrived(phoenix, project) == wanted
        counts = store.sync_ledger(f"phoenix {phoenix.address} {project}").counts()
        assert counts == {("trace", "SYNCED"): 200, ("evaluation", "SYNCED"): 200}
        assert not sync(store, phoenix.address, project).changed


OLD_PAGE = 4


class OldServer:
    """A Phoenix that does not know `sort`: it gives the newest first, whatever it is asked.

    Spans are the saved answers of a real one, with their row numbers.
    """

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.fails_after = 10**9

    async def spans(self, request: web.Request) -> web.Response:
        if not self.fails_after:
            return web.Response(status=400, text="gone")
        self.fails_after -= 1
        cursor = request.query.get("cursor")
        newest = row_of(cursor) if cursor else 10**9
        below = [row for row in sorted(self.rows, reverse=True) if row <= newest]
        page, rest = below[:OLD_PAGE], below[OLD_PAGE:]
        following = global_id("Span", rest[0]) if rest else None
        return web.json_response({"data": [_saved(row) for row in page], "next_cursor": following})

    async def nothing(self, _request: web.Request) -> web.Response:
        return web.json_response({"data": [], "next_cursor": None})

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        application = web.Application()
        application.router.add_get("/v1/projects/{project}/spans", self.spans)
        application.router.add_get("/v1/{rest:.*}", self.nothing)
        runner = web.AppRunner(application)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()


def _saved(row: int) -> dict[str, object]:
    return {
        "id": global_id("Span", row),
        "name": f"call {row}",
        "context": {"trace_id": f"{row:032x}", "span_id": f"{row:016x}"},
        "span_kind": "LLM",
        "parent_id": None,
        "start_time": "2026-11-24T18:40:02.438780+00:00",
        "end_time": "2026-11-24T18:40:02.562237+00:00",
        "status_code": "OK",
        "status_message": "",
        "attributes": {"llm.model_name": "m", "output.value": f"answer {row}"},
        "events": [],
    }


def test_an_older_server_is_read_from_the_newest_down(store: Store) -> None:
    """It cannot sort by arrival; pages go down to what was seen, resumably."""
    server = OldServer()

    async def story() -> list[dict[str, int]]:
        async with server.running() as address:
            settings = PhoenixSettings(address=address, project="p", pull=True)
            server.rows = list(range(1, 11))
            server.fails_after = 2
            with pytest.raises(Refused):
                await sync_phoenix(store, settings)
            server.fails_after = 10**9
            counted = [(await sync_phoenix(store, settings)).counts]
            server.rows += [200, 201, 202]
            counted.append((await sync_phoenix(store, settings)).counts)
            counted.append((await sync_phoenix(store, settings)).counts)
            return counted

    assert asyncio.run(story()) == [{"spans_pulled": 6}, {"spans_pulled": 3}, {}]
    names = {row.name for row in store.list_traces(limit=50)}
    assert names == {f"call {row}" for row in [*range(1, 11), 200, 201, 202]}
