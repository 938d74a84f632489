"""Where prompt files come from: the working tree, or a git revision of it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Protocol

from p2re_eval.documents import read_text
from p2re_eval.errors import DefinitionErrors, OutsideFolder, SyntaxMistake
from p2re_eval.git import Repository

SUFFIXES = (".yaml", ".yml")


class Source(Protocol):
    """A prompts folder as it is, or as it was. Paths are below the folder, with ``/``."""

    @property
    def commit(self) -> str | None:
        """The revision's full id; ``None`` for the working tree."""

    def prompt_files(self) -> list[str]:
        """Every prompt file, sorted."""

    def read(self, path: str) -> str | None:
        """A file's text, ``None`` when there is none.

        Raises OutsideFolder (a link leads outside the folder) and DefinitionErrors (not UTF-8).
        """

    def read_image(self, path: str) -> bytes | None:
        """A file below the project's root, which is the folder above the prompts folder.

        Raises OutsideFolder (a link leads outside the project).
        """

    def shown(self, path: str) -> str:
        """How messages name the file."""


@dataclass(frozen=True)
class WorkingTree:
    """The files on disk; messages name them from ``root`` on where they lie below it."""

    folder: Path
    root: Path | None = None
    commit: None = None

    def prompt_files(self) -> list[str]:
        """Every ``.yaml`` and ``.yml`` file below the folder but hidden ones (``.name``)."""
        found = []
        for folder, below, files in os.walk(self.folder):
            below[:] = [name for name in below if not name.startswith(".")]
            at = PurePosixPath(Path(folder).relative_to(self.folder).as_posix())
            found += [str(at / name) for name in files if is_prompt_file(name)]
        return sorted(found)

    def read(self, path: str) -> str | None:
        """A file's text. Raises OutsideFolder, DefinitionErrors."""
        file = _inside(self.folder, path)
        return read_text(file, shown=self.shown(path)) if file.is_file() else None

    def read_image(self, path: str) -> bytes | None:
        """A file's bytes. Raises OutsideFolder."""
        file = _inside(self.folder.absolute().parent, path)
        return file.read_bytes() if file.is_file() else None

    def shown(self, path: str) -> str:
        """The path from the root folder on, else as the user gave the folder."""
        file = self.folder / path
        if self.root is not None and file.is_relative_to(self.root):
            return file.relative_to(self.root).as_posix()
        return str(file)


@dataclass(frozen=True)
class Beside:
    """The working tree with one prompt more, which is no file: a notebook's cell. It reaches the
    folder's partials."""

    tree: WorkingTree
    path: str
    text: str
    commit: None = None

    def prompt_files(self) -> list[str]:
        """That prompt."""
        return [self.path]

    def read(self, path: str) -> str | None:
        """Its text, or a file's. Raises OutsideFolder, DefinitionErrors."""
        return self.text if path == self.path else self.tree.read(path)

    def read_image(self, path: str) -> bytes | None:
        """A file's bytes. Raises OutsideFolder."""
        return self.tree.read_image(path)

    def shown(self, path: str) -> str:
        """The prompt's name for itself."""
        return path if path == self.path else self.tree.shown(path)


@dataclass(frozen=True)
class AtRevision:
    """The files of one commit, read through git; ``prefix`` is the prompts folder's path below the
    repository's root."""

    repository: Repository
    commit: str
    prefix: str
    read_blob: Callable[[str, str], bytes | None]
    _texts: dict[str, str | None] = field(default_factory=dict, repr=False)

    def prompt_files(self) -> list[str]:
        """Every prompt file of the commit."""
        start = len(self.prefix) + 1 if self.prefix else 0
        below = [path[start:] for path in self.repository.files(self.commit, self.prefix)]
        return sorted(path for path in below if is_prompt_file(path))

    def read(self, path: str) -> str | None:
        """A file's text, read once. Raises DefinitionErrors."""
        if path not in self._texts:
            content = self.read_blob(self.commit, _joined(self.prefix, path))
            self._texts[path] = None if content is None else self._decoded(content, path)
        return self._texts[path]

    def read_image(self, path: str) -> bytes | None:
        """A file's bytes."""
        if not self.prefix:  # the folder above is outside the repository
            return None
        above = str(PurePosixPath(self.prefix).parent)
        return self.repository.read(self.commit, _joined("" if above == "." else above, path))

    def shown(self, path: str) -> str:
        """Git's own notation, ``1a2b3c4:prompts/name.yaml``."""
        return f"{self.commit[:7]}:{_joined(self.prefix, path)}"

    def _decoded(self, content: bytes, path: str) -> str:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            what = f"byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
            raise DefinitionErrors([SyntaxMistake(what, path=self.shown(path))]) from None


def is_prompt_file(path: str) -> bool:
    """Whether the name is that of a prompt: not hidden, and YAML."""
    hidden = any(part.startswith(".") for part in path.split("/"))
    return path.endswith(SUFFIXES) and not hidden


def _joined(prefix: str, path: str) -> str:
    return f"{prefix}/{path}" if prefix else path


def _inside(folder: Path, path: str) -> Path:
    file = folder / path
    if not file.resolve().is_relative_to(folder.resolve()):
        raise OutsideFolder(f"'{path}' leads outside {folder.name}; keep the file inside")
    return file
