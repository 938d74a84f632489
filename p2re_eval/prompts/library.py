"""All prompts of a folder: by name, at any revision, rendered, with their history."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import (
    DefinitionError,
    DefinitionErrors,
    DuplicateKey,
    GitError,
    OutsideFolder,
    UnknownName,
)
from p2re_eval.explain import did_you_mean
from p2re_eval.git import Blobs, Commit, Repository
from p2re_eval.prompts.inputs import Declared, InputChecker, InputProblem
from p2re_eval.prompts.load import Loader, prompt_name
from p2re_eval.prompts.recorded import NothingRecorded, Recorded
from p2re_eval.prompts.render import CompiledPrompt
from p2re_eval.prompts.sandbox import PromptEnvironment, new_environment
from p2re_eval.prompts.sources import AtRevision, Beside, Source, WorkingTree
from p2re_eval.prompts.versions import VersionEntry
from p2re_eval.records import JSON, ModelSettings, PromptTemplate, RenderedPrompt

if TYPE_CHECKING:
    import jinja2

_NUMBER = re.compile(r"v([1-9][0-9]*)\Z")
_PREFIX = re.compile(r"[0-9a-f]{7,64}\Z")
_MOST_COMPILED = 1024

Stamp = tuple[int, int]


class PromptLibrary:
    """The prompts below one folder.

    A prompt is re-read when its file or one of its partials has changed on disk; what was read from
    a git revision stays. ``prepare`` adds plug-ins' filters and globals to the Jinja environment,
    ``recorded`` knows labels. Messages name files from ``root`` on.
    """

    def __init__(
        self,
        folder: Path,
        *,
        root: Path | None = None,
        prepare: Callable[[jinja2.Environment], None] | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        self.folder = folder
        self._prepare = prepare
        self._recorded = recorded or NothingRecorded()
        self._checker = InputChecker()
        self._tree = WorkingTree(folder, root)
        self._names: dict[str, tuple[Stamp, str]] = {}
        self._loaded: dict[str, tuple[dict[str, Stamp], PromptTemplate]] = {}
        self._at_revision: dict[tuple[str, str], PromptTemplate] = {}
        self._compiled: dict[int, tuple[PromptTemplate, CompiledPrompt]] = {}
        self._defined: dict[str, PromptTemplate] = {}
        self._histories: dict[tuple[str, str], list[VersionEntry]] = {}

    def define(self, name: str, text: str) -> PromptTemplate:
        """A prompt from YAML text under this name, for this library's lifetime; it goes before a
        file's prompt of the same name. Raises DefinitionErrors."""
        template = self._load(Beside(self._tree, f"{name}.yaml", text), f"{name}.yaml")
        self._defined[template.name] = template
        return template

    def forget(self, name: str) -> None:
        """What :meth:`define` said under this name no longer counts; the file does, if any."""
        self._defined.pop(name, None)

    def is_defined(self, name: str) -> bool:
        """Whether :meth:`define` said what this prompt is, and not a file."""
        return name in self._defined

    def names(self) -> list[str]:
        """The names of all prompts, sorted; a file that cannot be read counts by its stem."""
        return sorted({*self._index(), *self._defined})

    def get(self, reference: str) -> PromptTemplate:
        """The prompt ``name``, or ``name@REV``.

        REV is ``v3`` (the third version of its history), a label (``production``), ``latest`` (the
        last that was recorded), a git revision (branch, tag, commit), or the first seven or more
        digits of a version in its history or in the record. A tag that is itself called ``v3`` is
        ``refs/tags/v3``, a branch that is called like a label ``refs/heads/production``.

        Raises DefinitionError (no such prompt, two of that name), DefinitionErrors (mistakes in the
        file), GitError (no such revision or label) and StoreError (the record cannot be read).
        """
        name, at, revision = reference.partition("@")
        if not at:
            return self._defined.get(name) or self._current(name)
        labelled = None if _NUMBER.match(revision) else self._recorded.labelled(name, revision)
        if labelled is not None:
            return labelled  # not kept: labels move
        key = (name, revision)
        if key not in self._at_revision:
            # A branch moves and HEAD too, but one session should see one state of them.
            self._at_revision[key] = self._at(name, revision)
        return self._at_revision[key]

    def load_all(self) -> tuple[dict[str, PromptTemplate], list[DefinitionError]]:
        """Every prompt that can be loaded, and every mistake in the others."""
        templates: dict[str, PromptTemplate] = {}
        mistakes: dict[str, DefinitionError] = {}
        for name in self.names():
            try:
                templates[name] = self._current(name)
            except DefinitionErrors as error:
                mistakes |= {str(each): each for each in error.errors}
            except DefinitionError as error:
                mistakes[str(error)] = error
        ordered = sorted(mistakes.values(), key=lambda m: (str(m.path), m.line, m.column))
        return templates, ordered

    def check_inputs(
        self, template: PromptTemplate, inputs: Mapping[str, JSON], *, whole: bool = True
    ) -> list[InputProblem]:
        """What is wrong with these inputs: unknown, missing, or against their JSON Schema.

        Unless they are ``whole``, none of them is missing.
        """
        declared = Declared.by(template.name, template.inputs, template.messages)
        return self._checker.problems(declared, inputs, needed=None if whole else ())

    def render(
        self,
        template: PromptTemplate,
        inputs: Mapping[str, JSON],
        settings: ModelSettings = ModelSettings(),  # noqa: B008 - frozen
    ) -> RenderedPrompt:
        """What is sent to the model for these inputs; ``settings`` override the template's.

        Raises RenderError, which names the prompt and the line of its template.
        """
        return self._compile(template).render(inputs, settings)

    def history(self, name: str) -> list[VersionEntry]:
        """The versions that the prompt had in the commits of HEAD, newest first.

        A commit counts when it changed what is sent, in the file or in a partial; one that left
        mistakes in them does not. Renames are followed. Raises GitError, DefinitionError.
        """
        repository, prefix = self._place_in_git
        path = self._path_in_git(name, repository, prefix)
        asked = (path, repository.resolve("HEAD"))
        if asked not in self._histories:
            self._histories[asked] = self._read_history(repository, prefix, path)
        return list(self._histories[asked])

    def _read_history(self, repository: Repository, prefix: str, path: str) -> list[VersionEntry]:
        with repository.blobs() as blobs:
            states = list(self._states(repository, prefix, path, blobs))
        entries: list[VersionEntry] = []
        numbers: dict[str, int] = {}
        for commit, version in reversed(states):
            if entries and entries[-1].version == version:
                continue
            number = numbers.setdefault(version, len(numbers) + 1)
            entries.append(
                VersionEntry(
                    number=number,
                    version=version,
                    commit=commit.commit,
                    date=commit.date,
                    author=commit.author,
                    subject=commit.subject,
                )
            )
        return entries[::-1]

    # --- the working tree ---

    def _current(self, name: str) -> PromptTemplate:
        path = self._path(name)
        known = self._loaded.get(path)
        if known is not None and known[0] == self._stamps(known[0]):
            return known[1]
        template = self._load(self._tree, path)
        stamps = self._stamps([path, *template.partials])
        self._loaded[path] = (stamps, template)
        return template

    def _path(self, name: str) -> str:
        index = self._index()
        paths = index.get(name, [])
        if not paths:
            where = "" if self.folder.is_dir() else f"; there is no folder '{self.folder}'"
            raise UnknownName(f"no prompt is called '{name}'{where or did_you_mean(name, index)}")
        if len(paths) > 1:
            first = self._tree.shown(paths[0])
            what = f"the name '{name}' is already taken by {first}; rename one of the two"
            raise DuplicateKey(what, path=self._tree.shown(paths[1]))
        return paths[0]

    def _index(self) -> dict[str, list[str]]:
        """The files of each name; a file is read again only when it changed."""
        index: dict[str, list[str]] = {}
        for path in self._tree.prompt_files():
            stamp = _stamp(self.folder / path)
            known = self._names.get(path)
            if known is None or known[0] != stamp:
                known = self._names[path] = (stamp, prompt_name(self._tree, path))
            index.setdefault(known[1], []).append(path)
        return index

    def _stamps(self, paths: Mapping[str, Stamp] | list[str]) -> dict[str, Stamp]:
        return {path: _stamp(self.folder / path) for path in paths}

    # --- git ---

    @cached_property
    def _place_in_git(self) -> tuple[Repository, str]:
        repository = Repository.around(self.folder)
        try:
            prefix = self.folder.resolve().relative_to(repository.root).as_posix()
        except ValueError:
            raise GitError(f"{self.folder} is outside the repository {repository.root}") from None
        return repository, "" if prefix == "." else prefix

    def _at(self, name: str, revision: str) -> PromptTemplate:
        number = _NUMBER.match(revision)
        if number:
            return self._numbered(name, int(number[1]))
        digits = _PREFIX.match(revision)
        try:
            commit = self._place_in_git[0].resolve(revision)
        except GitError as error:
            if not digits:
                why = self._recorded.why_no_label(name, revision)
                raise GitError(f"{error}{why}" if why else str(error)) from None
            return self._of_version(name, revision)
        return self._from_commit(name, commit)

    def _of_version(self, name: str, digits: str) -> PromptTemplate:
        try:
            return self._from_commit(name, self._commit_of_version(name, digits))
        except (GitError, DefinitionError):  # the commit, or the whole file, is of somewhere else
            recorded = self._recorded.version(name, digits)
            if recorded is None:
                raise
            return recorded

    def _numbered(self, name: str, number: int) -> PromptTemplate:
        self._place_in_git[0].refuse_shallow(f"'{name}@v{number}'")
        entries = self.history(name)
        for entry in entries:
            if entry.number == number:
                return self._from_commit(name, entry.commit)
        most = max((entry.number for entry in entries), default=0)
        versions = "1 committed version" if most == 1 else f"{most} committed versions"
        raise GitError(f"'{name}' has {versions}, so there is no v{number}")

    def _commit_of_version(self, name: str, digits: str) -> str:
        for entry in self.history(name):
            if entry.version.startswith(digits):
                return entry.commit
        repository, _ = self._place_in_git
        repository.refuse_shallow(f"finding the version {digits} of '{name}'")
        raise GitError(
            f"'{digits}' is neither a commit nor a version of '{name}'; "
            f"see `p2re prompts log {name}`"
        )

    def _from_commit(self, name: str, commit: str) -> PromptTemplate:
        repository, prefix = self._place_in_git
        with repository.blobs() as blobs:
            source = AtRevision(repository, commit, prefix, blobs.read)
            for path in self._likely_first(name, source):
                if source.read(path) is not None and prompt_name(source, path) == name:
                    return self._load(source, path)
        known = did_you_mean(name, [prompt_name(source, path) for path in source.prompt_files()])
        raise UnknownName(f"no prompt is called '{name}' at {commit[:7]}{known}")

    def _likely_first(self, name: str, source: AtRevision) -> Iterator[str]:
        """Where the prompt may have been: where it is now, then everywhere."""
        yield from self._index().get(name, [])
        yield from source.prompt_files()

    def _path_in_git(self, name: str, repository: Repository, prefix: str) -> str:
        paths = self._index().get(name)
        if paths:
            return self._path(name)
        with repository.blobs() as blobs:
            source = AtRevision(repository, repository.resolve("HEAD"), prefix, blobs.read)
            for path in source.prompt_files():
                if prompt_name(source, path) == name:
                    return path
        return self._path(name)

    def _states(
        self, repository: Repository, prefix: str, path: str, blobs: Blobs
    ) -> Iterator[tuple[Commit, str]]:
        """Each commit that may have changed the prompt, newest first, with the version after it."""
        start = f"{prefix}/" if prefix else ""
        for commit in repository.log(prefix or "."):
            changed = {name.removeprefix(start): old for name, old in commit.changes.items()}
            others = any(not name.endswith((".yaml", ".yml")) for name in changed)
            if path in changed or others:
                source = AtRevision(repository, commit.commit, prefix, blobs.read)
                # A commit that did not hold a working prompt has no version of it.
                with suppress(DefinitionError, DefinitionErrors):
                    yield commit, self._load(source, path).version
            if path in changed:
                before = changed[path]
                if before is None:
                    return
                path = before.removeprefix(start)

    def _load(self, source: Source, path: str) -> PromptTemplate:
        try:
            return self._loader.load(source, path)
        except OutsideFolder as error:
            raise OutsideFolder(error.what, path=source.shown(path)) from None

    # --- rendering ---

    @cached_property
    def _environment(self) -> PromptEnvironment:
        return new_environment(self._prepare)

    @cached_property
    def _loader(self) -> Loader:
        return Loader(self._environment, self._checker)

    def _compile(self, template: PromptTemplate) -> CompiledPrompt:
        known = self._compiled.get(id(template))
        if known is None:
            if len(self._compiled) >= _MOST_COMPILED:
                self._compiled.clear()

            def read_image(path: str) -> bytes | None:  # git is asked only where there is an image
                return self._source_of(template).read_image(path)

            compiled = CompiledPrompt(template, self._environment, read_image)
            # Keeping the template keeps its id from being given to another one.
            known = self._compiled[id(template)] = (template, compiled)
        return known[1]

    def _source_of(self, template: PromptTemplate) -> Source:
        if template.commit is None:
            return self._tree
        repository, prefix = self._place_in_git
        return AtRevision(repository, template.commit, prefix, repository.read)


def _stamp(file: Path) -> Stamp:
    try:
        status = file.stat()
    except OSError:
        return (0, 0)
    return (status.st_mtime_ns, status.st_size)
