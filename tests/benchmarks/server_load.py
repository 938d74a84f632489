"""Twenty users at once on a database of many traces: what each kind of page costs them.

``python tests/benchmarks/server_load.py [TRACES] [SECONDS] [USERS] [DB]``: every user asks without
a pause, so these are the latencies of a busy server, not of a quiet one (one user is measured
first). Another process records five traces a second meanwhile, so that answers that are kept until
something is written count as they would on a day like any other. ``DB`` is kept and used again:
filling a million takes minutes.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import quote

from p2re_eval.records import Completion, Message, ModelSettings, RenderedPrompt, Trace, Usage
from p2re_eval.store import open_store

MODELS = [("openai", "gpt-5-mini"), ("anthropic", "claude-haiku-4.5"), ("local", "smollm2")]
WORDS = ["refund", "invoice", "parcel", "password", "card", "order"]
WORDS += ["charge", "account", "late", "broken", "again", "please"]
MOMENT = 1_700_000_000_000_000_000
MONTH_NS = 30 * 86_400 * 1_000_000_000


def fill(db: Path, traces: int) -> float:
    """The seconds that recording them took."""
    luck = random.Random(1)
    began = time.perf_counter()
    with open_store(db) as store:
        waiting = []
        for number in range(1, traces + 1):
            start = MOMENT + number * (MONTH_NS // traces)
            waiting.append(store.finish_trace(trace(number, start, luck)))
            if len(waiting) == 2000:
                waiting.pop().result()
                waiting.clear()
        for one in waiting:
            one.result()
        store.index_everything()
    return time.perf_counter() - began


def trace(number: int, start_ns: int, luck: random.Random) -> Trace:
    """A call of one of three models by one of twenty prompts; every fiftieth is of a session."""
    provider, model = luck.choice(MODELS)
    said = " ".join(luck.choices(WORDS, k=12))
    return Trace(
        trace_id=f"{number:032x}",
        span_id=f"{number & (1 << 64) - 1:016x}",
        name="route",
        status="OK",
        start_ns=start_ns,
        end_ns=start_ns + luck.randrange(10_000_000, 4_000_000_000),
        prompt=RenderedPrompt(
            name=f"prompt_{number % 20}",
            messages=(Message(role="user", content=f"{said} {number}"),),
            model=ModelSettings(provider=provider, name=model),
        ),
        completion=Completion(
            text=luck.choice(WORDS), usage=Usage(input_tokens=90, output_tokens=3)
        ),
        session_id=f"chat-{number % 500}" if number % 50 == 0 else None,
    )


def pages(traces: int, luck: random.Random) -> dict[str, str]:
    """An address of each kind, at any depth of the lists."""
    trace_id = f"{luck.randrange(1, traces):032x}"
    word = luck.choice(WORDS)
    return {
        "list": f"/traces?limit=50&cursor={luck.randrange(100, traces)}",
        "filter": f"/traces?limit=50&model={quote('local/smollm2')}&prompt=prompt_7",
        "trace": f"/traces/{trace_id}",
        "full text": f"/traces?limit=50&q={quote(f'text ~ {word}')}",
        "facets": "/traces/facets",
        "stats": "/stats?by=model",
        "session": "/sessions/chat-50/turns",
    }


def user(port: int, traces: int, until: float, number: int, took: dict[str, list[float]]) -> None:
    luck = random.Random(number)
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.perf_counter() < until:
        for kind, path in pages(traces, luck).items():
            began = time.perf_counter()
            line.request("GET", f"/api/p2re{path}")
            answer = line.getresponse()
            answer.read()
            assert answer.status == 200, (path, answer.status)
            took[kind].append((time.perf_counter() - began) * 1000)
    line.close()


def keep_writing(db: Path, first: int) -> None:
    """Until this process is ended."""
    with open_store(db) as store:
        for number in range(first, 1 << 62):
            store.finish_trace(trace(number, time.time_ns(), random.Random(number))).result()
            time.sleep(0.2)


def main(traces: str = "100000", seconds: str = "10", users: str = "20", kept: str = "") -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Path(kept or f"{folder}/p2re.db").absolute()
        if not db.exists():
            filled = fill(db, int(traces))
            print(f"{int(traces):,} recorded in {filled:.0f} s, {db.stat().st_size >> 20} MB")
        p2re = Path(sys.executable).with_name("p2re")
        command = [p2re, "serve", "--db", db, "--port", "0", "--read-only", "--root", folder]
        server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        writer = multiprocessing.get_context("spawn").Process(
            target=keep_writing, args=(db, time.time_ns()), daemon=True
        )
        writer.start()
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline().partition("127.0.0.1:")[2].partition("/")[0])
            for crowd in (1, int(users)):
                measure(port, server.pid, int(traces), float(seconds), crowd)
        finally:
            writer.terminate()
            server.terminate()
            server.wait(20)


def cpu_s(pid: int) -> float:
    """The seconds of a processor that a process has had."""
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


def measure(port: int, server: int, traces: int, seconds: float, crowd: int) -> None:
    took: dict[str, list[float]] = defaultdict(list)
    before = cpu_s(server)
    until = time.perf_counter() + seconds
    users = [
        threading.Thread(target=user, args=(port, traces, until, number, took))
        for number in range(crowd)
    ]
    for one in users:
        one.start()
    for one in users:
        one.join()
    asked = sum(map(len, took.values()))
    spent = (cpu_s(server) - before) * 1000 / asked
    rate = f"{asked / seconds:.0f} answers a second, {spent:.1f} ms of the server's CPU each"
    print(f"\n{crowd} at once: {rate}")
    for kind, times in took.items():
        p50, p95 = statistics.median(times), statistics.quantiles(times, n=20)[-1]
        print(f"  {kind:10} p50 {p50:7.1f} ms   p95 {p95:7.1f} ms")


if __name__ == "__main__":
    main(*sys.argv[1:])
