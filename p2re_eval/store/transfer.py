"""Everything a database holds as lines of JSON, and back: the writes that would make it again.

Each line is a job as a rescue file has it (:mod:`p2re_eval.store.jobs`), or a pin, a label's move
or what a person had said before. All of them may be applied twice. The first line names the format.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from p2re_eval.errors import NoSuchRecord, StoreError
from p2re_eval.records import PromptTemplate, Session
from p2re_eval.store import experiment_queries, pruned, rollups, trace_queries
from p2re_eval.store.apply import apply_all, apply_one
from p2re_eval.store.columns import columns
from p2re_eval.store.jobs import (
    Change,
    FinishExperiment,
    FinishTrace,
    Job,
    SaveEvaluations,
    SavePromptVersion,
    SaveResult,
    StartSession,
)
from p2re_eval.store.online_transfer import KeepOnline, KeepUnit, online_lines, write_line
from p2re_eval.store.payloads import json_of, record_of, unpacked
from p2re_eval.store.removal import drop_texts
from p2re_eval.store.transaction import Transaction

FORMAT = 1
PAST_COLUMNS = columns(
    "evaluation_id trace_id name identifier value label passed explanation created_ns replaced_ns"
)
_BATCH = 200


@dataclass(frozen=True, slots=True)
class PinTrace:
    """A trace that retention keeps."""

    trace_id: str
    pinned_ns: int
    write: Literal["pin_trace"] = "pin_trace"


@dataclass(frozen=True, slots=True)
class LeaveTextsOut:
    """A trace whose texts retention has dropped, and the previews that are left of them."""

    trace_id: str
    input_preview: str | None
    output_preview: str | None
    write: Literal["leave_texts_out"] = "leave_texts_out"


@dataclass(frozen=True, slots=True)
class MoveLabel:
    """A step of a label; ``version`` None took it away."""

    name: str
    label: str
    version: str | None
    moved_ns: int
    write: Literal["move_label"] = "move_label"


@dataclass(frozen=True, slots=True)
class KeepPastEvaluation:
    """What a person had said before."""

    values: dict[str, str | int | float | None]
    write: Literal["keep_past_evaluation"] = "keep_past_evaluation"


@dataclass(frozen=True, slots=True)
class KeepPruned:
    """What a trace came to that retention has taken."""

    trace_id: str
    share: pruned.Share
    write: Literal["keep_pruned"] = "keep_pruned"


Line: TypeAlias = (
    Job
    | PinTrace
    | LeaveTextsOut
    | MoveLabel
    | KeepPastEvaluation
    | KeepOnline
    | KeepUnit
    | KeepPruned
)


def header(connection: sqlite3.Connection) -> dict[str, str | int]:
    """The first line of an export."""
    database_id = connection.execute("SELECT database_id FROM identity").fetchone()[0]
    return {"p2re_export": FORMAT, "database_id": database_id}


def everything(connection: sqlite3.Connection, path: Path) -> Iterator[Line]:
    """All that the database holds, in an order in which it can be written again."""
    yield from prompt_lines(connection)
    yield from session_lines(connection)
    yield from online_lines(connection)
    for trace_id in _names(connection, "traces", "trace_id"):
        yield from trace_lines(connection, trace_id, path)
    yield from stray_evaluations(connection)
    for experiment_id in _names(connection, "experiments", "experiment_id"):
        yield from experiment_lines(connection, experiment_id, path)
    for trace_id, share in pruned.all_shares(connection):
        yield KeepPruned(trace_id, share)


def prompt_lines(connection: sqlite3.Connection) -> Iterator[Line]:
    """Prompt versions by prompt and number, then the moves of labels."""
    for body, created_ns in connection.execute(
        "SELECT v.body, v.created_ns FROM versions v JOIN prompt_templates p ON p.id = v.template "
        "ORDER BY v.created_ns, p.name, v.number"
    ):
        yield SavePromptVersion(record_of(PromptTemplate, unpacked(body)), created_ns)
    for row in connection.execute(
        "SELECT p.name, l.label, v.version, l.moved_ns FROM labels l "
        "JOIN prompt_templates p ON p.id = l.template LEFT JOIN versions v ON v.id = l.version "
        "ORDER BY l.moved_ns, p.name, l.label, l.id"
    ):
        yield MoveLabel(*row)


def session_lines(connection: sqlite3.Connection) -> Iterator[Line]:
    """Sessions by id."""
    for row in connection.execute(
        "SELECT session_id, started_ns, name, user, metadata FROM sessions ORDER BY session_id"
    ):
        session_id, started_ns, name, user, metadata = row
        yield StartSession(
            Session(
                session_id=session_id,
                started_ns=started_ns,
                name=name,
                user=user,
                metadata=json_of(metadata, {}),
            )
        )


def trace_lines(connection: sqlite3.Connection, trace_id: str, path: Path) -> Iterator[Line]:
    """A trace that has ended, its pin, and what was said of it outside of experiments' results."""
    try:
        trace = trace_queries.read_trace(connection, trace_id, path)
    except NoSuchRecord:
        return  # deleted since the list was read
    if trace.status == "RUNNING":
        return  # whoever runs it will end it where it is
    yield FinishTrace(trace)
    pinned_ns, dropped, *previews = connection.execute(
        "SELECT pinned_ns, prompt IS NULL, input_preview, output_preview FROM traces "
        "WHERE trace_id = ?",
        (trace_id,),
    ).fetchone() or (None, False, None, None)
    if pinned_ns is not None:
        yield PinTrace(trace_id, pinned_ns)
    if dropped:
        yield LeaveTextsOut(trace_id, *previews)
    judged = trace_queries.evaluations(connection, trace_id)
    if judged:
        yield SaveEvaluations(tuple(judged))
    yield from past_lines(connection, trace_id)


