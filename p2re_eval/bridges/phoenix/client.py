"""What Phoenix's REST interface offers, as far as the bridge needs it.

Phoenix is talked to over HTTP only: its own client takes seconds to import.
Source: the server's ``/openapi.json`` (written against 20.26) and what it was seen to do.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from urllib.parse import quote

from pydantic import Field

from p2re_eval.bridges.http import Peer
from p2re_eval.otlp.protobuf import encoded
from p2re_eval.records import JSON, EvaluationKind, Record
from p2re_eval.tracing.raw import RawEvent, RawSpan

SPANS_A_PAGE = 1000
ASKED_ABOUT = 1000
"""The most spans or traces that one request about annotations may name."""
_ANNOTATIONS_A_PAGE = 10_000
_KINDS: dict[str, EvaluationKind] = {"HUMAN": "HUMAN", "LLM": "LLM", "CODE": "CODE"}


class RemoteSpan(NamedTuple):
    """A span there; ``row`` counts up in the order of arrival."""

    row: int
    raw: RawSpan


@dataclass(frozen=True)
class SpanPage:
    """Spans in the order in which the server gave them; ``next_row`` is None at the end."""

    spans: Sequence[RemoteSpan]
    next_row: int | None


class Annotation(Record):
    """A judgement there of a span or, with ``trace_id``, of a whole trace; that, its name and its
    identifier are its key."""

    remote_id: str = ""
    span_id: str = ""
    trace_id: str = ""
    name: str
    kind: EvaluationKind
    score: float | None = None
    label: str | None = None
    explanation: str | None = None
    metadata: dict[str, JSON] = Field(default_factory=dict)
    identifier: str = ""
    by_hand: bool = False
    user: str | None = None
    updated_ns: int = 0


class Phoenix:
    """One project of one server."""

    def __init__(self, peer: Peer, project: str) -> None:
        self.peer = peer
        self.project = project
        self.version = ""
        self._of_project = f"/v1/projects/{quote(project, safe='')}"

    async def spans_from(self, row: int, *, ascending: bool = True) -> SpanPage:
        """A page from this row on (it included) upward, or downward; a project that is not there
        has no spans. Row 0 is the beginning of either direction."""
        query = [("limit", str(SPANS_A_PAGE)), ("sort", "id")]
        query.append(("order", "asc" if ascending else "desc"))
        if row:
            query.append(("cursor", global_id("Span", row)))
        answer = await self.peer.get(f"{self._of_project}/spans", query, accept=(404,))
        self.version = answer.headers.get("x-phoenix-server-version", self.version)
        if answer.status == 404:
            return SpanPage((), None)
        page = answer.json
        cursor = page.get("next_cursor")
        spans = [RemoteSpan(row_of(one["id"]), read_span(one)) for one in page["data"]]
        return SpanPage(spans, row_of(cursor) if cursor else None)

    async def send_spans(self, spans: Iterable[RawSpan]) -> None:
        """Hand spans over. That they were accepted does not mean that they are stored."""
        resource = {"service.name": "p2re", "openinference.project.name": self.project}
        await self.peer.post(
            "/v1/traces",
            encoded(spans, resource),
            headers={"content-type": "application/x-protobuf", "x-project-name": self.project},
        )

    async def annotations(self, span_ids: Sequence[str]) -> list[Annotation]:
        """Everything that was said there of these spans."""
        return await self._annotations("span", span_ids)

    async def trace_annotations(self, trace_ids: Sequence[str]) -> list[Annotation]:
        """Everything that was said there of these traces as a whole."""
        return await self._annotations("trace", trace_ids)

    async def _annotations(self, kind: str, ids: Sequence[str]) -> list[Annotation]:
        found: list[Annotation] = []
        path = f"{self._of_project}/{kind}_annotations"
        for start in range(0, len(ids), ASKED_ABOUT):
            some = ids[start : start + ASKED_ABOUT]
            query = [("limit", str(_ANNOTATIONS_A_PAGE)), *((f"{kind}_ids", one) for one in some)]
            async for item in self._pages(path, query):
                if item["name"] != "note":
                    found.append(_annotation(item))
        return found

    async def annotate(self, annotations: Sequence[Annotation]) -> list[str]:
        """Write judgements of what is there, each over the one with its key; gives their ids in
        this order.

        ``sync``: otherwise a write may be carried out late, over a newer one.
        """
        ids: dict[int, str] = {}
        for kind in ("span", "trace"):
            of_trace = kind == "trace"
            some = [(n, one) for n, one in enumerate(annotations) if bool(one.trace_id) is of_trace]
            if not some:
                continue
            body = {"data": [_sent(one) for _, one in some]}
            answer = await self.peer.post(f"/v1/{kind}_annotations", body, [("sync", "true")])
            written = [str(one["id"]) for one in answer.json["data"]]
            ids |= dict(zip((n for n, _ in some), written, strict=True))
        return [ids[number] for number in range(len(annotations))]

    async def stored(self) -> AsyncIterator[tuple[str, str]]:
        """Every (trace id, span id) of the project, without their content."""
        query = [("limit", "1000"), ("include_spans", "true"), ("order", "asc")]
        async for trace in self._pages(f"{self._of_project}/traces", query):
            for span in trace.get("spans") or ():
                yield str(trace["trace_id"]), str(span["span_id"])

    async def items(self, path: str, query: Sequence[tuple[str, str]] = ()) -> list[JSON]:
        """Everything that a list of the interface holds, page after page."""
        return [item async for item in self._pages(path, query)]

    async def _pages(self, path: str, query: Sequence[tuple[str, str]]) -> AsyncIterator[JSON]:
        cursor: str | None = None
        while True:
            more = [("cursor", cursor)] if cursor else []
            answer = await self.peer.get(path, [*query, *more], accept=(404,))
            if answer.status == 404:
                return
            for item in answer.json["data"]:
                yield item
            cursor = answer.json.get("next_cursor")
            if not cursor:
                return


def global_id(kind: str, row: int) -> str:
    """How Phoenix names a row of a table."""
    return base64.b64encode(f"{kind}:{row}".encode()).decode()


def row_of(global_id: str) -> int:
    """The row that such a name means; 0 where it means none."""
    try:
        return int(base64.b64decode(global_id).decode().rpartition(":")[2])
    except (ValueError, binascii.Error):
        return 0


def read_span(one: Mapping[str, JSON]) -> RawSpan:
    """A span of the REST interface; microseconds are all that it has."""
    context = one["context"]
    attributes = gathered(one.get("attributes") or {})
    kind = one.get("span_kind")
    if kind and kind != "UNKNOWN":
        attributes.setdefault("openinference.span.kind", kind)
    status = str(one.get("status_code") or "UNSET")
    return RawSpan(
        trace_id=str(context["trace_id"]),
        span_id=str(context["span_id"]),
        parent_id=one.get("parent_id") or None,
        name=str(one["name"]),
        start_ns=nanoseconds(one["start_time"]),
        end_ns=nanoseconds(one["end_time"]),
        attributes=attributes,
        status="OK" if status == "OK" else "ERROR" if status == "ERROR" else "UNSET",
        status_message=one.get("status_message") or None,
        events=tuple(
            RawEvent(
                str(event["name"]),
                nanoseconds(event["timestamp"]),
                event.get("attributes") or {},
            )
            for event in one.get("events") or ()
        ),
    )


_GATHERED = ("metadata", "llm.prompt_template.variables")


def gathered(attributes: Mapping[str, JSON]) -> dict[str, JSON]:
    """Phoenix spreads the mappings that these attributes hold over dotted names: put together
    again, as far as the dots allow."""
    found: dict[str, JSON] = {}
    for name, value in attributes.items():
        whole = next((one for one in _GATHERED if name.startswith(f"{one}.")), None)
        if whole is None:
            found[name] = value
            continue
        place = found.setdefault(whole, {})
        *above, last = name[len(whole) + 1 :].split(".")
        for step in above:
            place = place.setdefault(step, {}) if isinstance(place, dict) else {}
        if isinstance(place, dict):
            place[last] = value
    return found


def nanoseconds(moment: str) -> int:
    """ISO 8601 as integer nanoseconds, exactly: a float of them would lose the last digits."""
    parsed = datetime.fromisoformat(moment)
    return (
        int(parsed.replace(microsecond=0).timestamp()) * 1_000_000_000 + parsed.microsecond * 1000
    )


def _annotation(item: Mapping[str, JSON]) -> Annotation:
    result = item.get("result") or {}
    return Annotation(
        remote_id=str(item["id"]),
        span_id=str(item.get("span_id") or ""),
        trace_id=str(item.get("trace_id") or ""),
        name=str(item["name"]),
        kind=_KINDS.get(str(item["annotator_kind"]), "HUMAN"),
        score=result.get("score"),
        label=result.get("label"),
        explanation=result.get("explanation"),
        metadata=item.get("metadata") or {},
        identifier=item.get("identifier") or "",
        by_hand=item.get("source") == "APP",
        user=item.get("user_id"),
        updated_ns=nanoseconds(item["updated_at"]),
    )


def _sent(one: Annotation) -> dict[str, JSON]:
    result = {"score": one.score, "label": one.label, "explanation": one.explanation}
    return {
        **({"trace_id": one.trace_id} if one.trace_id else {"span_id": one.span_id}),
        "name": one.name,
        "annotator_kind": one.kind,
        "identifier": one.identifier,
        "result": {name: value for name, value in result.items() if value is not None},
        "metadata": one.metadata,
    }
