"""``/prompts``: what was recorded of each prompt, and the project's own files beside it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from p2re_eval.errors import DefinitionError, DefinitionErrors, GitError, NoSuchRecord
from p2re_eval.prompts.versions import VersionEntry
from p2re_eval.records import PromptTemplate, RenderedPrompt
from p2re_eval.server.api.parameters import Cursor, Limit, Name
from p2re_eval.server.backend import Backend, Reading, Writing, answer
from p2re_eval.server.problems import ApiRoute
from p2re_eval.server.project import MOST_MODELS
from p2re_eval.service.contracts import Page
from p2re_eval.service.prompts import MeasuredVersion, measured
from p2re_eval.store.prompt_queries import LabelMove, TemplateRow, VersionRow
from p2re_eval.store.stat_queries import StatsQuery

router = APIRouter(prefix="/prompts", tags=["prompts"], route_class=ApiRoute)

Reference = Annotated[
    str,
    Path(
        max_length=100,
        description="`v3` as git counts, `latest`, a label, a hash, a git revision, `file`.",
    ),
]
_Label = Annotated[str, Path(min_length=1, max_length=60, examples=["production"])]


class PromptItem(BaseModel):
    """A prompt that is recorded, in a file of the project, or both."""

    name: str
    recorded: TemplateRow | None = None
    file: str | None = None
    version: str | None = None
    description: str | None = None
    model: str | None = None


class PromptList(BaseModel):
    """Every prompt by name; ``mistakes`` are files of the project that cannot be read."""

    items: list[PromptItem]
    mistakes: list[str]


class FoundPrompt(BaseModel):
    """A prompt at a version; ``row`` is None where only git or a file knows it."""

    template: PromptTemplate
    row: VersionRow | None = None


class GitHistory(BaseModel):
    """The versions in the commits of HEAD; ``note`` says why there are none."""

    entries: list[VersionEntry]
    note: str | None = None


class PromptDiff(BaseModel):
    """Two versions to be set side by side."""

    before: PromptTemplate
    after: PromptTemplate


class LabelHistory(BaseModel):
    """Where the labels of a prompt went."""

    moves: list[LabelMove]


class LabelTarget(BaseModel):
    """The version that a label shall stand on."""

    version: str = Field(min_length=1, max_length=100)


class Inputs(BaseModel):
    """What fills a prompt in; `version` as above, empty for the file as it is."""

    inputs: dict[str, Any] = Field(default_factory=dict, max_length=100)
    version: str = Field("", max_length=100)


class Trial(Inputs):
    """Which models to ask; none asks the prompt's own."""

    models: list[Annotated[str, Field(max_length=200)]] = Field([], max_length=MOST_MODELS)


class Tried(BaseModel):
    """The recorded runs, in the order of the models."""

    trace_ids: list[str]


class Models(BaseModel):
    """The models that a prompt can be tried on."""

    models: list[str]


@router.get("", response_model=PromptList, summary="Every prompt")
def list_prompts(backend: Reading) -> Response:
    """Recorded ones and those of the project's files, by name."""
    found: dict[str, PromptItem] = {}
    for row in backend.service.prompts.list(limit=1000).items:
        found[row.name] = PromptItem(name=row.name, recorded=row, version=row.newest)
    mistakes: list[str] = []
    if backend.project is not None:
        templates, errors = backend.project.prompts()
        mistakes = [str(error) for error in errors]
        for name, one in templates.items():
            item = found.setdefault(name, PromptItem(name=name))
            item.file, item.version, item.description = one.path, one.version, one.description
            item.model = one.model.id if one.model.provider else None
    items = sorted(found.values(), key=lambda item: item.name)
    return answer(PromptList(items=items, mistakes=mistakes))


@router.get("/models", response_model=Models, summary="Models to try")
def list_models(backend: Reading) -> Response:
    """Those that the project's prompts and suites name."""
    return answer(Models(models=[] if backend.project is None else backend.project.models()))


