"""What capture adds to a call, beside OpenTelemetry's own batch processor: ``make bench-capture``.

The same OpenAI SDK against the same loopback server, in turns of one process: not instrumented,
instrumented with a batch processor that sends OTLP to a sink, and captured (each call on disk
before it returns). The quickest of many turns, since other programs only ever add to a turn; the
ratio of what is added is the promise.
"""

from __future__ import annotations

import itertools
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
from corridor import server
from openinference.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from tabulate import tabulate

from p2re_eval.tracing import capture

PROMISE = 1.5
INSTRUCTIONS = "Route the ticket to billing, technical or account. " * 20
QUESTION = "I was charged twice for my order and nobody answers. " * 3
_ORDERS = itertools.count(100_000)
"""No two questions are the same: what was looked at once must not make the next one cheap."""


class Sink(BaseHTTPRequestHandler):
    """Takes spans and says yes."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def opentelemetry(provider: TracerProvider):
    """The instrumentor with the SDK's own processor."""
    instrumentor = OpenAIInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        instrumentor.uninstrument()


def calls(client: openai.OpenAI, count: int) -> tuple[float, float]:
    """Microseconds a call: on the clock, and of this process's CPU."""
    clock, cpu = time.perf_counter(), time.process_time()
    for _ in range(count):
        asked = {"role": "user", "content": f"Order {next(_ORDERS)}: {QUESTION}"}
        messages = [{"role": "system", "content": INSTRUCTIONS}, asked]
        client.chat.completions.create(model="bench-1", messages=messages, temperature=0)
    return (time.perf_counter() - clock) / count * 1e6, (time.process_time() - cpu) / count * 1e6


def main(turns: int, count: int) -> None:
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{sink.server_port}/v1/traces")
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    with server(0) as port, tempfile.TemporaryDirectory() as folder:
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none")
        ways: dict[str, Callable[[], AbstractContextManager[object]]] = {
            "not instrumented": nullcontext,
            "OpenTelemetry, batch processor": lambda: opentelemetry(provider),
            "captured by p2re, durable": lambda: capture(Path(folder) / "bench.db"),
        }
        took: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for turn in range(turns + 1):
            for name, way in ways.items():
                with way():
                    one = calls(client, count)
                if turn:  # the first warms up
                    took[name].append(one)
    provider.shutdown()
    sink.shutdown()
    report(took)


def report(took: dict[str, list[tuple[float, float]]]) -> None:
    """The table, and the promise."""
    best = {
        name: [min(values) for values in zip(*rows, strict=True)] for name, rows in took.items()
    }
    plain, theirs, ours = best.values()
    rows = [
        [name, f"{wall:.0f}", f"{wall - plain[0]:.0f}", f"{cpu:.0f}", f"{cpu - plain[1]:.0f}"]
        for name, (wall, cpu) in best.items()
    ]
    print(tabulate(rows, headers=["a call", "us", "added us", "CPU us", "added CPU us"]))
    wall, cpu = ((ours[i] - plain[i]) / (theirs[i] - plain[i]) for i in (0, 1))
    print(f"added by capture / added by OpenTelemetry: {wall:.2f} on the clock, {cpu:.2f} CPU")
    print(f"promise: at most {PROMISE}")


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:3])) if len(sys.argv) > 2 else main(15, 100)
