"""How much memory a long run holds at each tenth of it, as a small chart."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

_WIDTH = 40


def resident_mb() -> float:
    """What this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class MemoryChart:
    """Asked after every turn; remembers the memory at each tenth of the turns."""

    def __init__(self, turns: int) -> None:
        self._marks = {max(1, round(turns * tenth / 10)): tenth for tenth in range(1, 11)}
        self._turn = 0
        self.tenths: dict[int, float] = {}

    def turned(self) -> None:
        """One more turn is over."""
        self._turn += 1
        if self._turn in self._marks:
            self.tenths[self._marks[self._turn]] = resident_mb()

    def steepest_mb(self) -> float:
        """The most by which it grew from one tenth to the next, from the second to the last."""
        later = [mb for tenth, mb in self.tenths.items() if tenth >= 2]
        grown = [after - before for before, after in pairwise(later)]
        return max(grown, default=0.0)

    def lines(self) -> list[str]:
        """A bar for each tenth."""
        most = max(self.tenths.values(), default=1.0)
        return [
            f"{f'memory after {tenth * 10} %, MB':44}{mb:12.0f}  {'#' * round(mb / most * _WIDTH)}"
            for tenth, mb in self.tenths.items()
        ]
