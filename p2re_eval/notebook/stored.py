"""An experiment in hand: its results as tables, failures, comparisons, plots and a suite file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.compare import compare, recorded
from p2re_eval.errors import MissingFile, UsageError
from p2re_eval.notebook.compared import Compared
from p2re_eval.notebook.frames import result_rows, to_pandas, to_polars
from p2re_eval.notebook.judging import Judged, judged
from p2re_eval.notebook.pages import experiment_page, results_page
from p2re_eval.records import Experiment, Result, Trace
from p2re_eval.report.summary import Summary, headline, summarize
from p2re_eval.report.terminal import terminal_report
from p2re_eval.store import Store

if TYPE_CHECKING:
    import altair as alt
    import pandas as pd
    import polars as pl


SUITE_TEXT = "suite_text"
"""Under what name of its settings an experiment of a notebook keeps its suite."""


class StoredExperiment:
    """An experiment of the database, by its id, the beginning of it, or ``latest``.

    ``root`` is where relative paths of suites begin. Raises NoSuchRecord.
    """

    def __init__(
        self, store: Store, experiment_id: str = "latest", *, root: Path | None = None
    ) -> None:
        self._store = store
        self._root = root or Path()
        self.record: Experiment = store.read_experiment(experiment_id)

    @property
    def id(self) -> str:
        """The experiment's id, 32 hex digits."""
        return self.record.experiment_id

    @cached_property
    def results(self) -> Results:
        """Every result, in item order."""
        return Results(self._store, tuple(self._store.results(self.id)))

    @cached_property
    def summary(self) -> Summary:
        """The counts, rates and means that reports show."""
        return summarize(self.results)

    @property
    def passed(self) -> bool | None:
        """Whether the experiment passed; ``None`` when that could not be decided."""
        return headline(self.record, self.summary).passed

    def failures(self) -> Results:
        """The results that did not pass: wrong answers, errors and what a scorer broke on."""
        return Results(self._store, tuple(r for r in self.results if r.outcome != "passed"))

    def trace(self, result: Result) -> Trace:
        """Everything about one result: messages, answer, raw payload. Raises NoSuchRecord."""
        return self._store.read_trace(result.trace_id or "")

    def compare(self, before: StoredExperiment | str, *, confidence: float = 0.95) -> Compared:
        """This experiment beside an older one, paired case by case: flips, differences with their
        intervals, and what else changed. Raises NoSuchRecord."""
        older = (
            StoredExperiment(self._store, before, root=self._root)
            if isinstance(before, str)
            else before
        )
        sides = (recorded(one._store, one.record) for one in (older, self))
        return Compared(compare(*sides, confidence=confidence))

    def plot(self, what: str = "scores") -> alt.Chart | alt.LayerChart:
        """``scores``, ``latency``, ``cost`` (against quality) or ``versions``. Needs Altair."""
        from p2re_eval.notebook.plots import result_chart

        return result_chart(what, self.results)

    def judged(self, judge: str, people: str = "feedback") -> Judged:
        """A scorer's verdicts beside people's: agreement, and ``.plot()`` for its reliability.

        ``people`` is the name that :func:`annotate` wrote under. Raises UsageError where one of
        the two said nothing.
        """
        return judged(self._store, self.results, judge, people)

    def to_pandas(self) -> pd.DataFrame:
        """A row a result, a column ``score:NAME`` a scorer. Needs pandas."""
        return to_pandas(result_rows(self.results))

    def to_polars(self) -> pl.DataFrame:
        """The same for polars."""
        return to_polars(result_rows(self.results))

    def to_suite(self, path: Path | str, *, overwrite: bool = False) -> Path:
        """Write the suite that made this experiment as a file that ``pytest --p2re`` runs; the path
        is relative to the project's folder.

        Scorers that are Python functions stay behind, and the file says so. Raises UsageError when
        the experiment was not made by ``evaluate``, or the file is there already.
        """
        text = self.record.settings.get(SUITE_TEXT)
        if not isinstance(text, str):
            what = "this experiment was not made by evaluate(...): its suite is already a file, "
            raise UsageError(what + f"{', '.join(self.record.suites) or 'or it had none'}")
        return write_new(self._root / path, text, overwrite=overwrite)

    def __repr__(self) -> str:
        width = shutil.get_terminal_size().columns
        return terminal_report(self.record, self.summary, width=width, encoding="utf-8")

    def _repr_html_(self) -> str:
        return experiment_page(self.record, self.summary)


class Results(Sequence[Result]):
    """Results that draw themselves as a table."""

    def __init__(self, store: Store, results: tuple[Result, ...]) -> None:
        self._store = store
        self._results = results

    def __len__(self) -> int:
        return len(self._results)

    def __iter__(self) -> Iterator[Result]:
        return iter(self._results)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, as Sequence says
        found = self._results[index]
        return Results(self._store, found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return "\n".join(f"{r.outcome:<8} {r.item}: {r.output_preview[:60]!r}" for r in self)

    def _repr_html_(self) -> str:
        return results_page(self._results)


def write_new(path: Path, text: str, *, overwrite: bool) -> Path:
    """Write a file of the project. Raises UsageError when it is there already."""
    if path.exists() and not overwrite:
        raise UsageError(f"{path} is there already; choose another name or pass overwrite=True")
    if not path.suffix:
        raise MissingFile("give the file a name that ends in .yaml", path=str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
