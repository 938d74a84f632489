"""Ctrl-C, kill -9, full disks and xdist: what was answered is never lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.store import open_store


def _start(project: Any, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", "--p2re", "--p2re-db", str(project.db), *arguments]
    return subprocess.Popen(
        command, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait_for_answers(database: Path, count: int) -> None:
    """Until so many answers are on disk, at most half a minute."""
    import sqlite3

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if database.exists():
            try:
                with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                    query = "select count(*) from traces where status = 'OK'"
                    if connection.execute(query).fetchone()[0] >= count:
                        return
            except sqlite3.OperationalError:
                pass
        time.sleep(0.02)
    pytest.fail("no answers arrived")


def test_ctrl_c_keeps_and_reports_what_was_answered(project: Any) -> None:
    """Exit code 2; the summary is printed; answered runs have results; nothing is RUNNING."""
    project.suite({f"t{n}": "billing" for n in range(500)}, extra={"latency_s": 0.2})
    process = _start(project, "--p2re-concurrency", "5")
    _wait_for_answers(project.db, 10)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == 2, output
    assert "KeyboardInterrupt" in output
    assert "database" in output
    with open_store(project.db) as store:
        experiment = store.read_experiment("latest")
        assert experiment.status == "INTERRUPTED"
        results = list(store.results(experiment.experiment_id))
        answered = store.list_traces(limit=1000, status="OK")
        assert store.list_traces(status="RUNNING") == []
    assert len(results) == len(answered) >= 10


def test_kill_9_loses_no_answer_that_was_received(project: Any) -> None:
    """At the next open every OK trace is whole and what was in flight is ABANDONED."""
    project.suite({f"t{n}": "billing" for n in range(500)}, extra={"latency_s": 0.1})
    process = _start(project, "--p2re-concurrency", "5")
    _wait_for_answers(project.db, 15)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)
    with open_store(project.db) as store:
        answered = store.list_traces(limit=1000, status="OK")
        assert len(answered) >= 15
        first = store.read_trace(answered[0].trace_id)
        assert first.completion is not None
        assert first.completion.text == "billing"
        assert store.list_traces(status="RUNNING") == []
        assert len(store.list_traces(status="ABANDONED")) >= 1
        assert store.read_experiment("latest").status == "ABANDONED"


def test_xdist_workers_share_the_file_and_make_one_report(project: Any) -> None:
    """One experiment, every result once, gates decided when all workers are done."""
    project.suite({f"t{n}": "billing" for n in range(20)}, more="gates: [pass_rate >= 0.9]")
    result = project.run("-n", "2", "--p2re-report", "report.json", subprocess=True)
    result.assert_outcomes(passed=21)
    assert len(project.results()) == 20
    with open_store(project.db) as store:
        assert len(store.list_experiments(10)) == 1
        assert [v.passed for v in store.read_experiment("latest").verdicts] == [True]
    assert (project.path / "report.json").exists()


def test_xdist_gates_that_fail_make_the_run_red(project: Any) -> None:
    """The controller's verdict reaches the exit code."""
    project.suite({f"t{n}": "technical" for n in range(6)}, more="gates: [pass_rate >= 0.5]")
    result = project.run("-n", "2", subprocess=True)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*gate?pass_rate >= 0.5?*"])


def test_a_database_that_cannot_be_opened_is_a_sentence(project: Any) -> None:
    """No traceback, no model called."""
    project.suite({"x": "billing"})
    project.db.write_text("this is no database, it is a diary of some length")
    result = project.run()
    assert result.ret == 4
    result.stderr.fnmatch_lines(["*runs.db*"])
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert project.db.read_text().startswith("this is no database")
