"""``/artifacts/{address}``: whatever is recorded, by its one form of address."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import BaseModel

from p2re_eval.server.backend import Reading, answer
from p2re_eval.server.problems import ApiRoute
from p2re_eval.service.addresses import parse_address

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
    return answer(OpenedArtifact(address=whole, kind=found.kind, links=links, artifact=artifact))


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
        return f"experiment:{artifact['experiment']['experiment_id']}", []
    return f"session:{artifact['session']['session_id']}", []
