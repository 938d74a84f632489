"""``/artifacts/{address}``: whatever is recorded, by its one form of address."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from p2re_eval.server.backend import Backend, Reading, Writing, answer
from p2re_eval.server.problems import ApiRoute
from p2re_eval.service.addresses import parse_address
from p2re_eval.store import TraceFilter

_MOST_TRACES = 20
_ID = re.compile(r"[0-9a-f]{32}")

router = APIRouter(prefix="/artifacts", tags=["artifacts"], route_class=ApiRoute)


class OpenedArtifact(BaseModel):
    """An artifact with its whole address, and the addresses of what belongs to it."""

    address: str
    kind: str
    links: list[str]
    artifact: dict[str, Any]


@router.get("/{address:path}", response_model=OpenedArtifact, summary="Open any address")
def open_artifact(
    backend: Reading,
    address: Annotated[
        str,
        Path(max_length=600, examples=["trace:018f2c", "prompt:route@production"]),
    ],
) -> Response:
    """`trace:ID`, `prompt:NAME@VERSION`, `evaluation:ID`, `experiment:ID` or `session:ID`."""
    found = parse_address(address)
    artifact = backend.service.open(found).model_dump(mode="json")
    whole, links = _related(found.kind, artifact)
    links += _traces_of(backend, found.kind, artifact)
    return answer(OpenedArtifact(address=whole, kind=found.kind, links=links, artifact=artifact))


@router.delete("/{address:path}", status_code=204, summary="Delete what is at an address")
def delete_artifact(
    backend: Writing,
    address: Annotated[str, Path(max_length=600, examples=["session:chat-42"])],
) -> Response:
    """A trace goes with its texts and judgements, an experiment with its results; the traces of an
    experiment or a session stay. A prompt's version never goes."""
    backend.service.delete(address)
    return Response(status_code=204)


def _related(kind: str, artifact: dict[str, Any]) -> tuple[str, list[str]]:
    if kind == "trace":
        trace = artifact["trace"]
        prompt = trace["prompt"] or {}
        version = prompt.get("version")
        found: list[str | None] = [
            version and f"prompt:{prompt['name']}@{version}",
            trace["experiment_id"] and f"experiment:{trace['experiment_id']}",
            trace["session_id"] and f"session:{trace['session_id']}",
            *(f"evaluation:{one['evaluation_id']}" for one in artifact["evaluations"]),
        ]
        return f"trace:{trace['trace_id']}", [link for link in found if link]
    if kind == "prompt":
        row = artifact["row"]
        return f"prompt:{row['name']}@{row['version']}", []
    if kind == "evaluation":
        experiment = artifact["experiment_id"]
        links = [f"trace:{artifact['trace_id']}"]
        links += [f"experiment:{experiment}"] if experiment else []
        return f"evaluation:{artifact['evaluation_id']}", links
    if kind == "experiment":
        experiment = artifact["experiment"]
        before = str(experiment["settings"].get("baseline", ""))
        links = [f"experiment:{before}"] if _ID.fullmatch(before) else []  # else a file, or a word
        return f"experiment:{experiment['experiment_id']}", links
    return f"session:{artifact['session']['session_id']}", []


def _traces_of(backend: Backend, kind: str, artifact: dict[str, Any]) -> list[str]:
    """The newest traces of a prompt's version, an experiment or a session."""
    if kind == "prompt":
        row = artifact["row"]
        name, version = (json.dumps(row[key], ensure_ascii=False) for key in ("name", "version"))
        page = backend.service.traces.search(
            f"prompt == {name} and version == {version}", limit=_MOST_TRACES
        )
        return [f"trace:{hit.row.trace_id}" for hit in page.items]
    if kind == "experiment":
        wanted = TraceFilter(experiment_id=artifact["experiment"]["experiment_id"])
    elif kind == "session":
        wanted = TraceFilter(session_id=artifact["session"]["session_id"])
    else:
        return []
    rows = backend.service.traces.list(wanted, limit=_MOST_TRACES).items
    return [f"trace:{row.trace_id}" for row in rows]
