"""The store under load and faults: many writers, kill -9, a full disk, a crash in a migration.

    PYTHONPATH=. python tests/benchmarks/store_faults.py [--seconds 130] [--kills 200]

Processes are forked from one that never opened a database, so that hundreds of them cost little.
Each writes down, outside the database, what the store told it is on disk. The program ends with 1
when anything of that is missing, or anything in a file is not as it should be.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from p2re_eval.service import Service
from p2re_eval.store import Store, open_store
from p2re_eval.store.stat_queries import StatsQuery
from tests.store.old_files import EARLIER, crash_everywhere
from tests.store.soundness import begun, ended, judged, unsound

WRITERS = 8
READERS = 2
IN_FLIGHT = 20


def main() -> int:
    """All of it, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=130)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--only", choices=("load", "kills", "disk", "migrations"))
    options = parser.parse_args()
    proofs: dict[str, Callable[[Path], list[str]]] = {
        "load": lambda folder: load(folder, options.seconds),
        "kills": lambda folder: kills(folder, options.kills),
        "disk": full_disk,
        "migrations": migrations,
    }
    failed = False
    for name, proof in proofs.items():
        if options.only not in (None, name):
            continue
        with tempfile.TemporaryDirectory() as folder:
            wrong = proof(Path(folder))
        failed = failed or bool(wrong)
        print(f"{name}: {'; '.join(wrong) or 'nothing lost, nothing wrong'}", flush=True)
    return 1 if failed else 0


def load(folder: Path, seconds: float) -> list[str]:
    """Eight processes write while two read."""
    database = folder / "runs.db"
    until = time.monotonic() + seconds
    writers = [
        forked(folder / f"writer-{number}", lambda log: write_until(database, log, until))
        for number in range(WRITERS)
    ]
    while not database.is_file():
        time.sleep(0.01)
    time.sleep(0.5)
    readers = [
        forked(folder / f"reader-{number}", lambda log: read_until(database, log, until))
        for number in range(READERS)
    ]
    wrong = [f"process {pid} failed" for pid in (*writers, *readers) if not succeeded(pid)]
    told = [one for number in range(WRITERS) for one in lines(folder / f"writer-{number}")]
    print(f"{len(told):,} runs by {WRITERS} processes, {len(told) / seconds:,.0f} a second")
    taken: dict[str, list[float]] = {}
    for number in range(READERS):
        for line in lines(folder / f"reader-{number}"):
            what, _, ms = line.rpartition(" ")
            taken.setdefault(what, []).append(float(ms))
    for what, some in taken.items():
        ordered = sorted(some)
        middle, late = (ordered[int(len(ordered) * share)] for share in (0.5, 0.99))
        print(f"  {what:20} {len(some):6} times, p50 {middle:7.2f} ms, p99 {late:7.2f} ms")
    return wrong + missing(database, told) + unsound(database)


def kills(folder: Path, times: int) -> list[str]:
    """A process that writes is killed at a random moment, again and again, on one file."""
    database, log = folder / "runs.db", folder / "told"
    wrong: list[str] = []
    for number in range(times):
        before = log.stat().st_size if log.exists() else 0
        pid = forked(log, lambda told: write_until(database, told, float("inf")))
        while not log.exists() or log.stat().st_size == before:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.3))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("PRAGMA quick_check").fetchone()[0]
        wrong += [] if found == "ok" else [f"kill {number}: {found}"]
    told = lines(log)
    print(f"{times} kills, {len(told):,} runs were said to be on disk")
    return wrong + missing(database, told) + unsound(database)