def past_lines(connection: sqlite3.Connection, trace_id: str) -> Iterator[Line]:
    """What people had said of a trace before."""
    for row in connection.execute(
        f"SELECT {', '.join(PAST_COLUMNS)} FROM evaluation_history WHERE trace_id = ? "  # noqa: S608 - our own names
        "ORDER BY replaced_ns, id",
        (trace_id,),
    ):
        yield KeepPastEvaluation(dict(zip(PAST_COLUMNS, row, strict=True)))


def stray_evaluations(connection: sqlite3.Connection) -> Iterator[Line]:
    """Judgements of traces that are not here (any more)."""
    for row in connection.execute(
        "SELECT * FROM evaluations e WHERE NOT EXISTS "
        "(SELECT 1 FROM traces t WHERE t.trace_id = e.trace_id) ORDER BY e.id"
    ):
        yield SaveEvaluations((trace_queries.evaluation(row),))


def experiment_lines(
    connection: sqlite3.Connection, experiment_id: str, path: Path
) -> Iterator[Line]:
    """An experiment and its results; their evaluations came with the traces."""
    yield FinishExperiment(experiment_queries.read_experiment(connection, experiment_id, path))
    for result in experiment_queries.results(connection, experiment_id):
        yield SaveResult(result.model_copy(update={"evaluations": ()}))


def parse_line(text: bytes | str) -> Line:
    """Raises pydantic's ValidationError and ValueError for what is no line of ours."""
    try:
        return _adapter().validate_json(text)
    except ValidationError:
        return _adapter().validate_python(json.loads(text))  # json.loads accepts lone surrogates


def line_text(line: Line) -> str:
    """A line as it is written; :func:`parse_line` reads it."""
    try:
        return _adapter().dump_json(line).decode()
    except PydanticSerializationError:  # lone surrogates, which UTF-8 cannot hold
        return json.dumps(_adapter().dump_python(line))


@cache
def _adapter() -> TypeAdapter[Line]:
    return TypeAdapter(Annotated[Line, Field(discriminator="write")])


def import_lines(
    lines: Iterable[bytes], transaction: Callable[[], Transaction], source: str
) -> dict[str, int]:
    """Write the lines of an export; gives how many of each kind.

    Batches are transactions of their own, so that a long import does not keep others waiting; what
    was written stays when a later line is refused, and the whole may be imported again.

    Raises StoreError: not an export, a newer format, or a line that cannot be read.
    """
    counts: dict[str, int] = {}
    batch: list[Line] = []
    for number, text in enumerate(lines, start=1):
        if number == 1:
            _check_header(text, source)
            continue
        if not text.strip():
            continue
        line = _read(text, source, number)
        counts[line.write] = counts.get(line.write, 0) + 1
        batch.append(line)
        if len(batch) == _BATCH:
            write_lines(transaction(), batch)
            batch = []
    if batch:
        write_lines(transaction(), batch)
    if "keep_pruned" in counts:
        count = Change(lambda change: rollups.count_gone(change.connection), forgets=False)
        apply_all(transaction(), [count])
    return counts


