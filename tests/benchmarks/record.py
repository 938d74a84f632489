"""The record at full size: ingest, page, filter, full text, detail, statistics, retention.

    python tests/benchmarks/record.py [TRACES] [FOLDER]

Traces have three spans each, prompts of 1.1 KB (a shared instruction, a question of its own) and
answers of 0.5 KB, spread over 60 days, four models and five prompts. Making these records costs as
much as writing them: both are measured, in turns of 10,000, and "ingest" is the time from handing
over the first trace of a turn to the last one being on disk. SQLite alone writes the same rows
again, as a floor. Every figure is printed beside what is
promised; the program ends with 1 when a promise is not kept.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from memory_chart import MemoryChart
from record_floor import floor

from p2re_eval.records import (
    Completion,
    Message,
    ModelSettings,
    RenderedPrompt,
    Span,
    Trace,
    Usage,
)
from p2re_eval.service import Service
from p2re_eval.store import Store, TraceFilter, open_store
from p2re_eval.store.retention import RetentionPolicy
from p2re_eval.store.stat_queries import StatsQuery

DAY = 86_400_000_000_000
DAYS = 60
TURN = 10_000
LONG, TURNS_EACH = 50, 2000
"""Sessions with many turns."""
OF_FLOOR = 50_000
"""Traces whose rows are written again by SQLite alone."""
INSTRUCTION = "You route tickets to billing, technical or account and answer kindly. " * 9
WORDS = [
    "order",
    "refund",
    "parcel",
    "invoice",
    "login",
    "courier",
    "password",
    "billing",
    "account",
    "late",
    "broken",
]
MODELS = [ModelSettings(provider="openai", name=f"model-{n}") for n in range(4)]


def main() -> None:
    """Fill a database and ask it everything."""
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    database = folder / "record.db"
    kept = []
    print(f"{wanted:,} traces with 3 spans each, {database}")
    now_ns = time.time_ns()
    with open_store(database) as store:
        chart = MemoryChart(-(-wanted // TURN))
        spent = fill(store, wanted, now_ns, chart)
        print(f"{'making the traces, us each':44}{spent['making'] / wanted * 1e6:12.0f}")
        print(f"{'CPU of ingest, us a trace':44}{spent['cpu'] / wanted * 1e6:12.0f}")
        kept.append(told("ingest, traces/s", wanted / spent["ingest"], 10_000, least=True))
        slowest = wanted / spent["turns"] / spent["slowest"]
        print(f"{'slowest turn, traces/s':44}{slowest:12,.0f}")
        print(*chart.lines(), sep="\n")
        kept.append(told("steepest growth of a tenth from the 2nd, MB", chart.steepest_mb(), 10))
        begun = time.perf_counter()
        store.index_everything()
        print(f"{'index and rollups caught up, s':44}{time.perf_counter() - begun:12.1f}")
        for what, us in floor(database, min(wanted, OF_FLOOR)).items():
            print(f"{f'SQLite alone, {what}, us a trace':44}{us:12.0f}", flush=True)
        size = database.stat().st_size / wanted
        kept.append(told("bytes a trace", size, 2_200))
        kept += questions(Service(store), wanted)
        kept += long_sessions(store, Service(store))
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"{'memory at most, MB':44}{memory:12.0f}")
        prune(Service(store), database)
    sys.exit(0 if all(kept) else 1)


def traces(count: int, now_ns: int) -> Iterator[Trace]:
    """Traces in the order of time, the last a minute ago."""
    rng = random.Random(5)
    step = DAYS * DAY // count
    for number in range(count):
        start = now_ns - (count - number) * step - 60_000_000_000
        question = " ".join(rng.choices(WORDS, k=70)) + f" ticket {number}"
        messages = (
            Message(role="system", content=INSTRUCTION),
            Message(role="user", content=question),
        )
        prompt = RenderedPrompt(
            name=f"route-{number % 5}",
            version=f"{number % 5:x}" * 64,
            messages=messages,
            model=MODELS[number % 4],
        )
        trace_id = f"{number:032x}"
        spans = tuple(
            Span(
                span_id=f"{number * 4 + child:016x}",
                trace_id=trace_id,
                name=f"step-{child}",
                kind="TOOL",
                start_ns=start,
                end_ns=start + 1_000_000,
                attributes={"step": child},
            )
            for child in range(1, 4)
        )
        yield Trace(
            trace_id=trace_id,
            span_id=f"{number * 4:016x}",
            name=prompt.name,
            status="OK" if number % 50 else "ERROR",
            start_ns=start,
            end_ns=start + rng.randrange(50_000_000, 3_000_000_000),
            prompt=prompt,
            completion=Completion(
                text=" ".join(rng.choices(WORDS, k=70)),
                usage=Usage(input_tokens=280, output_tokens=120),
                cost_usd=rng.random() / 100 if number % 3 else None,
            ),
            session_id=f"chat-{number // 20}" if number % 2 else None,
            tags=("vip",) if number % 1000 == 0 else (),
            spans=spans,
        )


def fill(store: Store, count: int, now_ns: int, chart: MemoryChart) -> dict[str, float]:
    """As fast as the writer takes them; gives the seconds of making, ingest, its CPU and its
    slowest turn, and the number of turns."""
    spent = dict.fromkeys(("making", "ingest", "cpu", "slowest", "turns"), 0.0)
    source = traces(count, now_ns)
    while True:
        begun = time.perf_counter()
        made = list(islice(source, TURN))
        spent["making"] += time.perf_counter() - begun
        if not made:
            return spent
        begun, cpu = time.perf_counter(), time.process_time()
        for trace in made:
            last = store.finish_trace(trace)
        last.result()
        took = time.perf_counter() - begun
        spent["ingest"] += took
        spent["cpu"] += time.process_time() - cpu
        spent["slowest"] = max(spent["slowest"], took)
        spent["turns"] += 1
        chart.turned()


def questions(service: Service, count: int) -> Iterator[bool]:
    """Everything that a list, a filter, a viewer or a chart asks."""
    deep = str(count // 10)
    middle = f"{count // 2:032x}"
    pages: dict[str, Callable[[], object]] = {
        "newest page": lambda: service.traces.list(limit=50),
        "page at nine tenths of the depth": lambda: service.traces.list(limit=50, cursor=deep),
        "filter: model": lambda: service.traces.list(TraceFilter(model="openai/model-1"), limit=50),
        "filter: errors of a prompt": lambda: service.traces.list(
            TraceFilter(prompt="route-1", status="ERROR"), limit=50
        ),
        "filter: session": lambda: service.traces.list(TraceFilter(session_id="chat-7"), limit=50),
        "search: tag and cost": lambda: service.traces.search("tag == vip and cost_usd > 0.001"),
        "search: model, cost and version": lambda: service.traces.search(
            "model == openai/model-2 and cost_usd > 0.005 and version == 2222222"
        ),
        "trace detail": lambda: service.traces.get(middle),
    }
    for name, ask in pages.items():
        yield told(f"{name}, ms", fastest(ask), 5)
    words = {
        "full text: common word": "refund",
        "full text: phrase": f'"ticket {count // 3}"',
        "full text: common word and model": "refund and model == openai/model-3",
    }
    for name, expression in words.items():
        yield told(f"{name}, ms", fastest(lambda e=expression: service.traces.search(e)), 50)
    stats = {
        "statistics by model": StatsQuery(by=("model",)),
        **{
            f"statistics by {' and '.join(by)}": StatsQuery(by=by)
            for by in (("prompt",), ("version",), ("day",), ("model", "prompt"), ("day", "model"))
        },
        "statistics of 30 days by day": StatsQuery(by=("day",), since_ns=time.time_ns() - 30 * DAY),
        "statistics of 7 days by model": StatsQuery(
            by=("model",), since_ns=time.time_ns() - 7 * DAY
        ),
    }
    for name, wanted in stats.items():
        yield told(f"{name}, ms", fastest(lambda w=wanted: service.statistics.report(w)), 5)
    begun = time.perf_counter()
    page = service.traces.search("latency > 1h")
    took = (time.perf_counter() - begun) * 1000
    print(f"{'no index: one bounded page, ms':44}{took:12.1f}  ({page.note})")


def long_sessions(store: Store, service: Service) -> Iterator[bool]:
    """The list of sessions, when the newest are long."""
    for number, trace in enumerate(traces(LONG * TURNS_EACH, time.time_ns())):
        ids = {"trace_id": f"{number:031x}a", "session_id": f"long-{number % LONG}", "spans": ()}
        last = store.finish_trace(trace.model_copy(update=ids))
    last.result()
    what = f"list of sessions of {TURNS_EACH} turns, ms"
    yield told(what, fastest(lambda: service.sessions.list(limit=LONG)), 5)


def prune(service: Service, database: Path) -> None:
    """Two thirds of it go."""
    before = service.statistics.report().total
    size = database.stat().st_size
    begun = time.perf_counter()
    report = service.keeping.prune(RetentionPolicy(row_days=DAYS / 3))
    seconds = time.perf_counter() - begun
    print(f"{'prune, traces/s':44}{report.rows_deleted / seconds:12,.0f}  ({seconds:.0f} s)")
    after = database.stat().st_size
    print(f"{'file before and after, MB':44}{size / 1e6:12.0f}{after / 1e6:12.0f}")
    now = service.statistics.report().total
    same = {"cost_usd": before.cost_usd}  # a sum of floats depends on its order, in the last digit
    assert now.model_copy(update=same) == before, "a chart has changed"
    assert abs((now.cost_usd or 0) - (before.cost_usd or 0)) < 1e-6, "a cost has changed"


def fastest(ask: Callable[[], object], times: int = 7) -> float:
    """Milliseconds of the median of some askings: the machine may be busy."""
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        ask()
        taken.append((time.perf_counter() - begun) * 1000)
    return sorted(taken)[times // 2]


def told(name: str, value: float, promise: float, *, least: bool = False) -> bool:
    """Print a figure beside its promise; whether it is kept."""
    kept = value >= promise if least else value <= promise
    sign = ">=" if least else "<="
    print(f"{name:44}{value:12,.2f}  {sign} {promise:,}{'' if kept else '   NOT KEPT'}", flush=True)
    return kept


if __name__ == "__main__":
    main()
