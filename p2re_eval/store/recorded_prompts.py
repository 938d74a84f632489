"""Labels and recorded versions for a library of prompt files, out of a database that may be
missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from p2re_eval.errors import NoSuchRecord
from p2re_eval.explain import did_you_mean
from p2re_eval.records import PromptTemplate
from p2re_eval.store.prompt_queries import find_version, labels_now, read_template
from p2re_eval.store.store import open_store

_T = TypeVar("_T")


class RecordedPrompts:
    """What a database knows of prompts. It is opened to read only, for each question anew: a label
    that was moved meanwhile is seen, and where there is no file none is made."""

    def __init__(self, path: Path) -> None:
        self._path = path.expanduser()

    def labelled(self, name: str, label: str) -> PromptTemplate | None:
        """The version that the label is on now, or the ``latest``; None where there is none.

        Raises StoreError (a damaged file ...).
        """
        known = label == "latest" or label in self._labels(name)
        return self.version(name, label) if known else None

    def version(self, name: str, reference: str) -> PromptTemplate | None:
        """The one version that begins so; None where none does. Raises StoreError (several do)."""

        def found(connection: sqlite3.Connection) -> PromptTemplate:
            return read_template(connection, find_version(connection, name, reference, self._path))

        return self._ask(found, None)

    def why_no_label(self, name: str, label: str) -> str:
        """The labels that there are; without a database, where they would come from."""
        if not self._path.is_file():
            return (
                f"; labels are kept in the database, and there is none at {self._path}: point "
                f"P2RE_DB at the one where '{name}' is labelled, label a version here "
                f"(`p2re prompts label {name} {label} VERSION`), or write the version itself, "
                f"such as {name}@1a2b3c4"
            )
        labels = self._labels(name)
        if not labels:
            how = f"`p2re prompts label {name} {label} VERSION` puts one there"
            return f"; '{name}' has no labels in {self._path}: {how}"
        return did_you_mean(label, labels) or f"; labels of '{name}': {', '.join(labels)}"

    def _labels(self, name: str) -> list[str]:
        nothing: dict[str, str] = {}
        return list(self._ask(lambda connection: labels_now(connection, name, self._path), nothing))

    def _ask(self, question: Callable[[sqlite3.Connection], _T], otherwise: _T) -> _T:
        if not self._path.is_file():
            return otherwise
        with open_store(self._path, read_only=True) as store:
            try:
                return store.read(question)
            except NoSuchRecord:
                return otherwise
