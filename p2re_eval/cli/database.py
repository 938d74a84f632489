"""The database that a command looks into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import StoreError, StoreReadOnly

if TYPE_CHECKING:
    from p2re_eval.store import Store


def database_path(db: Path | None, root: Path | None = None) -> Path:
    """The one that is named, else that of the project's settings, else the user's own."""
    from p2re_eval.project import layout, nearest_layout
    from p2re_eval.store import default_path

    if db is not None:
        return db.expanduser()
    project = nearest_layout(Path.cwd()) if root is None else layout(root)
    return project.database or default_path()


def writing_store(db: Path | None, root: Path | None = None) -> Store:
    """The database, made if it is not there; what plug-ins want redacted is. Raises StoreError."""
    from p2re_eval.plugins import installed_redact
    from p2re_eval.store import open_store

    return open_store(database_path(db, root), redact=installed_redact())


def existing_store(db: Path | None, root: Path | None = None) -> Store:
    """The database, without making one; where it may not be written, reading is enough.

    Raises StoreError when there is none.
    """
    from p2re_eval.store import open_store

    path = database_path(db, root)
    if not path.exists():
        what = (
            f"{path}: there is no database yet; run a suite with --p2re, or name another with --db"
        )
        raise StoreError(what, path=path)
    try:
        return writing_store(path)
    except StoreReadOnly:
        return open_store(path, read_only=True)
