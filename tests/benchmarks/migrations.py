"""A large database from every earlier schema to today's: how long it takes, what it needs of the
disk, and that a kill in the middle loses nothing.

    python tests/benchmarks/migrations.py [TRACES]
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from p2re_eval.store import open_store
from p2re_eval.store.migrations import STEPS
from tests.store.old_files import EARLIER, migrate_to, old_file

_SMALL_STEP_S = 0.02


def main(runs: int = 200_000) -> int:
    """Prints a line for each schema; 1 where something is wrong."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="p2re-migrations-") as name:
        old = old_file(Path(name) / "old.db", 1, runs=runs)
        print(f"{runs:,} traces, {len(STEPS)} schemas; a kill at a random moment of each")
        print("from    file MB   seconds   needs MB   of the file   after a kill")
        for version in EARLIER:
            migrate_to(old, version)
            wrong += _measured(old, version, runs)
    print(*(wrong or ["nothing is wrong"]), sep="\n")
    return bool(wrong)


def _measured(old: Path, version: int, runs: int) -> list[str]:
    folder = old.parent / f"from{version}"
    size = old.stat().st_size
    begun = time.monotonic()
    with _peak(folder, old) as peak:
        pid = _migrating(folder / "old.db")
        os.waitpid(pid, 0)
    seconds = time.monotonic() - begun
    wrong = [f"schema {version}: {line}" for line in _wrong(folder / "old.db", runs)]
    needs = peak[0] - size
    again = _after_a_kill(folder, old, seconds)
    wrong += [f"schema {version}, killed: {line}" for line in _wrong(folder / "old.db", runs)]
    shutil.rmtree(folder)
    print(
        f"{version:>4} {size / 1e6:>10.0f} {seconds:>9.1f} {needs / 1e6:>10.0f} "
        f"{needs / size:>11.2f} x {again:>10.1f} s",
        flush=True,
    )
    return wrong


def _after_a_kill(folder: Path, old: Path, seconds: float) -> float:
    """Kill a migration somewhere, and give how long the next opening takes."""
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(old, folder / "old.db")
    pid = _migrating(folder / "old.db")
    time.sleep(random.uniform(0.1, 0.9) * seconds)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    begun = time.monotonic()
    os.waitpid(_migrating(folder / "old.db"), 0)
    return time.monotonic() - begun


def _migrating(database: Path) -> int:
    """A process that opens the database, which migrates it, and says nothing."""
    pid = os.fork()
    if not pid:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        open_store(database).close()
        os._exit(0)
    return pid


@contextmanager
def _peak(folder: Path, old: Path) -> Iterator[list[int]]:
    """The most bytes that were in the folder, beginning with a copy of the file."""
    folder.mkdir()
    shutil.copy(old, folder / "old.db")
    most, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(_SMALL_STEP_S):
            most[0] = max(most[0], sum(_size(path) for path in folder.iterdir()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _wrong(database: Path, runs: int) -> Iterator[str]:
    with closing(sqlite3.connect(database)) as connection:
        if connection.execute("PRAGMA user_version").fetchone()[0] != len(STEPS):
            yield "not at today's schema"
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            yield "damaged"
        for table in ("traces", "spans", "responses", "evaluations"):
            found = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            if found != runs:
                yield f"{found:,} {table}"
    if len(list(database.parent.glob("*.backup"))) == 0:
        yield "no backup"
    with open_store(database) as store:
        first = store.read_trace(f"{1:032x}")
        if first.completion is None or first.completion.text != "answer 1":
            yield "the first trace says something else"


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:])))
