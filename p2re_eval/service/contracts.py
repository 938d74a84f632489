"""What the service takes and gives: frozen pydantic models, the same for CLI, API and notebook."""

from __future__ import annotations

from typing import Generic, TypeVar

from p2re_eval.errors import UsageError
from p2re_eval.records import (
    Evaluation,
    Experiment,
    Fault,
    Message,
    PromptTemplate,
    Record,
    Session,
    Trace,
    Usage,
)
from p2re_eval.store.experiment_queries import ExperimentAssignment
from p2re_eval.store.prompt_queries import VersionRow
from p2re_eval.store.session_queries import SessionRow

Item = TypeVar("Item")

PAGE_LIMIT = 1000
"""The most items of a page, however many are asked for."""


class Page(Record, Generic[Item]):
    """Part of a list. ``next_cursor`` goes back in to get the next part, None at the end.

    A page may hold fewer items than asked for and still have a next one. ``note`` says what a
    reader should know about how it was found, such as that no index served it.
    """

    items: tuple[Item, ...]
    next_cursor: str | None = None
    note: str | None = None


class TraceDetail(Record):
    """A trace with its spans, what was said about it, and its place in the record.

    ``texts_dropped`` means that retention has let go of prompt and answer.
    """

    trace: Trace
    evaluations: tuple[Evaluation, ...] = ()
    pinned_ns: int | None = None
    texts_dropped: bool = False


class VersionDetail(Record):
    """A version of a prompt and the prompt as it was."""

    row: VersionRow
    template: PromptTemplate


class ExperimentDetail(Record):
    """An experiment, how many of its runs ended how, and what ran on what."""

    experiment: Experiment
    outcomes: dict[str, int]
    assignments: tuple[ExperimentAssignment, ...] = ()


class SessionDetail(Record):
    """A conversation with its totals."""

    session: Session
    totals: SessionRow


class Turn(Record):
    """One trace of a conversation: ``messages`` holds only what no earlier turn has shown."""

    number: int
    trace_id: str
    name: str
    start_ns: int
    duration_ns: int | None = None
    model: str
    messages: tuple[Message, ...] = ()
    answer: Message | None = None
    fault: Fault | None = None
    usage: Usage = Usage()
    cost_usd: float | None = None


Artifact = TraceDetail | VersionDetail | Evaluation | ExperimentDetail | SessionDetail
"""What an address opens."""


def page_size(limit: int) -> int:
    """A limit within 1 and PAGE_LIMIT. Raises UsageError below."""
    if limit < 1:
        raise UsageError(f"a page of {limit} items cannot be; ask for at least 1")
    return min(limit, PAGE_LIMIT)


def cursor_number(cursor: str | None) -> int | None:
    """The row that a cursor of ours names. Raises UsageError for anything else."""
    if cursor is None:
        return None
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 19):
        raise bad_cursor(cursor)
    return int(cursor)


def bad_cursor(cursor: str) -> UsageError:
    """For a cursor that no page of ours ended with."""
    what = f"'{cursor[:40]}' is no cursor; give the next_cursor of the page before as it is"
    return UsageError(what)


def next_by_id(ids: list[int], limit: int) -> str | None:
    """The cursor after a full page, None after one that was not filled."""
    return str(ids[-1]) if len(ids) == limit else None
