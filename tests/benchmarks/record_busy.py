"""Statistics while others write: the median of many reports, and how much was not rolled up.

    python tests/benchmarks/record_busy.py [PROCESSES] [SECONDS]

Every process waits for each of its runs to be on disk before it writes the next.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from pathlib import Path

from record import traces

from p2re_eval.service import Service
from p2re_eval.store import open_store, upkeep
from p2re_eval.store.stat_queries import StatsQuery

BEFORE = 20_000
"""Runs that are there already, spread over 60 days."""
_EVERY_S = 0.05


def main() -> None:
    """Fill a database, write to it from all sides, and ask."""
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 10
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "record.db"
        with open_store(database) as store:
            for trace in traces(BEFORE, time.time_ns()):
                last = store.finish_trace(trace)
            last.result()
            store.index_everything()
            service = Service(store)
            before = service.statistics.report().total.traces
            alone, _ = asked(service, 2)
            until = time.time() + seconds
            writers = [
                multiprocessing.Process(target=write, args=(database, number, until))
                for number in range(processes)
            ]
            for one in writers:
                one.start()
            busy, waiting = asked(service, seconds)
            for one in writers:
                one.join()
            written = service.statistics.report().total.traces - before
    print(f"{'statistics by model, nobody writes, ms':52}{alone[len(alone) // 2]:9.2f}")
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        what = f"while {processes} processes write, {name}, ms"
        print(f"{what:52}{busy[int(len(busy) * share)]:9.2f}")
    print(f"{'runs not rolled up, at most':52}{waiting:9,}")
    print(f"{'runs written, each waited for, a second':52}{written / seconds:9,.0f}")


def asked(service: Service, seconds: float) -> tuple[list[float], int]:
    """Milliseconds of every report, sorted, and the most that was not rolled up."""
    taken, waiting = [], 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        begun = time.perf_counter()
        service.statistics.report(StatsQuery(by=("model",)))
        taken.append((time.perf_counter() - begun) * 1000)
        waiting = max(waiting, service.store.read(upkeep.runs_behind))
        time.sleep(_EVERY_S)
    return sorted(taken), waiting


def write(database: Path, number: int, until: float) -> None:
    """Runs of now, one after the other."""
    with open_store(database) as store:
        for count, trace in enumerate(traces(1_000_000, time.time_ns())):
            if time.time() > until:
                return
            start_ns = time.time_ns()
            now = {
                "trace_id": f"{number + 1:08x}{count:024x}",
                "start_ns": start_ns,
                "end_ns": start_ns + 900_000_000,
                "session_id": None,
                "spans": (),
            }
            store.finish_trace(trace.model_copy(update=now)).result()


if __name__ == "__main__":
    main()
