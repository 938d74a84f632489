"""``/suites``: cases written into the project's files, where the server was allowed to."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from p2re_eval.server.backend import Writing, answer
from p2re_eval.server.problems import ApiProblem, ApiRoute

router = APIRouter(prefix="/suites", tags=["suites"], route_class=ApiRoute)


class NewCase(BaseModel):
    """Inputs of a prompt, and the answer that is right."""

    prompt: Annotated[str, Field(min_length=1, max_length=300)]
    inputs: dict[str, Any] = Field(default_factory=dict, max_length=100)
    expected: Any


class SavedCase(BaseModel):
    """The file that holds the case now, below the project."""

    file: str


@router.post("/cases", response_model=SavedCase, status_code=201, summary="Save a case")
def save_case(backend: Writing, case: NewCase) -> Response:
    """Into `suites/saved/PROMPT.yaml`; needs a server started with `--allow-write`."""
    if not backend.access.write_files:
        raise ApiProblem(403, "this server writes no files; start it with --allow-write")
    if case.expected is None:
        raise ApiProblem(422, "a case needs the answer that is expected")
    file = backend.the_project.save_case(case.prompt, case.inputs, case.expected)
    return answer(SavedCase(file=file.as_posix()), status=201)
