"""The prompt files that a command speaks of, and what git says of their versions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.cli.database import database_path
from p2re_eval.project import nearest_layout

if TYPE_CHECKING:
    from jinja2 import Environment

    from p2re_eval.prompts import PromptLibrary
    from p2re_eval.service.revisions import Revisions


def library_of(folder: Path, db: Path | None = None) -> PromptLibrary:
    """The folder's prompts, with the filters of installed plug-ins and the project's own."""
    from p2re_eval.plugins import Plugins
    from p2re_eval.prompts import PromptLibrary
    from p2re_eval.store.recorded_prompts import RecordedPrompts

    def prepare(environment: Environment) -> None:
        plugins = Plugins()
        plugins.add_project(_project_of(folder.resolve()))
        plugins.prepare(environment)

    return PromptLibrary(folder, prepare=prepare, recorded=RecordedPrompts(database_path(db)))


def revisions_here(db: Path | None = None, folder: Path | None = None) -> Revisions:
    """What git says of the prompts of this folder, else of the project around; nothing is read
    before something is asked."""
    from p2re_eval.service.revisions import Revisions

    def library() -> PromptLibrary | None:
        where = folder or nearest_layout(Path.cwd()).prompts
        return library_of(where, db) if where.is_dir() else None

    return Revisions(library)


def _project_of(folder: Path) -> Path:
    """The project that a folder of prompts belongs to: the nearest upwards that has settings; the
    folder around where none has."""
    project = nearest_layout(folder)
    itself = project.root == folder and project.prompts != folder
    return folder.parent if itself else project.root
