"""Where an experiment came from: the git state and the packages, asked for while models answer."""

from __future__ import annotations

import importlib.metadata
import threading
from pathlib import Path

from p2re_eval.errors import GitError
from p2re_eval.records import Revision

_PACKAGES = ("p2re-eval", "pytest", "jinja2", "pydantic", "aiohttp", "xllamacpp", "openai")


class Provenance:
    """Asks in a thread, because git takes longer than a whole small suite, and reading what every
    package says of itself a while, too."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._revision: Revision | None = None
        self._packages: dict[str, str] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Ask now: the state at the start is the one that ran."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._ask, name="p2re-git", daemon=True)
            self._thread.start()

    def found(self) -> tuple[Revision | None, dict[str, str]]:
        """The revision (``None`` outside git) and the installed versions."""
        self.start()
        if self._thread is not None:
            self._thread.join()
        return self._revision, self._packages

    def _ask(self) -> None:
        from p2re_eval.git import Repository

        try:
            self._revision = Repository.around(self._root).head()
        except GitError:
            self._revision = None
        self._packages = dict(_installed())


def _installed() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
