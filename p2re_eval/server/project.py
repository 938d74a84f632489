"""The project beside the database: its prompt files, their git history, and runs tried by hand."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    GitError,
    P2REError,
    UsageError,
)
from p2re_eval.gates import Gate, parse_gate
from p2re_eval.pipeline import Harness, Settings, execute
from p2re_eval.project import layout
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.prompts.versions import VersionEntry
from p2re_eval.records import JSON, Case, ModelSettings, PromptTemplate, RenderedPrompt, Suite
from p2re_eval.suites.load import is_suite, load_suite
from p2re_eval.suites.saved import append_case

_T = TypeVar("_T")
MOST_MODELS = 8
_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_OPEN = ("http://", "https://", "data:")


class Project:
    """One at a time: a library caches what it reads and is not made for threads."""

    def __init__(self, root: Path, db: Path) -> None:
        self._places = layout(root)
        self.root = self._places.root
        self._db = db
        self._lock = threading.RLock()
        self._harness: Harness | None = None

    @property
    def harness(self) -> Harness:
        """What runs are made with; nothing is opened before it is used."""
        if self._harness is None:
            settings = Settings(root=self.root, db_path=self._db, prompts=self._places.prompts)
            self._harness = Harness(settings)
        return self._harness

    def close(self) -> None:
        """Let go of models and connections."""
        with self._lock:
            if self._harness is not None:
                self._harness.close()
                self._harness = None

    def prompts(self) -> tuple[dict[str, PromptTemplate], list[DefinitionError]]:
        """The prompts of the working tree by name, and the mistakes in others."""
        return self._ask(lambda library: library.load_all())

    def get(self, reference: str) -> PromptTemplate:
        """``name`` or ``name@REV``. Raises DefinitionError, DefinitionErrors, GitError."""
        return self._ask(lambda library: library.get(reference))

    def history(self, name: str) -> list[VersionEntry]:
        """The versions in git, newest first. Raises GitError, DefinitionError."""
        return self._ask(lambda library: library.history(name))

    def render(self, reference: str, inputs: dict[str, JSON]) -> RenderedPrompt:
        """What would be sent. Raises RenderError, DefinitionError, UsageError (images by path)."""

        def rendered(library: PromptLibrary) -> RenderedPrompt:
            template = library.get(reference)
            if "@" in reference:
                self._refuse_reaching(template)
            refuse_paths(template, inputs)
            problems = library.check_inputs(template, inputs)
            if problems:
                raise UsageError("; ".join(str(one) for one in problems))
            return library.render(template, inputs)

        return self._ask(rendered)

    def models(self) -> list[str]:
        """The models that the project's own files name: the only ones a request may ask for."""
        return sorted({one.id for one in self._settings() if one.provider and one.name})

    def _settings(self) -> Iterator[ModelSettings]:
        """How the project's own files set up their models."""
        templates, _ = self.prompts()
        yield from (one.model for one in templates.values() if one.model.provider)
        for path in self._suite_files():
            try:
                suite = load_suite(path, root=self.root)
            except (P2REError, OSError):
                continue  # a mistake in a suite is said where suites are run
            yield from suite.models

    def _suite_files(self) -> list[Path]:
        found = (path for folder in self._places.suites for path in folder.rglob("*.y*ml"))
        return sorted(path for path in found if is_suite(path))

    def _shown(self, path: Path) -> str:
        inside = path.is_relative_to(self.root)
        return (path.relative_to(self.root) if inside else path).as_posix()

    def _refuse_reaching(self, template: PromptTemplate) -> None:
        """Raises UsageError where a version of the database alone would read a file or call an
        address that no file of this project names: a database may come from somebody else."""
        images = [one for one in _images(template) if "{" not in one and not one.startswith(_OPEN)]
        own = template.model
        reaching = [name for name in ("base_url", "extra") if getattr(own, name)]
        known = list(self._settings()) if reaching else []
        strange = [
            name
            for name in reaching
            if all(getattr(own, name) != getattr(one, name) for one in known)
        ]
        if not (images or strange) or self._in_git(template):
            return
        if images:
            raise UsageError("this version shows an image by its path; try it from its file")
        what = f"this version sets the model's '{strange[0]}' to what no file of this project has"
        raise UsageError(f"{what}; save it as a file to try it")

    def _in_git(self, template: PromptTemplate) -> bool:
        try:
            entries = self.history(template.name)
        except (GitError, DefinitionError, DefinitionErrors):
            return False
        return any(entry.version == template.version for entry in entries)

    def gates(self, suites: Sequence[str]) -> dict[str, list[Gate]]:
        """The gates that these suites have now, by suite; only files of the project are read.

        Raises DefinitionErrors for a suite that cannot be read.
        """
        wanted = set(suites)
        found = {}
        for path in self._suite_files():
            if self._shown(path) in wanted:
                suite = load_suite(path, root=self.root)
                found[suite.path] = [parse_gate(spec) for spec in suite.gates]
        return found

    def try_out(self, reference: str, inputs: dict[str, JSON], models: Sequence[str]) -> list[str]:
        """The ids of one recorded run a model. Raises what is wrong before any model is called."""
        allowed = self.models()
        template = self.get(reference)
        if "@" in reference:
            self._refuse_reaching(template)
        own = template.model.id
        for model in models or ([own] if own else []):
            if model not in allowed:
                what = f"'{model}' is named by no prompt or suite of this project"
                raise UsageError(f"{what}; try one of {', '.join(allowed) or 'none'}")
        asked: Sequence[str | None] = models or [None]
        with self._lock:
            refuse_paths(self.harness.library.get(reference), inputs)
            assert self.harness.runner  # made in this thread
            planned = [
                self.harness.planner.plan_one(_suite(reference, inputs, model)) for model in asked
            ]
            running = [self.harness.loop.submit(execute(one, self.harness)) for one in planned]
        return [one.result()[0].trace.trace_id for one in running]

    def save_case(self, prompt: str, inputs: dict[str, JSON], expected: JSON) -> Path:
        """Add a case to ``suites/saved/PROMPT.yaml``, made when it is not there.

        Raises UsageError for a name no file can have, DefinitionErrors for a file that others have
        changed so that a case at its end is none; then it stays as it was.
        """
        with self._lock:
            self.harness.library.get(prompt)
            if not _FILE_NAME.fullmatch(prompt):
                raise UsageError(f"'{prompt}' cannot name a file; save the case by hand")
            path = self._places.suites[0] / "saved" / f"{prompt}.yaml"
            append_case(path, prompt, inputs, expected, root=self.root)
            return Path(self._shown(path))

    def _ask(self, question: Callable[[PromptLibrary], _T]) -> _T:
        with self._lock:
            return question(self.harness.library)


def _suite(reference: str, inputs: dict[str, JSON], model: str | None) -> Suite:
    provider, _, name = (model or "").partition("/")
    return Suite(
        name="browser",
        path="browser",
        prompts=(reference,),
        models=(ModelSettings(provider=provider, name=name),) if model else (),
        cases=(Case(id="tried", inputs=inputs),),
    )


def refuse_paths(template: PromptTemplate, inputs: dict[str, JSON]) -> None:
    """A prompt's image may be a path; one that comes with a request never is."""
    shown = [image for image in _images(template) if "{" in image]
    for name, value in inputs.items():
        used = any(name in image for image in shown)
        if used and not (isinstance(value, str) and value.startswith(_OPEN)):
            raise UsageError(f"the image '{name}' must be an address or a data: URI, not a path")
    if shown and template.inputs and any("{%" in image for image in shown):
        raise UsageError("the images of this prompt are computed; try it on the command line")


def _images(template: PromptTemplate) -> list[str]:
    """The images of its messages as they are written."""
    return [
        part.image
        for message in template.messages
        if not isinstance(message.content, str)
        for part in message.content
        if part.image is not None
    ]
