"""What recording one run costs as the corridor does it: begun, ended, judged, 50 in flight.

    python tests/benchmarks/recording.py [RUNS]

Each run is begun and waited for, ended, and given a result with two evaluations, which is waited
for too: three writes, in transactions shared with the other 49. The making of the records does not
count; the loop that drives it is measured alone first and taken off. CPU is that of the whole
process, as the writer's thread shares the interpreter with the caller.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from record import told, traces

from p2re_eval.engine.landing import Landing
from p2re_eval.records import Evaluation, Result, Score, Trace
from p2re_eval.store import Store, open_store

IN_FLIGHT = 50
CALLER_US = 100
"""The promise: what recording one run may cost on the caller's side."""


@dataclass
class Run:
    """A run at its three moments."""

    begun: Trace
    ended: Trace
    result: Result


def main() -> None:
    """Print both figures of a run."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    runs = list(made(count))
    idle = spent(runs, lambda run, clock: asyncio.sleep(0))
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder) / "record.db") as store:
        asyncio.run(all_of(runs[:100], recorder(store)))
        store.index_everything()
        clock = [0.0]
        cpu = spent(runs[100:], recorder(store), clock)
    each = len(runs) - 100
    print(f"{'CPU of recording a run, us':44}{(cpu - idle) / each * 1e6:12.0f}")
    kept = told("on the caller's side, us", clock[0] / each * 1e6, CALLER_US)
    sys.exit(0 if kept else 1)


def made(count: int) -> Iterator[Run]:
    """Runs of an experiment, without spans of their own."""
    for number, trace in enumerate(traces(count, time.time_ns())):
        ended = trace.model_copy(
            update={
                "spans": (),
                "session_id": None,
                "experiment_id": "experiment",
                "suite": "suites/route.yaml",
                "case_id": f"case-{number}",
                "run_key": f"{number:064x}",
            }
        )
        begun = ended.model_copy(update={"status": "RUNNING", "end_ns": None, "completion": None})
        yield Run(begun, ended, result_of(ended, number))


def result_of(trace: Trace, number: int) -> Result:
    """What two scorers said."""
    said = tuple(
        Evaluation(
            evaluation_id=f"{number:015x}{which}",
            trace_id=trace.trace_id,
            name=name,
            scorer=name,
            scorer_version="a" * 64,
            score=Score(value=1.0, passed=True, explanation="the answer names the department"),
            duration_ns=20_000,
            created_ns=trace.start_ns,
            experiment_id="experiment",
        )
        for which, name in enumerate(("contains", "polite"))
    )
    return Result(
        experiment_id="experiment",
        item=f"suites/route.yaml::{trace.case_id}",
        suite="suites/route.yaml",
        prompt=trace.name,
        prompt_version=trace.prompt.version,
        model=trace.prompt.model.id,
        case_id=trace.case_id or "",
        position=number,
        outcome="passed",
        value=1.0,
        trace_id=trace.trace_id,
        recorded=True,
        evaluations=said,
        inputs_preview="ticket: my parcel is late",
        output_preview="billing",
        row_hash="b" * 64,
        rules_hash="c" * 64,
        fingerprint=f"{number:064x}",
    )


Recorder = Callable[[Run, list[float]], Awaitable[None]]


def recorder(store: Store) -> Recorder:
    """Writes one run; the clock adds up the seconds that the caller is kept."""
    landings: list[Landing] = []

    async def record(run: Run, clock: list[float]) -> None:
        if not landings:
            landings.append(Landing())
        landing = landings[0]
        begun = time.perf_counter()
        written = store.begin_trace(run.begun)
        clock[0] += time.perf_counter() - begun
        await landing.wait(written)
        await asyncio.sleep(0)  # the call
        begun = time.perf_counter()
        ended = store.finish_trace(run.ended)
        saved = store.save_result(run.result, run.result.evaluations)
        clock[0] += time.perf_counter() - begun
        await landing.wait(ended)
        await landing.wait(saved)

    return record


async def all_of(runs: list[Run], record: Recorder, clock: list[float] | None = None) -> None:
    """All runs, some in flight."""
    left = iter(runs)
    clock = clock if clock is not None else [0.0]

    async def worker() -> None:
        for run in left:
            await record(run, clock)

    await asyncio.gather(*(worker() for _ in range(IN_FLIGHT)))


def spent(runs: list[Run], record: Recorder, clock: list[float] | None = None) -> float:
    """CPU seconds of the process."""
    begun = time.process_time()
    asyncio.run(all_of(runs, record, clock))
    return time.process_time() - begun


if __name__ == "__main__":
    main()
