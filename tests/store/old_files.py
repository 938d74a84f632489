"""Files as earlier schemas left them, and migrations that are interrupted."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from p2re_eval.records import Message
from p2re_eval.store import open_store
from p2re_eval.store.connection import _connect as connect
from p2re_eval.store.migrations import STEPS, create_tables, migrate, schema_version
from p2re_eval.store.payloads import digest
from tests.store.soundness import unsound

EARLIER = range(1, len(STEPS))
"""Every version that a file of today may come from."""
RUNS = 30
CRASHED = 9
"""The exit code of a process that was made to end in the middle."""
_DAY_NS = 86_400_000_000_000
_BORN_NS = 1_700_000_000_000_000_000


def old_file(path: Path, version: int, *, runs: int = RUNS) -> Path:
    """A file of this schema with runs, spans, a session, judgements and an experiment in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        create_tables(connection)
        _fill(connection, runs)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("COMMIT")
    migrate_to(path, version)
    return path


def migrate_to(path: Path, version: int) -> None:
    """By the steps of today, without leaving a backup."""
    with closing(_opened(path)) as connection:
        backup = migrate(connection, path, STEPS[:version])
    if backup is not None:
        backup.unlink()


def crash_everywhere(folder: Path, version: int) -> list[str]:
    """Interrupt each later step at its start, in its middle and at its end, in processes of their
    own; then open the file. Gives what is wrong afterwards."""
    wrong = []
    for step in range(version + 1, len(STEPS) + 1):
        for share in (0.0, 0.5, 1.0):
            path = old_file(folder / f"from{version}-step{step}-{share}.db", version)
            for line in crash(path, version, step, share):
                wrong.append(f"schema {version}, crash in step {step} at {share:.0%}: {line}")
    return wrong


def crash(path: Path, version: int, step: int, share: float) -> Iterator[str]:
    """One of those: what is wrong."""
    pid = os.fork()
    if not pid:
        try:
            _migrate_until(path, step, share)
        finally:
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code != CRASHED:
        yield f"the process ended with {code}, not in the middle"
    with closing(sqlite3.connect(path)) as connection:
        found = schema_version(connection)
    if found != step - 1:
        yield f"the file has schema {found}"
    backups = sorted(path.parent.glob(f"{path.name}.schema{version}-*.backup"))
    if not backups:
        yield "there is no backup"
    for backup in backups:
        with closing(sqlite3.connect(backup)) as connection:
            if connection.execute("SELECT count(*) FROM traces").fetchone()[0] != RUNS:
                yield "the backup is not whole"
    yield from told_wrong(path)
    yield from unsound(path)


def told_wrong(path: Path) -> Iterator[str]:
    """What today's code does not find in a file that was filled by :func:`old_file`."""
    with open_store(path) as store:
        rows = store.list_traces(limit=100)
        if [row.trace_id for row in rows] != [f"{n:032x}" for n in range(RUNS, 0, -1)]:
            yield "runs are missing, or out of order"
        for row in rows:
            number = int(row.trace_id, 16)
            trace = store.read_trace(row.trace_id)
            said = None if trace.completion is None else trace.completion.text
            asked = [message.text for message in trace.prompt.messages]
            if (said, asked) != (f"answer {number}", ["be kind", f"question {number}"]):
                yield f"run {number} says {said!r} to {asked}"
            if (trace.tags, trace.session_id) != (("vip",), "chat") or len(trace.spans) != 1:
                yield f"run {number} has lost its tags, session or span"
            if [one.name for one in store.evaluations(row.trace_id)] != ["kind"]:
                yield f"run {number} has lost its judgement"
        if len(store.search("question", limit=100)) != RUNS:
            yield "the full-text index does not find every run"
        if [one.experiment_id for one in store.list_experiments()] != ["e1"]:
            yield "the experiment is gone"


def _migrate_until(path: Path, step: int, share: float) -> None:
    """Never returns where the step has so many statements."""
    total = _statements(path, step)

    def interrupted(connection: sqlite3.Connection) -> None:
        left = [round(total * share)]

        def count(statement: str) -> None:
            if left[0] <= 0:
                os._exit(CRASHED)
            left[0] -= 1

        connection.set_trace_callback(count)
        STEPS[step - 1](connection)
        os._exit(CRASHED)

    with closing(_opened(path)) as connection:
        migrate(connection, path, (*STEPS[: step - 1], interrupted))


