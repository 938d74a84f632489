"""Processes die, come back under old numbers and write at once: the file tells them apart."""

from __future__ import annotations

import os
import platform
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.records import Experiment
from p2re_eval.store import open_store
from p2re_eval.store.processes import Process, is_dead, this_process

DAY_NS = 24 * 3600 * 1_000_000_000

WRITER = """
import sys
from pathlib import Path
from p2re_eval.clock import SystemClock, new_span_id, new_trace_id
from p2re_eval.records import Completion, Experiment, Message, ModelSettings, RenderedPrompt, Trace
from p2re_eval.store import open_store

def begun(text):
    now = SystemClock().now_ns()
    return Trace(
        trace_id=new_trace_id(now), span_id=new_span_id(), name="p", start_ns=now,
        prompt=RenderedPrompt(name="p", messages=(Message(role="user", content=text),),
                              model=ModelSettings(provider="x", name="m")))

def ended(trace, text):
    return trace.model_copy(update={"status": "OK", "completion": Completion(text=text)})

store = open_store(Path(sys.argv[1]))
"""

DYING = """
store.start_experiment(Experiment(experiment_id="e", name="n", started_ns=1))
for number in range(100000):
    trace = begun(f"question {number}")
    store.begin_trace(trace).result()
    in_flight = begun(f"in flight {number}")
    store.begin_trace(in_flight).result()
    store.finish_trace(ended(trace, f"answer {number}")).result()
    print(trace.trace_id, flush=True)
"""

MANY = """
futures = []
for number in range(500):
    trace = begun(f"{sys.argv[2]} {number}")
    futures.append(store.begin_trace(trace))
    futures.append(store.finish_trace(ended(trace, "yes")))
for future in futures:
    future.result()
store.close()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER + code, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_kill_9_loses_no_acknowledged_answer(database: Path) -> None:
    """Every answer whose future had resolved is there and whole; what was in flight, and the
    experiment, are ABANDONED at the next opening; the index is sound."""
    process = start(DYING, str(database))
    assert process.stdout is not None
    told = [process.stdout.readline().strip() for _ in range(25)]
    process.send_signal(signal.SIGKILL)
    rest, _ = process.communicate()
    told += [line for line in rest.splitlines() if len(line) == 32]
    with open_store(database) as store:
        for number, trace_id in enumerate(told):
            completion = store.read_trace(trace_id).completion
            assert completion is not None
            assert completion.text == f"answer {number}"
        assert store.list_traces(status="RUNNING") == []
        assert len(store.list_traces(status="ABANDONED", limit=1000)) >= len(told)
        assert store.read_experiment("e").status == "ABANDONED"
        assert store.health().integrity == "ok"
        assert store.health().abandoned >= len(told)
        assert len(store.search('"in flight"', limit=1000)) >= len(told)


def test_four_processes_write_one_new_file_and_lose_nothing(database: Path) -> None:
    """All make the file, its tables and 500 runs each at the same time."""
    writers = [start(MANY, str(database), str(number)) for number in range(4)]
    for process in writers:
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
    with open_store(database) as store:
        health = store.health()
        assert health.counts["traces"] == 2000
        assert health.integrity == "ok"
        assert len(store.list_traces(status="OK", limit=5000)) == 2000
        assert (health.running, health.abandoned) == (0, 0)


def test_a_living_process_keeps_its_runs(database: Path, records: Any) -> None:
    """Opening the file elsewhere does not touch what is on its way, nor does closing it there."""
    with open_store(database) as first:
        first.begin_trace(records.trace()).result()
        first.start_experiment(Experiment(experiment_id="e", name="n", started_ns=1))
        with open_store(database) as second:
            second.begin_trace(records.trace()).result()
            assert [row.status for row in second.list_traces()] == ["RUNNING", "RUNNING"]
        assert [row.status for row in first.list_traces()] == ["ABANDONED", "RUNNING"]
        assert first.read_experiment("e").status == "RUNNING"


def test_who_is_dead(clock: Any) -> None:
    """A pid with another start time is somebody else; so is one from before the last boot."""
    now_ns = clock.now_ns()
    me = this_process()

    def dead(process: Process, opened_ns: int = now_ns) -> bool:
        return is_dead(process, opened_ns=opened_ns, now_ns=now_ns)

    child = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    zombie = Process(me.host, me.boot, child.pid, me.started)
    assert dead(zombie)
    child.wait()
    assert dead(zombie)
    assert not dead(me)
    assert dead(replace(me, boot="another boot"))
    if me.started:
        assert dead(replace(me, started="1"))
    stranger = replace(me, host="another machine", pid=1)
    assert not dead(stranger)
    assert dead(stranger, now_ns - 2 * DAY_NS)


def test_a_reused_pid_does_not_keep_a_dead_run_running(database: Path, records: Any) -> None:
    """The row of a process that had our pid, but started at another time, is abandoned."""
    me = this_process()
    if not me.started:
        pytest.skip("this system does not tell when a process started")
    with open_store(database) as store:
        store.begin_trace(records.trace()).result()
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE processes SET started = '1'")
            connection.commit()
        with open_store(database) as other:
            assert [row.status for row in other.list_traces()] == ["ABANDONED"]


def test_an_answer_that_comes_after_all_replaces_abandoned(database: Path, records: Any) -> None:
    """A machine that slept, a host that was given up: the answer counts."""
    trace = records.trace()
    with open_store(database) as slow:
        slow.begin_trace(trace).result()
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE processes SET host = 'gone', opened_ns = 1")
            connection.commit()
        with open_store(database) as other:
            assert [row.status for row in other.list_traces()] == ["ABANDONED"]
        slow.finish_trace(records.answered(trace)).result()
        assert slow.read_trace(trace.trace_id) == records.answered(trace)


def test_this_process_is_named_without_asking_the_network() -> None:
    """A host name, a boot, a pid and a start."""
    me = this_process()
    assert (me.host, me.pid) == (platform.node(), os.getpid())
    assert me == this_process()
