"""Which process wrote a row, and whether it still lives."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

_DAY_NS = 24 * 3600 * 1_000_000_000


@dataclass(frozen=True)
class Process:
    """A process as nobody else can be it: a pid comes back, a pid with its start time does not."""

    host: str
    boot: str
    pid: int
    started: str


def this_process() -> Process:
    """The running process."""
    pid = os.getpid()
    return Process(platform.node(), _boot(), pid, _state_and_start(pid)[1])


def is_dead(process: Process, *, opened_ns: int, now_ns: int) -> bool:
    """Whether this process can no longer finish what it began.

    Other machines' (and containers') processes cannot be looked at: they count as dead after a day.
    """
    if process.host != platform.node() or sys.platform == "win32":
        return now_ns - opened_ns > _DAY_NS
    if process.boot != _boot():
        return True
    state, started = _state_and_start(process.pid)
    if started:
        return state in "ZX" or started != process.started
    return not _answers(process.pid)


def _boot() -> str:
    """Changes with every start of the machine; "" where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _state_and_start(pid: int) -> tuple[str, str]:
    """A Linux process's state letter and its start in clock ticks since boot; "" if unknown."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return "", ""
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