def write_lines(transaction: Transaction, batch: Iterable[Line]) -> None:
    """All of them in one transaction, or none."""
    writes = [Change(partial(_written, line=line), forgets=False) for line in batch]
    apply_all(transaction, writes)


def _written(transaction: Transaction, line: Line) -> None:
    connection = transaction.connection
    match line:
        case PinTrace():
            connection.execute(
                "UPDATE traces SET pinned_ns = ? WHERE trace_id = ?",
                (line.pinned_ns, line.trace_id),
            )
        case LeaveTextsOut():
            _leave_texts_out(connection, line)
        case MoveLabel():
            _move_label(connection, line)
        case KeepPastEvaluation():
            _keep_past(connection, line.values)
        case KeepPruned():
            pruned.take_share(connection, line.trace_id, line.share)
        case KeepOnline() | KeepUnit():
            write_line(transaction, line)
        case _:
            apply_one(transaction, line)


def _leave_texts_out(connection: sqlite3.Connection, line: LeaveTextsOut) -> None:
    rows = connection.execute("SELECT id FROM traces WHERE trace_id = ?", (line.trace_id,))
    drop_texts(connection, [row[0] for row in rows.fetchall()])
    connection.execute(
        "UPDATE traces SET input_preview = ?, output_preview = ? WHERE trace_id = ?",
        (line.input_preview, line.output_preview, line.trace_id),
    )


def _move_label(connection: sqlite3.Connection, line: MoveLabel) -> None:
    connection.execute(
        "INSERT INTO labels(template, label, version, moved_ns) "
        "SELECT p.id, :label, v.id, :moved_ns FROM prompt_templates p "
        "LEFT JOIN versions v ON v.template = p.id AND v.version = :version "
        "WHERE p.name = :name AND NOT EXISTS (SELECT 1 FROM labels l WHERE l.template = p.id "
        "AND l.label = :label AND l.moved_ns = :moved_ns AND l.version IS v.id)",
        {
            "name": line.name,
            "label": line.label,
            "version": line.version,
            "moved_ns": line.moved_ns,
        },
    )


def _keep_past(connection: sqlite3.Connection, values: dict[str, str | int | float | None]) -> None:
    known = " AND ".join(f"{name} IS :{name}" for name in PAST_COLUMNS)
    marks = ", ".join(f":{name}" for name in PAST_COLUMNS)
    connection.execute(
        f"INSERT INTO evaluation_history({', '.join(PAST_COLUMNS)}) SELECT {marks} "  # noqa: S608 - our own names
        f"WHERE NOT EXISTS (SELECT 1 FROM evaluation_history WHERE {known})",
        {name: values.get(name) for name in PAST_COLUMNS},
    )


def _read(text: bytes, source: str, number: int) -> Line:
    try:
        return parse_line(text)
    except (ValidationError, ValueError) as error:
        problem = str(error).splitlines()[0]
        what = f"{source}:{number}: this line of the export cannot be read ({problem})"
        raise StoreError(what, path=source) from None


def _check_header(text: bytes, source: str) -> None:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    version = found.get("p2re_export") if isinstance(found, dict) else None
    if not isinstance(version, int):
        what = f"{source}: is no export; `p2re traces export` writes one"
        raise StoreError(what, path=source)
    if version > FORMAT:
        what = f"{source}: a newer p2re_eval wrote this export; upgrade p2re-eval"
        raise StoreError(what, path=source)


def _names(connection: sqlite3.Connection, table: str, column: str) -> Iterator[str]:
    """A column by id, a page at a time: no read transaction holds up a checkpoint."""
    last = 0
    while True:
        page = connection.execute(
            f"SELECT id, {column} FROM {table} WHERE id > ? ORDER BY id LIMIT {_BATCH}",  # noqa: S608 - our own names
            (last,),
        ).fetchall()
        yield from (row[1] for row in page)
        if len(page) < _BATCH:
            return
        last = page[-1][0]
