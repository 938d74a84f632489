"""A secret planted on purpose, and looked for everywhere it could have got to.

The database is one of its own, in a folder that is removed again: what is tested is the way every
text takes to the disk, with this environment's settings. In the user's own file the same is tried
in a transaction that is taken back: its rows are looked at before, and nothing of it stays. Where
that is well, :mod:`p2re_eval.service.canary_bytes` looks at the bytes.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from p2re_eval.clock import new_trace_id
from p2re_eval.records import (
    Completion,
    Evaluation,
    Fault,
    Message,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Score,
    Session,
    Span,
    TemplateMessage,
    ToolCall,
    Trace,
)
from p2re_eval.service.service import Service
from p2re_eval.store import Redact, open_store
from p2re_eval.store.apply import apply_one
from p2re_eval.store.jobs import FinishTrace, Job, SaveEvaluations, SavePromptVersion, StartSession
from p2re_eval.store.newest_rows import tables_with
from p2re_eval.store.transaction import Transaction

Document = Callable[[Trace, Sequence[Evaluation], str], str]
_VARIABLE = "P2RE_CANARY_SECRET"


def planted_and_found(document: Document, redact: Redact | None = None) -> list[str]:
    """The places in which a planted secret was found again; none when all is well.

    ``document`` makes a trace's ``md``, ``html`` and ``json``.
    """
    canary = new_canary()
    with (
        tempfile.TemporaryDirectory(prefix="p2re-canary-") as folder,
        planted(canary),
        open_store(Path(folder) / "canary.db", redact=redact) as store,
    ):
        service = Service(store)
        trace_id = _plant(service, "\n".join(canary_shapes(canary)))
        found = list(_places(service, trace_id, canary, document))
        found += [
            f"the bytes of {path.name}"
            for path in sorted(Path(folder).iterdir())
            if canary.encode() in path.read_bytes()
        ]
    return found


def planted_in(path: Path, redact: Redact | None = None) -> list[str]:
    """The tables of this database in which a planted secret would stand; none when all is well.

    Everything happens in one transaction, which is taken back. Raises StoreError.
    """
    canary = new_canary()
    found: list[str] = []

    def look(transaction: Transaction) -> None:
        for job in canary_jobs("\n".join(canary_shapes(canary)), new_trace_id(1)):
            apply_one(transaction, job)
        transaction.flush()
        found.extend(tables_with(transaction.connection, canary))
        raise _TakenBack

    with planted(canary), open_store(path, redact=redact) as store, suppress(_TakenBack):
        store.change(look)
    return found


class _TakenBack(Exception):
    pass


def new_canary() -> str:
    """A secret that nobody has seen before, and that no pattern knows by its shape."""
    return "c4n4ry" + secrets.token_hex(12)


def canary_shapes(canary: str) -> Iterator[str]:
    """The secret as it comes in keys, headers, addresses, variables and by its value alone."""
    yield f"sk-{canary}"
    yield f"Authorization: Bearer {canary}"
    yield f"https://ann:{canary}@example.org/?api_key={canary}"
    yield f"MY_SERVICE_TOKEN={canary}"
    yield f"-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----"
    yield f"and plainly {canary}"


def _plant(service: Service, text: str) -> str:
    store, trace_id = service.store, "c" * 31 + "d"
    for job in canary_jobs(text, trace_id):
        store.change(partial(apply_one, job=job))
    store.index_everything()
    return trace_id


def canary_jobs(
    text: str, trace_id: str, *, name: str = "canary", session_id: str = "", now_ns: int = 1
) -> Iterator[Job]:
    """Records with the text everywhere that one can be; they start at ``now_ns``."""
    prompt = RenderedPrompt(
        name=name,
        version="c" * 64,
        messages=(Message(role="user", content=text),),
        model=ModelSettings(provider="canary", name="canary"),
        variables={"text": text, text: 1},
    )
    completion = Completion(
        text=text,
        reasoning=text,
        refusal=text,
        raw={"text": text, "api_key": text},
        tool_calls=(ToolCall(id="1", name="canary", arguments=text),),
    )
    trace = Trace(
        trace_id=trace_id,
        span_id="c" * 16,
        name=name,
        status="OK",
        start_ns=now_ns,
        end_ns=now_ns + 1,
        prompt=prompt,
        completion=completion,
        tags=(text,),
        metadata={"text": text},
        spans=(
            Span(
                span_id="d" * 16, trace_id=trace_id, name=name, start_ns=now_ns, prompt=prompt,
                status_message=text, attributes={"input.value": text}, completion=completion,
            ),
        ),
    )  # fmt: skip
    failed = trace.model_copy(
        update={
            "trace_id": trace_id[::-1],
            "status": "ERROR",
            "completion": None,
            "fault": Fault(kind="server", message=text, partial=text),
            "spans": (),
        }
    )
    evaluation = Evaluation(
        evaluation_id=trace_id, trace_id=trace.trace_id, name="canary", scorer="canary",
        scorer_version="1", kind="HUMAN", score=Score(label=text, explanation=text),
    )  # fmt: skip
    yield FinishTrace(trace)
    yield FinishTrace(failed)
    yield SaveEvaluations((evaluation,))
    session = Session(
        session_id=session_id or trace_id, started_ns=now_ns, name=text, metadata={"a": text}
    )
    yield StartSession(session)
    message = TemplateMessage(role="user", content=text)
    version = trace_id * 2
    yield SavePromptVersion(PromptTemplate(name="canary", version=version, messages=(message,)))


def _places(service: Service, trace_id: str, canary: str, document: Document) -> Iterator[str]:
    if any(canary in line for line in service.transfer.export_lines()):
        yield "the export as JSON lines, and so a text in the database"
    detail = service.traces.get(trace_id)
    for form in ("md", "html", "json"):
        if canary in document(detail.trace, detail.evaluations, form):
            yield f"the export as .{form}"
    if service.traces.search(canary).items:
        yield "the full-text index"
    rows = service.traces.list().items
    if any(canary in row.model_dump_json() for row in rows):
        yield "a list of traces"


@contextmanager
def planted(canary: str) -> Iterator[None]:
    """While this lasts, the environment has a variable whose value is the secret."""
    os.environ[_VARIABLE] = canary
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
