"""kill -9 at random moments, many times: is an answer that was acknowledged ever lost?

Each round starts a real ``pytest --p2re`` of 400 runs, kills it after a random time and opens the
database again. A plug-in writes the id of each trace that the engine acknowledged to a file; every
one of them must be there, OK and with its result, and nothing may be left RUNNING.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from p2re_eval.store import open_store

PROMPT = "model: {provider: function, name: app:answer}\ninputs: {n: integer}\nprompt: '{{ n }}'\n"
APP = """\
import asyncio, random

async def answer(n):
    await asyncio.sleep(random.uniform(0.005, 0.05))
    return f"answer {n} " + "x" * 3000
"""
PLUGIN = """\
import os
from p2re_eval import hookimpl

LOG = os.open("acknowledged", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

@hookimpl
def trace_recorded(trace, evaluations):
    os.write(LOG, f"{trace.trace_id}\\n".encode())
"""


def write_project(folder: Path) -> None:
    """A suite of 400 cases on a function that takes 5 to 50 ms."""
    cases = "".join(f"  - {{inputs: {{n: {n}}}, expected: answer {n}}}\n" for n in range(400))
    files = {
        "prompts/count.yaml": PROMPT,
        "suites/count.yaml": f"prompt: count\nscorers: [contains]\ncases:\n{cases}",
        "app.py": APP,
        "conftest.py": PLUGIN,
        "pytest.ini": "[pytest]\n",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def run_and_kill(folder: Path, after_s: float) -> None:
    """Start the suite and kill the whole process group after the first answer and this time."""
    command = [sys.executable, "-m", "pytest", "--p2re", "--p2re-db", "runs.db", "-q"]
    command += ["-p", "no:cacheprovider", "--p2re-concurrency", "20"]
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, start_new_session=True
    )
    before = len(acknowledged(folder))
    while process.poll() is None and len(acknowledged(folder)) == before:
        time.sleep(0.01)
    time.sleep(after_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def acknowledged(folder: Path) -> list[str]:
    """The ids of all traces that the engine said are on disk."""
    log = folder / "acknowledged"
    return log.read_text().split() if log.exists() else []


def lost(folder: Path) -> list[str]:
    """Acknowledged traces that are not there, not whole, or without their result."""
    with open_store(folder / "runs.db") as store:
        assert store.list_traces(status="RUNNING") == []
        kept = {row.trace_id for row in store.list_traces(limit=1_000_000, status="OK")}
        judged = {
            result.trace_id
            for experiment in store.list_experiments(limit=10_000)
            for result in store.results(experiment.experiment_id)
        }
    return [trace_id for trace_id in acknowledged(folder) if trace_id not in kept & judged]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_project(folder)
        for number in range(1, rounds + 1):
            run_and_kill(folder, random.uniform(0, 0.8))
            missing = lost(folder)
            print(f"kill {number}: {len(acknowledged(folder))} acknowledged, {len(missing)} lost")
            if missing:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
