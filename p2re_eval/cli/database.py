"""The database that a command looks into."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import StoreError, StoreReadOnly

if TYPE_CHECKING:
    from p2re_eval.store import Store


def writing_store(db: Path | None) -> Store:
    """The database, made if it is not there; what plug-ins want redacted is. Raises StoreError."""
    from p2re_eval.plugins import installed_redact
    from p2re_eval.store import default_path, open_store

    return open_store((db or default_path()).expanduser(), redact=installed_redact())


def existing_store(db: Path | None) -> Store:
    """The database, without making one; where it may not be written, reading is enough.

    Raises StoreError when there is none.
    """
    from p2re_eval.store import default_path, open_store

    path = (db or default_path()).expanduser()
    if not path.exists():
        what = (
            f"{path}: there is no database yet; run a suite with --p2re, or name another with --db"
        )
        raise StoreError(what, path=path)
    try:
        return writing_store(path)
    except StoreReadOnly:
        return open_store(path, read_only=True)
