"""What a notebook works with: one harness for the whole kernel, made when it is first needed."""

from __future__ import annotations

import atexit
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from p2re_eval.clock import SystemClock, new_trace_id
from p2re_eval.errors import ProviderError
from p2re_eval.pipeline import DEFAULT_CONCURRENCY, Harness, Settings, execute
from p2re_eval.planning import PlannedRun
from p2re_eval.project import layout
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.records import (
    JSON,
    Case,
    Completion,
    Evaluation,
    Experiment,
    ModelSettings,
    PromptTemplate,
    RenderedPrompt,
    Suite,
    Trace,
)
from p2re_eval.results import answer_text
from p2re_eval.store import Store, default_path

_LOCK = threading.Lock()
_ROOT_MARKS = ("prompts", "pyproject.toml", ".git")
NOTEBOOK = "notebook"
"""The suite that single runs belong to."""


@dataclass(frozen=True)
class Answer:
    """What a run gave; its text when printed."""

    trace: Trace

    @property
    def completion(self) -> Completion:
        """The provider's whole answer."""
        assert self.trace.completion is not None
        return self.trace.completion

    @property
    def text(self) -> str:
        """The answer's text, or its tool calls as JSON."""
        return answer_text(self.completion)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from p2re_eval.notebook.drawing import trace_bundle

        return {**trace_bundle(self.trace), "text/plain": self.text}


class Workbench:
    """A project's prompts and the database, for as long as the kernel lives.

    ``root`` is the project's folder: by default the nearest one upwards that holds ``prompts``, a
    ``pyproject.toml`` or a repository. ``db`` is the database, by default that of every command;
    ``prompts`` the folder of prompts, by default the project's.
    """

    def __init__(
        self,
        root: Path | str | None = None,
        *,
        db: Path | str | None = None,
        prompts: Path | str | None = None,
        concurrency: int = DEFAULT_CONCURRENCY,
    ) -> None:
        self.root = project_root(Path.cwd()) if root is None else Path(root).resolve()
        places = layout(self.root)
        usual = places.database or default_path()
        settings = Settings(
            root=self.root,
            db_path=usual if db is None else Path(db).expanduser().resolve(),
            prompts=places.prompts if prompts is None else self.root / prompts,
            concurrency=concurrency,
        )
        self.harness = Harness(settings, experiment=new_experiment(NOTEBOOK))
        self._runs = 0

    def __repr__(self) -> str:
        return f"project {self.root}, recorded in {self.harness.settings.db_path}"

    @property
    def library(self) -> PromptLibrary:
        """The project's prompts, and those defined in cells."""
        return self.harness.library

    @property
    def store(self) -> Store:
        """The database, opened when it is first needed. Raises StoreError."""
        if not self.harness.used:
            assert self.harness.store
            # Registered after the store's own farewell, so called before it.
            atexit.register(self._note_end)
        return self.harness.store

    def run(
        self,
        prompt: str | PromptTemplate,
        /,
        *,
        model: str | Mapping[str, JSON] | None = None,
        inputs: Mapping[str, JSON] | None = None,
        session: str | None = None,
        **named: JSON,
    ) -> Answer:
        """Render the prompt with these inputs, ask the model and record the trace.

        ``model`` is ``provider/name`` or settings with both; ``inputs`` serves names that are not
        Python names. Raises DefinitionErrors, ProviderError, StoreError.
        """
        planned = self.plan_one(prompt, model, {**(inputs or {}), **named})
        assert self.store
        answered, _ = self.harness.loop.submit(
            execute(planned, self.harness, session_id=session)
        ).result()
        return self.answer(answered.trace)

    def plan_one(
        self,
        prompt: str | PromptTemplate,
        model: str | Mapping[str, JSON] | None,
        inputs: Mapping[str, JSON],
    ) -> PlannedRun:
        """A single run, checked. Raises DefinitionErrors."""
        return self.harness.planner.plan_one(self._one(prompt, model, dict(inputs)))

    def answer(self, trace: Trace) -> Answer:
        """What a run gave. Raises ProviderError when it gave no answer."""
        fault = trace.fault
        if fault is not None:
            what = f"{trace.prompt.model.id} gave no answer ({fault.kind}): {fault.message}"
            raise ProviderError(what, partial=fault.partial)
        return Answer(trace)

    def render(
        self,
        prompt: str | PromptTemplate,
        /,
        inputs: Mapping[str, JSON] | None = None,
        **named: JSON,
    ) -> RenderedPrompt:
        """The messages that would be sent. Raises DefinitionErrors, RenderError."""
        template = self.library.get(prompt) if isinstance(prompt, str) else prompt
        return self.library.render(template, {**(inputs or {}), **named})

    def close(self) -> None:
        """Write everything down and let go. Safe to call twice."""
        atexit.unregister(self._note_end)
        self._note_end()
        self.harness.close()

    def _note_end(self) -> None:
        """All that the end of the interpreter needs: it takes threads and models away itself."""
        if self.harness.used and self.harness.experiment.ended_ns is None:
            ended = {"status": "COMPLETE", "ended_ns": self.harness.clock.now_ns()}
            self.harness.finish(self.harness.experiment.model_copy(update=ended))

    def _one(
        self,
        prompt: str | PromptTemplate,
        model: str | Mapping[str, JSON] | None,
        inputs: dict[str, JSON],
    ) -> Suite:
        self._runs += 1
        return Suite(
            name=NOTEBOOK,
            path=NOTEBOOK,
            prompts=(prompt if isinstance(prompt, str) else prompt.name,),
            models=() if model is None else (model_settings(model),),
            cases=(Case(id=f"run-{self._runs}", inputs=inputs),),
        )