@router.get("/{name}/versions", response_model=Page[MeasuredVersion], summary="Its versions")
def list_versions(
    backend: Reading, name: Name, limit: Limit = 50, cursor: Cursor = None
) -> Response:
    """Recorded ones, the newest first, each with its calls, errors, cost, latency and scores over
    live, cached and replayed runs; empty for a prompt that never ran."""
    try:
        rows = backend.service.prompts.versions(name, limit=limit, cursor=cursor)
        counted = StatsQuery(by=("version",), prompt=name, source=None)
        return answer(measured(rows, backend.service.statistics.report(counted)))
    except NoSuchRecord:
        if backend.project is None or name not in backend.project.prompts()[0]:
            raise
        return answer(Page[MeasuredVersion](items=()))


@router.get("/{name}/versions/{version}", response_model=FoundPrompt, summary="One version")
def get_version(backend: Reading, name: Name, version: Reference) -> Response:
    """By number, label, hash or git revision; `file` is the working tree."""
    return answer(_found(backend, name, version))


@router.get("/{name}/log", response_model=GitHistory, summary="Its history in git")
def git_history(backend: Reading, name: Name) -> Response:
    """The commits that changed what is sent, newest first."""
    if backend.project is None:
        return answer(GitHistory(entries=[], note="this server shows no project"))
    try:
        return answer(GitHistory(entries=backend.project.history(name)))
    except (GitError, DefinitionError, DefinitionErrors) as error:
        return answer(GitHistory(entries=[], note=str(error)))


@router.get("/{name}/diff", response_model=PromptDiff, summary="Two versions")
def diff_versions(
    backend: Reading,
    name: Name,
    before: Annotated[str, Query(min_length=1, max_length=100)],
    after: Annotated[str, Query(min_length=1, max_length=100)] = "latest",
) -> Response:
    """Both, whole; what differs is for the reader to mark."""
    one, two = _found(backend, name, before), _found(backend, name, after)
    return answer(PromptDiff(before=one.template, after=two.template))


@router.get("/{name}/labels", response_model=LabelHistory, summary="Where its labels went")
def label_history(backend: Reading, name: Name) -> Response:
    """The newest move first."""
    return answer(LabelHistory(moves=list(backend.service.prompts.label_history(name))))


@router.put("/{name}/labels/{label}", response_model=VersionRow, summary="Move a label")
def move_label(backend: Writing, name: Name, label: _Label, target: LabelTarget) -> Response:
    """To a recorded version, or one that git knows, which is then recorded."""
    return answer(backend.service.prompts.label(name, label, target.version))


@router.delete("/{name}/labels/{label}", status_code=204, summary="Take a label away")
def remove_label(backend: Writing, name: Name, label: _Label) -> Response:
    """Its history stays."""
    backend.service.prompts.unlabel(name, label)
    return Response(status_code=204)


@router.post("/{name}/render", response_model=RenderedPrompt, summary="What would be sent")
def render(backend: Reading, name: Name, given: Inputs) -> Response:
    """The messages for these inputs; no model is called."""
    return answer(backend.the_project.render(_runnable(backend, name, given.version), given.inputs))


@router.post("/{name}/try", response_model=Tried, summary="Ask models")
def try_out(backend: Writing, name: Name, trial: Trial) -> Response:
    """One recorded run for each model, which must be named by the project's own files. A version
    that only the database has is tried as it was recorded."""
    reference = _runnable(backend, name, trial.version)
    return answer(
        Tried(trace_ids=backend.the_project.try_out(reference, trial.inputs, trial.models))
    )


def _found(backend: Backend, name: str, version: str) -> FoundPrompt:
    """Recorded, else of the project: its file, or as of a git revision."""
    project = backend.project
    if version == "file" and project is not None:
        return FoundPrompt(template=project.get(name))
    try:
        found = backend.service.prompts.get(name, version)
        return FoundPrompt(template=found.template, row=found.row)
    except NoSuchRecord:
        if project is None:
            raise
        reference = name if version == "latest" else _reference(name, version)
        return FoundPrompt(template=project.get(reference))


def _runnable(backend: Backend, name: str, version: str) -> str:
    """What the project can render: its file, a label, a git revision, else one of the database."""
    project, reference = backend.the_project, _reference(name, version)
    try:
        project.get(reference)
    except (DefinitionError, DefinitionErrors, GitError):
        try:
            found = backend.service.prompts.get(name, version or "latest")
        except NoSuchRecord:
            found = None
        if found is None or reference == name:
            raise
        return f"{name}@{found.row.version}"
    return reference


def _reference(name: str, version: str) -> str:
    return name if version in {"", "file"} else f"{name}@{version}"
