"""The promises of ``no_regression`` over many kinds of suites, 1,000 simulated pairs each.

``python tests/benchmarks/gates.py`` prints, for each kind, how often the gate said ``regression``
where nothing changed (promised: at most 5 %) and where there was a drop of the size that it claims
to find (at least 80 %), in all cases alike and by cases that break. Exit code 1 when one is broken.
"""

from __future__ import annotations

import sys
import time

from p2re_eval.gates import NoRegression
from p2re_eval.gates.simulation import Cases, trials

KINDS = {
    "20 cases": Cases((0.8,) * 20),
    "50 good cases": Cases((0.95,) * 50),
    "100 cases": Cases((0.8,) * 100),
    "200 hard cases": Cases((0.4,) * 200),
    "500 cases": Cases((0.7,) * 500),
    "30 cases x 3": Cases((0.8,) * 30, 3),
    "50 mixed cases x 5": Cases((1.0, 0.9, 0.7, 0.4, 0.0) * 10, 5),
    "12 cases x 10": Cases((0.6,) * 12, 10),
    "100 cases, Holm over 4": Cases((0.8,) * 100, 1, 4),
    "40 cases x 3, Holm over 3": Cases((0.85,) * 40, 3, 3),
}


def main() -> int:
    broken = 0
    started = time.perf_counter()
    for margin in (0.0, 0.02):
        asked = NoRegression(margin=margin)
        for name, cases in KINDS.items():
            found = list(trials(cases, asked, seed=11))
            broken += sum(not trial.kept for trial in found)
            drop = cases.detectable(asked)
            claimed = "none" if drop is None else f"{drop * 100:.1f} points"
            rates = "  ".join(
                f"{trial.said.rate * 100:5.1f} %{'' if trial.kept else ' BROKEN'}"
                for trial in found
            )
            print(f"margin {margin:.2f}  {name:<26} claims {claimed:<12} {rates}", flush=True)
    print(f"{broken} broken, {time.perf_counter() - started:.0f} s")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
