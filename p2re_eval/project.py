"""Where a project keeps its prompts, suites and database: what pytest's settings say of it, for
every door.

pytest reads the first of its files that speaks of it; so does this, in the project's own folder.

Source: https://docs.pytest.org/en/stable/reference/customize.html
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from p2re_eval.errors import UsageError

_Section = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """A project's folders; ``database`` is ``None`` where only the environment decides it."""

    root: Path
    prompts: Path
    suites: tuple[Path, ...]
    database: Path | None = None

    def without(self, folder: Path) -> str:
        """A sentence for a folder of prompts or suites that is not there, and what to do."""
        inside = folder.is_relative_to(self.root)
        name = f"{folder.relative_to(self.root) if inside else folder}/"
        if folder in (self.root / "prompts", self.root / "suites"):
            return f"no folder {name}; `p2re init` makes one"
        setting = "p2re_prompts" if folder == self.prompts else "p2re_suites"
        return f"no folder {name}, which the setting {setting} names; make it, or correct that"


def layout(root: Path) -> Layout:
    """Where the project in this folder keeps things. Raises UsageError: its file cannot be read."""
    root = root.resolve()
    section = _section(root) or {}
    suites, database = section.get("p2re_suites", ["suites"]), section.get("p2re_db")
    try:
        if not _words(suites):
            raise ValueError("p2re_suites names no folder")
        return Layout(
            root=root,
            prompts=root / str(section.get("p2re_prompts", "prompts")),
            suites=tuple(root / name for name in _words(suites)),
            database=root / Path(database).expanduser() if database else None,
        )
    except (ValueError, TypeError, RuntimeError) as error:
        what = f"{root}: pytest's settings p2re_suites or p2re_db cannot be used ({error})"
        raise UsageError(f"{what}; correct them") from None


def nearest_layout(folder: Path) -> Layout:
    """The same of the nearest folder upwards in which pytest has settings; else of this one."""
    folder = folder.resolve()
    speaking = (each for each in (folder, *folder.parents) if _section(each) is not None)
    return layout(next(speaking, folder))


def _section(root: Path) -> _Section | None:
    for name, find in _FILES.items():
        path = root / name
        if not path.is_file():
            continue
        try:
            section = find(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            first = str(error).splitlines()[0]
            raise UsageError(f"{path} cannot be read ({first}); correct it") from None
        if section is not None:
            return section
    return None


def _words(value: object) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else shlex.split(str(value))


def _in_ini(section: str, *, always: bool = False) -> Callable[[str], _Section | None]:
    def find(text: str) -> _Section | None:
        import configparser  # like tomllib below: most projects have only one of the two

        parser = configparser.ConfigParser(interpolation=None)
        try:
            parser.read_string(text)
        except configparser.Error as error:
            raise ValueError(str(error)) from None
        if parser.has_section(section):
            return dict(parser[section])
        return {} if always else None

    return find


def _in_toml(*steps: str, always: bool = False) -> Callable[[str], _Section | None]:
    def find(text: str) -> _Section | None:
        import tomllib

        found: Any = tomllib.loads(text)
        for step in steps:
            found = found.get(step) if isinstance(found, dict) else None
        if isinstance(found, dict) and found:
            return found
        return {} if always else None

    return find


def _in_pyproject(text: str) -> _Section | None:
    of_old = _in_toml("tool", "pytest", "ini_options")(text)
    return of_old if of_old is not None else _in_toml("tool", "pytest")(text)


_FILES: dict[str, Callable[[str], _Section | None]] = {
    "pytest.toml": _in_toml("pytest", always=True),
    ".pytest.toml": _in_toml("pytest", always=True),
    "pytest.ini": _in_ini("pytest", always=True),
    ".pytest.ini": _in_ini("pytest", always=True),
    "pyproject.toml": _in_pyproject,
    "tox.ini": _in_ini("pytest"),
    "setup.cfg": _in_ini("tool:pytest"),
}