def _statements(path: Path, step: int) -> int:
    """How many statements a step runs, tried on a copy of the file."""
    copy = path.with_suffix(".copy")
    with closing(sqlite3.connect(path)) as connection, closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
    seen: list[str] = []
    with closing(_opened(copy)) as connection:
        migrate(connection, copy, STEPS[: step - 1])
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("BEGIN")
        connection.set_trace_callback(seen.append)
        STEPS[step - 1](connection)
        connection.set_trace_callback(None)
        connection.execute("ROLLBACK")
    for one in path.parent.glob(f"{copy.name}*"):
        one.unlink()
    return len(seen)


def _opened(path: Path) -> sqlite3.Connection:
    """With today's functions, at the file's own schema."""
    connection = connect(path, "rw", 5)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _fill(connection: sqlite3.Connection, runs: int) -> None:
    """What the first version wrote, in its own columns."""
    head = '{"name":"ask","version":"' + "ab" * 32 + '","model":{"provider":"o","name":"m"}}'
    texts = [head, _message("system", "be kind")]
    connection.executemany(
        "INSERT INTO blobs(hash, body) VALUES (?, ?)", [(digest(t.encode()), t) for t in texts]
    )
    connection.execute("INSERT INTO sessions(session_id, started_ns) VALUES ('chat', ?)", (0,))
    for number in range(1, runs + 1):
        _fill_run(connection, number)
    connection.execute(
        "INSERT INTO experiments(experiment_id, name, status, started_ns, planned) "
        "VALUES ('e1', 'nightly', 'COMPLETE', 1, 1)"
    )
    connection.execute(
        "INSERT INTO results(experiment_id, item, suite, prompt, model, case_id, repeat, position, "
        "outcome, source, recorded) VALUES ('e1', 'i', 's', 'ask', 'o/m', 'c', 0, 0, 'passed', "
        "'live', 1)"
    )


def _fill_run(connection: sqlite3.Connection, number: int) -> None:
    asked, said = _message("user", f"question {number}"), _message("assistant", f"answer {number}")
    for text in (asked, said):
        connection.execute(
            "INSERT INTO blobs(hash, body) VALUES (?, ?)", (digest(text.encode()), text)
        )
    name = digest(f"prompt {number}".encode())
    connection.execute("INSERT INTO prompts(id, hash, head) VALUES (?, ?, 1)", (number, name))
    connection.executemany(
        "INSERT INTO messages(prompt, position, blob) VALUES (?, ?, ?)",
        [(number, 0, 2), (number, 1, 2 * number + 1)],
    )
    start = _BORN_NS + number % 1000 * _DAY_NS + number
    connection.execute(
        "INSERT INTO traces(id, trace_id, span_id, name, status, source, start_ns, end_ns, model, "
        "prompt_name, prompt, repeat, session_id, attempts, cost_usd, input_preview, "
        "output_preview, tags) VALUES (?, ?, ?, 'ask', 'OK', 'live', ?, ?, 'o/m', 'ask', ?, 0, "
        "'chat', 1, 0.5, '', '', '[\"vip\"]')",
        (number, f"{number:032x}", f"{number:016x}", start, start + 5, number),
    )
    connection.execute("INSERT INTO trace_sessions VALUES (1, ?)", (number,))
    connection.execute(
        "INSERT INTO spans(trace, span_id, name, kind, status, start_ns, end_ns) "
        "VALUES (?, ?, 'look', 'TOOL', 'OK', ?, ?)",
        (number, f"{number + 1000:016x}", start, start + 1),
    )
    connection.execute(
        "INSERT INTO responses(trace, message, finish_reason) VALUES (?, ?, 'stop')",
        (number, 2 * number + 2),
    )
    connection.execute(
        "INSERT INTO evaluations(evaluation_id, trace_id, name, identifier, scorer, "
        "scorer_version, kind, value, passed, weight, created_ns) "
        "VALUES (?, ?, 'kind', '', 'kind', '1', 'CODE', 1.0, 1, 1.0, ?)",
        (f"{number:032x}", f"{number:032x}", start),
    )


def _message(role: str, text: str) -> str:
    return Message.model_validate({"role": role, "content": text}).model_dump_json(
        exclude_defaults=True
    )
