"""A suite file and its datasets as one :class:`Suite`, or as everything that is wrong with them."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath

from pydantic import ValidationError

from p2re_eval.documents import did_you_mean, read_document, read_text
from p2re_eval.errors import (
    DefinitionErrors,
    MissingFile,
    MissingValue,
    OutsideFolder,
    WrongType,
)
from p2re_eval.garbage import collector_paused
from p2re_eval.records import JSON, Case, ModelSettings, Place, Quarantine, Suite
from p2re_eval.suites.cases import CaseBuilder
from p2re_eval.suites.datasets import DATASET_SUFFIXES, Dataset
from p2re_eval.suites.entries import (
    common_settings,
    gate_specs,
    model_settings,
    prompt_names,
    scorer_specs,
)
from p2re_eval.suites.format import DatasetEntry, Defaults, SuiteFile
from p2re_eval.suites.quarantine import QuarantineReader
from p2re_eval.suites.spots import InDocument, Mistakes

SUITE_SUFFIXES = (".yaml", ".yml")
_BEFORE_CONTENT = re.compile(r"(?:\s+|#[^\n]*|%[^\n]*\n|---(?=\s)|[&!]\S*(?=\s))*")


def load_suite(path: Path, *, root: Path) -> Suite:
    """Read a suite file and its datasets.

    Its ``path`` is relative to the root folder where it lies below it. Raises DefinitionErrors with
    every mistake of the suite and, for each dataset, the first twenty.
    """
    with collector_paused():
        suite, mistakes = read_suite(path, root=root)
    mistakes.raise_if_any()
    return suite


def read_suite(path: Path, *, root: Path) -> tuple[Suite, Mistakes]:
    """What can be made of a suite file, and its mistakes: the rest can still be checked.

    Raises DefinitionErrors when nothing can be made of it.
    """
    reader = _SuiteReader(path, root)
    return reader.suite(), reader.mistakes


def parse_suite(text: str, *, name: str, root: Path) -> Suite:
    """A suite of this text, called ``name``, that is no file (yet).

    Raises DefinitionErrors as :func:`load_suite` does.
    """
    reader = _SuiteReader(root / name, root, text=text)
    suite = reader.suite()
    reader.mistakes.raise_if_any()
    return suite


def is_suite(path: Path) -> bool:
    """Whether this file is meant as a suite; an unreadable one is, so that loading says why."""
    if path.suffix not in SUITE_SUFFIXES or path.name.startswith(("_", ".")):
        return False
    try:
        text = read_text(path)
    except DefinitionErrors:
        return True
    return is_suite_text(text)


def is_suite_text(text: str) -> bool:
    """Whether YAML of this text is a suite: a list at the top is a dataset."""
    start = _BEFORE_CONTENT.match(text.removeprefix("\ufeff"))
    first = text.removeprefix("\ufeff")[start.end() if start else 0 :][:2]
    return not (first.startswith("[") or first in {"-", "- ", "-\n", "-\r", "-\t"})


class _SuiteReader:
    """One suite file on its way to a record; collects mistakes instead of stopping at the first."""

    def __init__(self, path: Path, root: Path, *, text: str | None = None) -> None:
        self._path = path
        self._root = root
        self._text = text
        self._shown = _shown(path, root)
        self.mistakes = Mistakes(self._shown)

    def suite(self) -> Suite:
        text = read_text(self._path, shown=self._shown) if self._text is None else self._text
        document = read_document(self._shown, text)
        self._top = InDocument(document)
        raw = self._mapping(document.value)
        file = self._file(raw)
        labels: set[str] = set()
        top, mistakes = self._top, self.mistakes
        scorers = scorer_specs(file.scorers, top.within("scorers"), mistakes, labels)
        cases = self._cases(file, labels)
        suite = Suite(
            name=file.name or self._path.stem,
            path=self._shown,
            description=file.description,
            prompts=prompt_names(file.prompt, file.prompts, top, mistakes),
            models=model_settings(file.models or (), top.within("models"), mistakes),
            repeat=file.repeat,
            settings=self._settings(file),
            source=file.source,
            recordings=self._recordings(file.recordings),
            scorers=scorers,
            cases=cases,
            threshold=file.threshold,
            gates=gate_specs(file.gates, top.within("gates"), mistakes),
            tags=tuple(dict.fromkeys(file.tags)),
            early_stop=file.early_stop,
            quarantine=self._quarantine(file, cases),
            places=self._places(raw, file),
        )
        self._check_complete(raw, suite)
        return suite

    def _mapping(self, value: JSON) -> dict[str, JSON]:
        if isinstance(value, dict):
            return value
        what = "a suite needs `prompt:` and `cases:` (or `dataset:`)"
        if value is None:
            self.mistakes.note(MissingValue, f"this file is empty; {what}", self._top)
        elif isinstance(value, list):
            what = "a list at the top is a dataset; name it in the `dataset:` of a suite"
            self.mistakes.note(WrongType, what, self._top)
        else:
            self.mistakes.note(WrongType, f"this is only text; {what}", self._top)
        self.mistakes.raise_if_any()
        return {}

    def _file(self, raw: dict[str, JSON]) -> SuiteFile:
        """What the file says, without the keys that are wrong: the rest is still worth checking."""
        self._wrong: set[str] = set()
        try:
            return SuiteFile.model_validate(raw)
        except ValidationError as error:
            self.mistakes.explain(error, SuiteFile, self._top)
            self._wrong = {str(entry["loc"][0]) for entry in error.errors()}
            kept = {key: value for key, value in raw.items() if key not in self._wrong}
            return SuiteFile.model_validate(kept)

    def _settings(self, file: SuiteFile) -> ModelSettings:
        if file.settings is None:
            return ModelSettings()
        return common_settings(file.settings, self._top.within("settings"), self.mistakes)

    def _recordings(self, text: str | None) -> str | None:
        if text is None:
            return None
        if PurePath(text).is_absolute() or ".." in PurePath(text).parts:
            what = "recordings lie below the root folder; give a path relative to it"
            self.mistakes.note(OutsideFolder, what, self._top, "recordings")
        return text

    def _quarantine(self, file: SuiteFile, cases: tuple[Case, ...]) -> tuple[Quarantine, ...]:
        ids = {case.id for case in cases}
        reader = QuarantineReader(self._path, self._shown, ids, self.mistakes)
        return reader.read(file.quarantine, self._top.within("quarantine"))

    def _cases(self, file: SuiteFile, labels: set[str]) -> tuple[Case, ...]:
        defaults = file.defaults or Defaults()
        spot = self._top.within("defaults")
        builder = CaseBuilder(defaults, spot, labels, self.mistakes)
        for position, (dataset, prefix) in enumerate(self._datasets(file)):
            stem = f"{prefix}-" if position else ""
            for row in dataset.rows(self.mistakes):
                builder.add(row.entry, row.spot, f"{stem}row-{row.number:04}")
        for index, entry in enumerate(file.cases):
            spot = self._top.within("cases", index)
            builder.add(entry, spot, f"case-{index + 1:03}", from_text=True)
        return builder.cases()

    def _datasets(self, file: SuiteFile) -> list[tuple[Dataset, str]]:
        value: JSON = file.dataset
        entries = value if isinstance(value, list) else [] if value is None else [value]
        found = []
        for index, entry in enumerate(entries):
            spot = self._top.within("dataset")
            dataset = self._dataset(entry, spot.within(index) if value is entries else spot)
            if dataset is not None:
                found.append((dataset, dataset.path.stem))
        return found

    def _dataset(self, raw: JSON, spot: InDocument) -> Dataset | None:
        if not isinstance(raw, str | dict):
            what = "a dataset is a file's path, or a mapping with `path:`"
            self.mistakes.note(WrongType, what, spot)
            return None
        try:
            entry = DatasetEntry.model_validate({"path": raw} if isinstance(raw, str) else raw)
        except ValidationError as error:
            self.mistakes.explain(error, DatasetEntry, spot)
            return None
        if entry.seed is not None and entry.limit is None:
            what = "`seed:` chooses the rows that `limit:` keeps; add `limit:`"
            self.mistakes.note(MissingValue, what, spot, "seed", key=True)
        return self._dataset_file(entry, spot.within("path") if isinstance(raw, dict) else spot)

    def _dataset_file(self, entry: DatasetEntry, spot: InDocument) -> Dataset | None:
        folder = self._path.parent
        path = folder / entry.path
        boundary = self._root if _inside(self._path, self._root) else folder
        if PurePath(entry.path).is_absolute() or not _inside(path, boundary):
            what = f"the dataset '{entry.path}' lies outside the project; move it beside this file"
            self.mistakes.note(OutsideFolder, what, spot)
        elif path.suffix not in DATASET_SUFFIXES:
            what = f"'{entry.path}' is no dataset; use one of {', '.join(DATASET_SUFFIXES)}"
            self.mistakes.note(WrongType, what, spot)
        elif not path.is_file():
            what = f"there is no dataset '{entry.path}' beside this file"
            known = did_you_mean(entry.path, _datasets_below(folder, path))
            self.mistakes.note(MissingFile, what + known, spot)
        else:
            return Dataset(path, _shown(path, self._root), entry)
        return None

    def _check_complete(self, raw: dict[str, JSON], suite: Suite) -> None:
        """Asks for what is missing, unless a mistake that is already known explains it."""
        if self._wrong - set(SuiteFile.model_fields):
            return
        if not {"prompt", "prompts"} & {*raw, *self._wrong}:
            what = "a suite needs `prompt: NAME` (or `prompts:`); add it"
            self.mistakes.note(MissingValue, what, self._top)
        if not suite.cases and not self.mistakes.any:
            what = "this suite has no cases; add `cases:` with `inputs:`, or rows to its `dataset:`"
            self.mistakes.note(MissingValue, what, self._top)

    def _places(self, raw: dict[str, JSON], file: SuiteFile) -> dict[str, Place]:
        places = {key: self._top.place(key, key=True) for key in raw}
        if isinstance(file.prompt, str):
            places[f"prompt:{file.prompt}"] = self._top.place("prompt")
        for index, name in enumerate(file.prompts or ()):
            places[f"prompt:{name}"] = self._top.place("prompts", index)
        for index, entry in enumerate(file.models or ()):
            places[f"model:{_model_id(entry)}"] = self._top.place("models", index)
        return places


def _model_id(entry: JSON) -> str:
    if isinstance(entry, dict):
        return f"{entry.get('provider')}/{entry.get('name')}"
    return str(entry)


def _shown(path: Path, root: Path) -> str:
    """Relative to the root folder with forward slashes, or as given when it is not below it."""
    normal = Path(os.path.normpath(path.absolute()))
    for folder in (root.absolute(), root.resolve()):
        if normal.is_relative_to(folder):
            return normal.relative_to(folder).as_posix()
    return path.as_posix()


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _datasets_below(folder: Path, wanted: Path) -> list[str]:
    """Dataset files in the folder where the wanted one was looked for, as a suite names them."""
    where = wanted.parent
    if not where.is_dir():
        where = folder
    found = (path for path in where.iterdir() if path.suffix in DATASET_SUFFIXES)
    return [os.path.relpath(path, folder).replace(os.sep, "/") for path in found]