def full_disk(folder: Path) -> list[str]:
    """A small disk fills up under the writer; with room again, what could not be written comes."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        print("no small disk can be made here (mount was refused)")
        return []
    try:
        log = folder / "told"
        pid = forked(log, lambda told: write_until(disk / "runs.db", told, float("inf")))
        complained = not succeeded(pid)
        remount = ["mount", "-o", "remount,size=200m", str(disk)]
        subprocess.run(remount, capture_output=True, check=True)
        told = lines(log)
        print(f"disk full after {len(told):,} runs")
        wrong = [] if complained else ["the writer did not notice"]
        return wrong + missing(disk / "runs.db", told) + unsound(disk / "runs.db")
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)


def migrations(folder: Path) -> list[str]:
    """From every earlier schema, with a crash in every later step."""
    wrong = [line for version in EARLIER for line in crash_everywhere(folder, version)]
    print(f"{len(EARLIER)} earlier schemas, a crash at three places of every later step")
    return wrong


def write_until(database: Path, log: int, until: float) -> None:
    """Runs begun, ended and judged, some in flight; what is acknowledged goes to the log."""
    with open_store(database) as store:
        number = 0
        while time.monotonic() < until:
            for trace_id in written(store, number):
                os.write(log, f"{trace_id}\n".encode())
            number += IN_FLIGHT


def written(store: Store, first: int) -> Iterator[str]:
    """Some runs at once; their ids when they are on disk."""
    text = f"question of {os.getpid()}: "
    runs = [begun(time.time_ns(), f"{text}{first + n}") for n in range(IN_FLIGHT)]
    for future in [store.begin_trace(run) for run in runs]:
        future.result()
    endings = [
        (
            store.finish_trace(ended(run, f"answer {first} " + "so it is " * 60, time.time_ns())),
            store.save_evaluations([judged(run)]),
        )
        for run in runs
    ]
    for run, (ending, saying) in zip(runs, endings, strict=True):
        ending.result()
        saying.result()
        yield run.trace_id


def read_until(database: Path, log: int, until: float) -> None:
    """What a web page asks, and how long it waited."""
    with open_store(database, read_only=True) as store:
        service = Service(store)
        asks: dict[str, Callable[[], object]] = {
            "newest page": lambda: service.traces.list(limit=50),
            "one trace": lambda: service.traces.get(service.traces.list(limit=1).items[0].trace_id),
            "statistics": lambda: service.statistics.report(StatsQuery(by=("model",))),
            "search": lambda: service.traces.search('text ~ "answer"'),
        }
        while time.monotonic() < until:
            for what, ask in asks.items():
                started = time.perf_counter()
                ask()
                took = (time.perf_counter() - started) * 1000
                os.write(log, f"{what} {took:.3f}\n".encode())
            time.sleep(0.02)


def missing(database: Path, told: list[str]) -> list[str]:
    """Runs that were said to be on disk, and are not there with answer, span and judgement."""
    whole = (
        "SELECT t.trace_id FROM traces t JOIN responses r ON r.trace = t.id AND r.span IS NULL "
        "JOIN blobs b ON b.id = r.message JOIN spans s ON s.trace = t.id "
        "JOIN evaluations e ON e.trace_id = t.trace_id WHERE t.status = 'OK'"
    )
    with open_store(database) as store:
        there = store.read(lambda connection: {row[0] for row in connection.execute(whole)})
        running = len(store.list_traces(status="RUNNING"))
    lost = [one for one in told if one not in there]
    wrong = [f"{len(lost)} acknowledged runs are lost, {lost[0]} is one"] if lost else []
    return wrong + ([f"{running} are still RUNNING"] if running else [])


def forked(log: Path, work: Callable[[int], None]) -> int:
    """A process that does this and is gone; gives its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        code = 0
    except BaseException:  # noqa: BLE001 - told, and the parent sees the code
        traceback.print_exc(limit=-2)
    finally:
        os._exit(code)


def succeeded(pid: int) -> bool:
    """Whether the process ended well."""
    return os.waitpid(pid, 0)[1] == 0


def lines(log: Path) -> list[str]:
    """Whole lines only: the last may have been cut off."""
    return log.read_text().split("\n")[:-1] if log.exists() else []


if __name__ == "__main__":
    sys.exit(main())
