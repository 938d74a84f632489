"""Capture in a process that ``p2re capture`` has launched, told by environment variables."""

from __future__ import annotations

import atexit
import os
import sys

from p2re_eval.errors import P2REError
from p2re_eval.tracing.capturing import Capture, capture

SESSION, USER, TAGS = "P2RE_CAPTURE_SESSION", "P2RE_CAPTURE_USER", "P2RE_CAPTURE_TAGS"
QUIET = "P2RE_CAPTURE_QUIET"


def start() -> None:
    """Capture until the process ends, then say how many calls there were. Never raises."""
    try:
        made = capture(
            session=os.environ.get(SESSION) or None,
            user=os.environ.get(USER) or None,
            tags=[tag for tag in os.environ.get(TAGS, "").split(",") if tag],
        )
    except P2REError as error:
        sys.stderr.write(f"p2re: calls are not recorded: {error}\n")
        return
    atexit.register(_say, made, os.getpid())


def _say(made: Capture, pid: int) -> None:
    """A forked child that ends this way has its own story."""
    made.stop()
    quiet = os.environ.get(QUIET) and not made.lost
    if os.getpid() == pid and not quiet and (made.recorded or made.lost or made.rescued):
        sys.stderr.write(f"p2re: {made.recorder!r}\n")
