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
    """The database for those who write no text of anybody, without making one; where it may not be
    written, reading is enough.

    Raises StoreError when there is none.
    """
    from p2re_eval.store import open_store

    path = _existing(db, root)
    try:
        return open_store(path)
    except StoreReadOnly:
        return open_store(path, read_only=True)


def changing_store(db: Path | None, root: Path | None = None) -> Store:
    """The same for those who write texts: what plug-ins want redacted is. Raises StoreError."""
    return writing_store(_existing(db, root))


def _existing(db: Path | None, root: Path | None) -> Path:
    path = database_path(db, root)
    if not path.exists():
        what = (
            f"{path}: there is no database yet; run a suite with --p2re, or name another with --db"
        )
        raise StoreError(what, path=path)
    return path
