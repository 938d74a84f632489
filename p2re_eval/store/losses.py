"""What capture could not keep, counted with its reason in a file that `p2re doctor` reads.

It stands beside the database, and where nothing can be written there in the folder for temporary
files; a database that cannot be written is the usual reason.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from p2re_eval.store.redaction import Redaction
from p2re_eval.store.rescue import is_ours, rescue_paths

MOST_BYTES = 1_000_000
"""A file that is longer gets no further lines: somebody has not looked for long."""


@dataclass(frozen=True)
class Loss:
    """Spans that are nowhere; ``at_ns`` when that was noted, ``pid`` the process that noted it."""

    at_ns: int
    pid: int
    spans: int
    why: str


def loss_paths(database: Path) -> tuple[Path, Path]:
    """Beside the database, and elsewhere."""
    beside, elsewhere = rescue_paths(database)
    return (
        beside.with_name(f"{database.name}.losses.jsonl"),
        elsewhere.with_name(elsewhere.name.replace("-rescue-", "-losses-")),
    )


def note_loss(database: Path, spans: int, why: str) -> None:
    """Count them. Raises OSError where no place takes a line."""
    text = Redaction(folder=None, environ={}).text(why) or ""
    line = json.dumps(asdict(Loss(time.time_ns(), os.getpid(), spans, text))) + "\n"
    beside, elsewhere = loss_paths(database)
    try:
        _append(beside, line)
    except OSError:
        _append(elsewhere, line)


def read_losses(database: Path) -> list[Loss]:
    """All that were noted, in the order of their notes."""
    found = [loss for path in loss_paths(database) for loss in _losses(path)]
    return sorted(found, key=lambda loss: loss.at_ns)


def _append(path: Path, line: str) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
    file = os.open(path, flags, 0o600)
    try:
        if os.fstat(file).st_size < MOST_BYTES:
            os.write(file, line.encode())
    finally:
        os.close(file)


def _losses(path: Path) -> Iterator[Loss]:
    if not is_ours(path):
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            yield Loss(**json.loads(line))
        except (ValueError, TypeError):
            continue  # cut off by a full disk
