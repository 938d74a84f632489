"""How fast the Phoenix bridge is, beside Phoenix itself: `make bench-phoenix`.

Starts a server of its own, records SPANS here, and prints, in one run: how long Phoenix takes to
store so many spans that are thrown at it, a push, a pull into an empty database, and a sync without
work.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from p2re_eval.bridges.http import Peer
from p2re_eval.bridges.outcome import Outcome
from p2re_eval.bridges.phoenix.client import Phoenix
from p2re_eval.bridges.phoenix.sync import PhoenixSettings, sync_phoenix
from p2re_eval.clock import SystemClock
from p2re_eval.store import Store, open_store
from p2re_eval.tracing.told import told
from tests.bridges.conftest import PhoenixServer, Runs, phoenix_program

SPANS = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
A_REQUEST = 500


async def throw(address: str, runs: Runs) -> float:
    """Seconds from the first request to the last span stored, with nobody reading meanwhile."""
    spans = [raw for _ in range(SPANS // 2) for raw in told(runs.run(), both=False)]
    async with Peer(address, SystemClock()) as peer:
        there = Phoenix(peer, f"thrown-{secrets.token_hex(4)}")
        begun = time.monotonic()
        for start in range(0, len(spans), A_REQUEST):
            await there.send_spans(spans[start : start + A_REQUEST])
        while len([pair async for pair in there.stored()]) < len(spans):
            await asyncio.sleep(2)
        return time.monotonic() - begun


async def measured(name: str, run: Callable[[], Awaitable[Outcome]]) -> None:
    begun = time.monotonic()
    outcome = await run()
    took = time.monotonic() - begun
    moved = outcome.counts.get("spans_pushed", 0) + outcome.counts.get("spans_pulled", 0)
    rate = f"{moved / took:,.0f} spans/s" if moved else "nothing to do"
    print(f"{name:<28} {took:7.1f} s  {outcome.requests:5} requests  {rate}", flush=True)


async def bench(address: str, here: Store, elsewhere: Store, runs: Runs) -> None:
    project = f"bench-{secrets.token_hex(4)}"
    took = await throw(address, runs)
    print(f"{'Phoenix alone':<28} {took:7.1f} s  {'':14}  {SPANS / took:,.0f} spans/s", flush=True)
    both = PhoenixSettings(address=address, project=project)
    full = PhoenixSettings(address=address, project=project, full=True)
    await measured("push", lambda: sync_phoenix(here, both))
    await measured("sync again", lambda: sync_phoenix(here, both))
    await measured("sync again, --full", lambda: sync_phoenix(here, full))
    await measured("pull", lambda: sync_phoenix(elsewhere, both))
    await measured("sync again", lambda: sync_phoenix(elsewhere, both))


def main() -> None:
    program = phoenix_program()
    if program is None:
        sys.exit("no Phoenix here; run: make .venv-phoenix/bin/phoenix")
    with tempfile.TemporaryDirectory() as folder:
        server = PhoenixServer(program, Path(folder) / "phoenix")
        server.start()
        try:
            runs = Runs()
            with (
                open_store(Path(folder) / "here.db") as here,
                open_store(Path(folder) / "elsewhere.db") as elsewhere,
            ):
                runs.record(here, SPANS // 2)
                asyncio.run(bench(server.address, here, elsewhere, runs))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
