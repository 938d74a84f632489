"""SHA-256 of large files, remembered while a file's size and time stay the same."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path

from p2re_eval.records import JSON

_SIDECAR = "hashes.json"


def file_hash(folder: Path, path: Path) -> str:
    """The file's SHA-256, from the folder's sidecar when size and modification time still fit.

    Raises OSError when the file cannot be read.
    """
    entry = _read(folder).get(str(path.resolve()))
    if isinstance(entry, dict) and entry.get("stamp") == _stamp(path):
        return str(entry["sha256"])
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    remember_hash(folder, path, digest)
    return digest


def remember_hash(folder: Path, path: Path, sha256: str) -> None:
    """Note the hash of a file as it is now. A folder that cannot be written costs only time."""
    known = _read(folder)
    known[str(path.resolve())] = {"sha256": sha256, "stamp": _stamp(path)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=f".{_SIDECAR}.")
    except OSError:
        return
    with os.fdopen(handle, "w") as file:
        json.dump(known, file, indent=1, sort_keys=True)
    Path(name).replace(folder / _SIDECAR)


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _read(folder: Path) -> dict[str, JSON]:
    try:
        known = json.loads((folder / _SIDECAR).read_bytes())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}
