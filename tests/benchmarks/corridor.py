"""The corridor against its floors, whole processes, side by side: ``make bench``.

Every figure is the median of several rounds in which the contestants take turns, so that a slow
moment of the machine hits all of them. Ratios are what counts; absolute times drift.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

HERE = Path(__file__).parent
PYTHON = sys.executable
PLUGIN = ("env", "PYTEST_PLUGINS=p2re_eval.pytest_plugin")
"""Other installed plugins are left out of every contestant: they would be measured with it. Not by
``-p``: that reads the entry points of everything installed, as pytest otherwise does by itself."""


@dataclass(frozen=True)
class Cost:
    """One process: wall and CPU seconds, peak memory in MB."""

    wall_s: float
    cpu_s: float
    memory_mb: float


@contextmanager
def server(latency_ms: int) -> Iterator[int]:
    """The loopback server's port."""
    process = subprocess.Popen(
        [PYTHON, HERE / "loopback.py", str(latency_ms)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.stdin.close()
        process.wait()


def run(command: Sequence[object], folder: Path) -> Cost:
    """Run a command to its end and read the operating system's own accounting of it."""
    environment = {
        **os.environ,
        "HOME": str(folder),
        "P2RE_DB": str(folder / "bench.db"),
        "OPENAI_API_KEY": "none",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        # Everybody's modules are compiled once, in the round that does not count.
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    before = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - before
    if process.returncode:
        sys.exit(f"{' '.join(map(str, command))} ended with {process.returncode}:\n{output}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def project(folder: Path, port: int, cases: int) -> None:
    """A prompt and a suite of inline YAML cases against the loopback server."""
    (folder / "prompts").mkdir()
    (folder / "suites").mkdir()
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "prompts/route.yaml").write_text(
        f"""model: {{provider: openai, name: bench-1, base_url: "http://127.0.0.1:{port}/v1"}}
inputs:
  ticket: {{type: string}}
messages:
  - system: Route this ticket to billing, technical or account.
  - user: "{{{{ ticket }}}}"
"""
    )
    lines = ["prompt: route", "scorers: [equals]", "cases:"]
    for number in range(cases):
        lines.append(f"  - id: case-{number}")
        lines.append(f"    inputs: {{ticket: 'I was charged twice, number {number}'}}")
        lines.append("    expected: billing")
    (folder / "suites/bench.yaml").write_text("\n".join(lines) + "\n")


def rounds(contestants: dict[str, Sequence[object]], folder: Path, count: int) -> dict[str, Cost]:
    """Each contestant's median cost over so many rounds, after one that does not count."""
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for number in range(count + 1):
        for name, command in contestants.items():
            cost = run(command, folder)
            if number:
                costs[name].append(cost)
    return {
        name: Cost(
            statistics.median(c.wall_s for c in measured),
            statistics.median(c.cpu_s for c in measured),
            statistics.median(c.memory_mb for c in measured),
        )
        for name, measured in costs.items()
    }


def ours(concurrency: int) -> list[object]:
    """The whole corridor: YAML, items, durable traces, a score, the terminal and HTML report."""
    return [
        *PLUGIN, PYTHON, "-m", "pytest", "--p2re", "suites", "-q", "-p", "no:cacheprovider",
        "--p2re-concurrency", concurrency
    ]  # fmt: skip


def many(cases: int, latency_ms: int, concurrency: int, count: int) -> list[list[object]]:
    """Rows for one load: wall over the limit, CPU a run, memory."""
    limit_s = -(-cases // concurrency) * latency_ms / 1000
    with tempfile.TemporaryDirectory() as name, server(latency_ms) as port:
        folder = Path(name)
        project(folder, port, cases)
        script = HERE / "contestants.py"
        found = rounds(
            {
                "floor: bare sockets": [PYTHON, script, "floor", port, cases, concurrency],
                "by hand: gather + SDK": [PYTHON, script, "by-hand", port, cases, concurrency],
                "p2re": ours(concurrency),
            },
            folder,
            count,
        )
    hand = found["by hand: gather + SDK"].wall_s
    return [
        [
            f"{cases} runs, {latency_ms} ms, {concurrency} in flight",
            who,
            f"{cost.wall_s:.2f}",
            f"{cost.wall_s / limit_s:.2f}" if limit_s else "",
            f"{cost.wall_s / hand:.2f}",
            f"{cost.cpu_s / cases * 1000:.2f}",
            f"{cost.memory_mb:.0f}",
        ]
        for who, cost in found.items()
    ]


def one_case(count: int) -> list[list[object]]:
    """One case as a whole process, beside a plain pytest test that calls the SDK."""
    with tempfile.TemporaryDirectory() as name, server(0) as port:
        folder = Path(name)
        project(folder, port, 1)
        (folder / "test_plain.py").write_text(
            f"""from openai import OpenAI


def test_route():
    with OpenAI(base_url="http://127.0.0.1:{port}/v1", api_key="none") as client:
        answer = client.chat.completions.create(
            model="bench-1", messages=[{{"role": "user", "content": "I was charged twice"}}]
        )
    assert answer.choices[0].message.content == "billing"
"""
        )
        quiet = ["-q", "-p", "no:cacheprovider"]
        found = rounds(
            {
                "plain pytest + SDK": [PYTHON, "-m", "pytest", "test_plain.py", *quiet],
                "p2re": ours(10),
            },
            folder,
            count,
        )
    base = found["plain pytest + SDK"].wall_s
    return [
        ["one case", who, f"{c.wall_s:.2f}", "", f"{c.wall_s / base:.2f}", "", f"{c.memory_mb:.0f}"]
        for who, c in found.items()
    ]


def not_used(count: int) -> list[list[object]]:
    """What being installed costs an ordinary pytest run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "test_plain.py").write_text("def test_one():\n    assert True\n")
        base = [PYTHON, "-m", "pytest", "test_plain.py", "-q", "-p", "no:cacheprovider"]
        found = rounds(
            {"without the plugin": base, "installed, not used": [*PLUGIN, *base]},
            folder,
            count * 4,
        )
    plain = found["without the plugin"].wall_s
    rows = []
    for who, cost in found.items():
        more = f"+{(cost.wall_s - plain) * 1000:.0f} ms"
        load = "pytest of one test"
        rows.append([load, who, f"{cost.wall_s:.3f}", "", more, "", f"{cost.memory_mb:.0f}"])
    return rows


def main() -> None:
    """Measure everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    count = parser.parse_args().rounds
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    )
    rows = [
        *many(1000, 100, 50, count),
        *many(1000, 100, 20, max(1, count // 2)),
        *many(5000, 100, 200, max(1, count // 2)),
        *many(1000, 0, 50, count),
        *one_case(count),
        *not_used(count),
    ]
    headers = ["load", "program", "wall s", "wall / limit", "/ by hand", "CPU ms a run", "MB"]
    print(tabulate(rows, headers=headers, disable_numparse=True))


if __name__ == "__main__":
    main()
