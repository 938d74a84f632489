"""One budget for several processes: real ones, on one real file."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from p2re_eval.clock import SystemClock
from p2re_eval.store import SharedLedger

SPENDER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from p2re_eval.clock import SystemClock
    from p2re_eval.store import SharedLedger

    ledger = SharedLedger(Path(sys.argv[1]), "e", 10.0, clock=SystemClock())
    made = 0
    while True:
        said = ledger.hold(1.0)
        if said == "spent":
            break
        if said == "held":
            ledger.settle(1.0, 0.5)
            made += 1
    print(made)
    """
)
DIES = textwrap.dedent(
    """
    import os, sys
    from pathlib import Path
    from p2re_eval.clock import SystemClock
    from p2re_eval.store import SharedLedger

    ledger = SharedLedger(Path(sys.argv[1]), "e", 10.0, clock=SystemClock())
    assert ledger.hold(4.0) == "held"
    os._exit(9)
    """
)


def _ledger(path: Path, experiment: str = "e") -> SharedLedger:
    return SharedLedger(path, experiment, 10.0, clock=SystemClock())


def test_processes_together_never_pass_the_limit(database: Path) -> None:
    """Three spend half dollars until none may: 19 of 20 fit, since the last could cost a whole."""
    ledger = _ledger(database)
    ledger.spent_usd  # noqa: B018 - makes the file, before three processes do at once
    command = [sys.executable, "-c", SPENDER, str(database)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    made = [int(process.communicate()[0]) for process in running]
    assert sum(made) == 19
    assert ledger.spent_usd == 9.5
    ledger.close()


def test_what_a_dead_process_held_counts_as_spent(database: Path) -> None:
    """Nobody waits for it for ever, and nobody spends it again."""
    assert subprocess.run([sys.executable, "-c", DIES, str(database)], check=False).returncode == 9
    ledger = _ledger(database)
    assert ledger.spent_usd == 0.0
    assert ledger.hold(7.0) == "spent"
    assert ledger.spent_usd == 4.0
    assert ledger.hold(6.0) == "held"
    ledger.close()


def test_experiments_do_not_share(database: Path) -> None:
    """Each has its own budget in the same file."""
    first, second = _ledger(database), _ledger(database, "other")
    assert (first.hold(10.0), second.hold(10.0), first.hold(0.1)) == ("held", "held", "busy")
    first.close()
    second.close()
