"""Which runs a change touches: whose prompt, partial, dataset row or scorer is not what it was.

Beside a recorded baseline each run is looked at by itself: what is sent, its row, and what decides.
Beside a git revision the prompt is rendered as of then, and rows and scorers count as changed when
their files are: that may run more than needed, and never less.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import TypeAlias

from p2re_eval.compare.pairing import differ
from p2re_eval.errors import DefinitionError, DefinitionErrors, RenderError
from p2re_eval.git import Repository
from p2re_eval.pipeline import rendered
from p2re_eval.planning import PlannedRun
from p2re_eval.prompts.library import PromptLibrary
from p2re_eval.records import Observation

_Key: TypeAlias = tuple[str, str, str, str, int]


class SinceBaseline:
    """Judges runs beside what a baseline recorded."""

    def __init__(self, observations: Iterable[Observation], library: PromptLibrary) -> None:
        self._library = library
        self._known: dict[_Key, Observation] = {
            (one.suite, one.prompt, one.model, one.case_id, one.repeat): one for one in observations
        }

    def touches(self, run: PlannedRun) -> bool:
        """Whether this run may end otherwise than the baseline's: something is not the same, or
        the baseline has no verdict on it."""
        key = (run.suite.path, run.prompt, run.model, run.case.id, run.repeat)
        before = self._known.get(key)
        if before is None or before.outcome not in {"passed", "failed"}:
            return True
        if None in (before.fingerprint, before.row_hash, before.rules_hash):
            return True
        return (
            differ(before.fingerprint, rendered(run, self._library).fingerprint)
            or differ(before.row_hash, run.row_hash)
            or differ(before.rules_hash, run.rules_hash)
        )


class SinceRevision:
    """Judges runs beside the files of a commit."""

    def __init__(self, commit: str, root: Path, library: PromptLibrary) -> None:
        self._commit = commit
        self._root = root
        self._library = library
        self._repository = Repository.around(root)
        self._changed: dict[Path, bool] = {}

    def touches(self, run: PlannedRun) -> bool:
        """Whether the prompt renders otherwise at the commit, or a file behind the row or a
        scorer differs."""
        return any(self._is_changed(path) for path in self._files(run)) or self._asks_anew(run)

    def _files(self, run: PlannedRun) -> Iterable[Path]:
        yield self._root / run.suite.path
        if run.case.place is not None:
            yield self._root / run.case.place.path
        for scorer in run.scorers:
            source = _source_file(scorer.scorer.function)
            if source is not None and source.is_relative_to(self._root.resolve()):
                yield source

    def _is_changed(self, path: Path) -> bool:
        if path not in self._changed:
            self._changed[path] = self._differs(path)
        return self._changed[path]

    def _differs(self, path: Path) -> bool:
        try:
            inside = path.resolve().relative_to(self._repository.root).as_posix()
            now = path.read_bytes()
        except (ValueError, OSError):
            return True
        return self._repository.read(self._commit, inside) != now

    def _asks_anew(self, run: PlannedRun) -> bool:
        if "@" in run.prompt:
            return False
        try:
            template = self._library.get(f"{run.prompt}@{self._commit}")
            before = self._library.render(
                template, dict(run.inputs), run.asked.over(template.model)
            )
        except (DefinitionError, DefinitionErrors, RenderError):
            return True
        now = self._library.render(
            run.template, dict(run.inputs), run.asked.over(run.template.model)
        )
        return before.fingerprint != now.fingerprint


def _source_file(function: object) -> Path | None:
    try:
        found = inspect.getsourcefile(inspect.unwrap(function))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return None if found is None else Path(found).resolve()
