"""How far an evaluation is: a bar and a partial table that replace themselves in the cell."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from p2re_eval.notebook.pages import table
from p2re_eval.quantities import count_text
from p2re_eval.records import Result

if TYPE_CHECKING:
    from IPython.display import DisplayHandle

SHOW_S = 0.5
"""The least time between two drawings."""


class Progress:
    """Draws in a notebook's cell or on a terminal's line; silent in a pipe."""

    def __init__(self, planned: int) -> None:
        self._planned = planned
        self._started = self._drawn = time.monotonic()
        self._handle: DisplayHandle | None = None
        self._in_notebook = in_notebook()
        self._on_line = not self._in_notebook and sys.stderr.isatty()

    def show(self, done: int, results: Callable[[], Sequence[Result]]) -> None:
        """Draw, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._drawn < SHOW_S:
            return
        self._drawn = now
        if self._in_notebook:
            self._draw(_bar(done, self._planned, now - self._started, results()))
        elif self._on_line:
            sys.stderr.write(f"\r{done:,} of {count_text(self._planned, 'run')}\x1b[K")
            sys.stderr.flush()

    def close(self) -> None:
        """Take it away: what comes next says it all."""
        if self._handle is not None:
            self._draw("")
        elif self._on_line:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw(self, html: str) -> None:
        from IPython.display import DisplayHandle

        drawing = {"text/html": html, "text/plain": ""}
        if self._handle is None:
            self._handle = DisplayHandle()  # type: ignore[no-untyped-call]
            self._handle.display(drawing, raw=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(drawing, raw=True)  # type: ignore[no-untyped-call]


def in_notebook() -> bool:
    """Whether the code runs in a kernel that draws HTML."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def _bar(done: int, planned: int, elapsed_s: float, results: Sequence[Result]) -> str:
    left = "" if not done else f", about {elapsed_s / done * (planned - done):.0f} s left"
    counts: dict[tuple[str, str], list[int]] = {}
    for result in results:
        row = counts.setdefault((result.prompt, result.model), [0, 0])
        row[0] += result.outcome == "passed"
        row[1] += 1
    rows = [
        [prompt, model, f"{passed:,} of {total:,}"]
        for (prompt, model), (passed, total) in counts.items()
    ]
    return (
        f'<progress max="{planned}" value="{done}" style="width: 20em"></progress> '
        f"{done:,} of {planned:,} runs{left}" + table(["prompt", "model", "passed"], rows)
    )
