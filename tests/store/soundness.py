"""Is a file whole? What a test or a long run asks after processes died, disks were full, clocks
went wrong; and the runs that they wrote."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from p2re_eval.clock import new_span_id, new_trace_id
from p2re_eval.records import (
    Completion,
    Evaluation,
    Message,
    ModelSettings,
    RenderedPrompt,
    Score,
    Span,
    Trace,
)
from p2re_eval.store import open_store

_ORPHANS = {
    "a prompt's message": "FROM messages WHERE blob NOT IN (SELECT id FROM blobs)",
    "a prompt's head": "FROM prompts WHERE head NOT IN (SELECT id FROM blobs)",
    "a run's answer": "FROM responses WHERE message NOT IN (SELECT id FROM blobs)",
    "a run's ending": "FROM responses WHERE trace NOT IN (SELECT id FROM traces)",
    "a span's trace": "FROM spans WHERE trace NOT IN (SELECT id FROM traces)",
    "a run's prompt": "FROM traces WHERE prompt NOT IN (SELECT id FROM prompts)",
    "a session's trace": "FROM trace_sessions WHERE trace NOT IN (SELECT id FROM traces)",
    "a run that is over without an ending": (
        "FROM traces WHERE status IN ('OK', 'ERROR') AND id NOT IN "
        "(SELECT trace FROM responses WHERE span IS NULL)"
    ),
    "a run with two endings": (
        "FROM (SELECT trace FROM responses WHERE span IS NULL GROUP BY trace HAVING count(*) > 1)"
    ),
    "a duration below nothing": "FROM traces WHERE end_ns < start_ns",
}


def unsound(database: Path) -> list[str]:
    """What is wrong with the file, once its index and counts are brought up to date."""
    with open_store(database) as store:
        store.index_everything()
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.create_function("message_text", 1, _message_text, deterministic=True)
        found = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        wrong = [] if found == ["ok"] else [str(line) for line in found]
        wrong += [f"no parent: {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        for what, where in _ORPHANS.items():
            count = connection.execute(f"SELECT count(*) {where}").fetchone()[0]
            wrong += [f"{count} of: {what}"] if count else []
        try:
            connection.execute("INSERT INTO search(search) VALUES ('integrity-check')")
        except sqlite3.Error as error:
            wrong.append(f"full-text index: {error}")
        counted = "SELECT coalesce(sum(traces), 0) FROM rollups WHERE period = 'day'"
        ended = "SELECT count(*) FROM responses WHERE span IS NULL"
        both = [connection.execute(sql).fetchone()[0] for sql in (counted, ended)]
        wrong += [f"counted {both[0]} of {both[1]} runs"] if both[0] != both[1] else []
    return wrong


def begun(now_ns: int, text: str) -> Trace:
    """A run that is about to call its provider."""
    return Trace(
        trace_id=new_trace_id(now_ns),
        span_id=new_span_id(),
        name="ask",
        start_ns=now_ns,
        prompt=RenderedPrompt(
            name="ask",
            version="c" * 64,
            messages=(
                Message(role="system", content="Answer in one sentence, and kindly. " * 20),
                Message(role="user", content=text),
            ),
            model=ModelSettings(provider="openai", name="m"),
        ),
        session_id=f"chat-{now_ns // 1_000_000_000 % 7}",
    )


def ended(trace: Trace, text: str, end_ns: int) -> Trace:
    """The same with its answer and a span."""
    span = Span(
        span_id=new_span_id(),
        trace_id=trace.trace_id,
        parent_id=trace.span_id,
        name="look up",
        kind="TOOL",
        start_ns=trace.start_ns,
        end_ns=end_ns,
    )
    completion = Completion(text=text)
    update = {"status": "OK", "end_ns": end_ns, "completion": completion, "spans": (span,)}
    return trace.model_copy(update=update)


def judged(trace: Trace) -> Evaluation:
    """What a scorer said about it."""
    return Evaluation(
        evaluation_id=trace.trace_id,
        trace_id=trace.trace_id,
        name="kind",
        scorer="kind",
        scorer_version="1",
        score=Score(value=1.0, passed=True),
        created_ns=trace.start_ns,
    )


def _message_text(body: str | bytes | None) -> str | None:
    from p2re_eval.store.payloads import message_text

    return message_text(body)
