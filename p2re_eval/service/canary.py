"""A secret planted on purpose, and looked for everywhere it could have got to.

The database is one of its own, in a folder that is removed again: what is tested is the way every
text takes to the disk, with this environment's settings, and nobody's record is touched.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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

Document = Callable[[Trace, Sequence[Evaluation], str], str]
_VARIABLE = "P2RE_CANARY_SECRET"


def planted_and_found(document: Document, redact: Redact | None = None) -> list[str]:
    """The places in which a planted secret was found again; none when all is well.

    ``document`` makes a trace's ``md``, ``html`` and ``json``.
    """
    canary = "c4n4ry" + secrets.token_hex(12)
    with (
        tempfile.TemporaryDirectory(prefix="p2re-canary-") as folder,
        _in_environment(canary),
        open_store(Path(folder) / "canary.db", redact=redact) as store,
    ):
        service = Service(store)
        trace_id = _plant(service, "\n".join(_shapes(canary)))
        found = list(_places(service, trace_id, canary, document))
        found += [
            f"the bytes of {path.name}"
            for path in sorted(Path(folder).iterdir())
            if canary.encode() in path.read_bytes()
        ]
    return found


def _shapes(canary: str) -> Iterator[str]:
    """The secret as it comes in keys, headers, addresses, variables and by its value alone."""
    yield f"sk-{canary}"
    yield f"Authorization: Bearer {canary}"
    yield f"https://ann:{canary}@example.org/?api_key={canary}"
    yield f"MY_SERVICE_TOKEN={canary}"
    yield f"-----BEGIN PRIVATE KEY-----\n{canary}\n-----END PRIVATE KEY-----"
    yield f"and plainly {canary}"


def _plant(service: Service, text: str) -> str:
    store = service.store
    prompt = RenderedPrompt(
        name="canary",
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
        trace_id="c" * 32,
        span_id="c" * 16,
        name="canary",
        status="OK",
        start_ns=1,
        end_ns=2,
        prompt=prompt,
        completion=completion,
        tags=(text,),
        metadata={"text": text},
        spans=(
            Span(
                span_id="d" * 16, trace_id="c" * 32, name="canary", start_ns=1, prompt=prompt,
                status_message=text, attributes={"input.value": text}, completion=completion,
            ),
        ),
    )  # fmt: skip
    failed = trace.model_copy(
        update={
            "trace_id": "e" * 32,
            "status": "ERROR",
            "completion": None,
            "fault": Fault(kind="server", message=text, partial=text),
            "spans": (),
        }
    )
    evaluation = Evaluation(
        evaluation_id="c", trace_id=trace.trace_id, name="canary", scorer="canary",
        scorer_version="1", kind="HUMAN", score=Score(label=text, explanation=text),
    )  # fmt: skip
    store.finish_trace(trace)
    store.finish_trace(failed)
    store.save_evaluations([evaluation])
    store.start_session(Session(session_id="c", started_ns=1, name=text, metadata={"a": text}))
    message = TemplateMessage(role="user", content=text)
    service.prompts.save(PromptTemplate(name="canary", version="c" * 64, messages=(message,)))
    store.index_everything()
    return trace.trace_id


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
def _in_environment(canary: str) -> Iterator[None]:
    os.environ[_VARIABLE] = canary
    try:
        yield
    finally:
        del os.environ[_VARIABLE]