class _Kernel:
    """The kernel's own workbench; a new one after :func:`use`."""

    current: Workbench | None = None


def evaluations_of(trace: Trace) -> tuple[Evaluation, ...]:
    """What the kernel's own database has about a trace; nothing before it was opened."""
    bench = _Kernel.current
    if bench is None or not bench.harness.used:
        return ()
    return tuple(bench.store.evaluations(trace.trace_id))


def workbench() -> Workbench:
    """The kernel's workbench, made on first use."""
    with _LOCK:
        if _Kernel.current is None:
            _Kernel.current = Workbench()
        return _Kernel.current


def use(
    root: Path | str | None = None,
    *,
    db: Path | str | None = None,
    prompts: Path | str | None = None,
    concurrency: int = DEFAULT_CONCURRENCY,
) -> Workbench:
    """Work with this project and database from now on; the one before is closed."""
    made = Workbench(root, db=db, prompts=prompts, concurrency=concurrency)
    with _LOCK:
        before, _Kernel.current = _Kernel.current, made
    if before is not None:
        before.close()
    return made


def run(
    prompt: str | PromptTemplate,
    /,
    *,
    model: str | Mapping[str, JSON] | None = None,
    inputs: Mapping[str, JSON] | None = None,
    session: str | None = None,
    **named: JSON,
) -> Answer:
    """:meth:`Workbench.run` at the kernel's own workbench."""
    return workbench().run(prompt, model=model, inputs=inputs, session=session, **named)


def render(
    prompt: str | PromptTemplate, /, inputs: Mapping[str, JSON] | None = None, **named: JSON
) -> RenderedPrompt:
    """:meth:`Workbench.render` at the kernel's own workbench."""
    return workbench().render(prompt, inputs, **named)


def project_root(start: Path) -> Path:
    """The nearest folder upwards that looks like a project's, else the one to start from."""
    for folder in (start, *start.parents):
        if any((folder / mark).exists() for mark in _ROOT_MARKS):
            return folder
    return start


def new_experiment(
    name: str,
    *,
    suites: tuple[str, ...] = (),
    planned: int = 0,
    settings: Mapping[str, JSON] | None = None,
) -> Experiment:
    """An experiment that begins now."""
    now_ns = SystemClock().now_ns()
    return Experiment(
        experiment_id=new_trace_id(now_ns),
        name=name,
        started_ns=now_ns,
        suites=suites,
        planned=planned,
        settings=dict(settings or {}),
    )


def model_settings(model: str | Mapping[str, JSON]) -> ModelSettings:
    """``provider/name`` or a mapping as settings."""
    if isinstance(model, str):
        provider, _, name = model.partition("/")
        return ModelSettings(provider=provider, name=name)
    return ModelSettings.model_validate(dict(model))
