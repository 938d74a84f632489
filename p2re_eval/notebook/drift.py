"""Experiments one after the other: what a prompt was measured to do over time and versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from p2re_eval.errors import NoSuchRecord, UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.notebook.bench import Workbench, workbench
from p2re_eval.notebook.pages import table
from p2re_eval.notebook.stored import StoredExperiment
from p2re_eval.quantities import UNKNOWN, count_text, share_text
from p2re_eval.records import Result
from p2re_eval.report.summary import Row
from p2re_eval.stats import mean_interval
from p2re_eval.store import Store

if TYPE_CHECKING:
    import altair as alt

Point = dict[str, object]
"""``when version variant value low high n experiment``: one mark of a drift plot."""


class History(Sequence[StoredExperiment]):
    """Experiments, the oldest first; drawn as a table, plotted as lines with their intervals."""

    def __init__(self, experiments: Sequence[StoredExperiment]) -> None:
        self._experiments = tuple(experiments)

    def plot(self, metric: str = "pass_rate") -> alt.LayerChart:
        """A line for each prompt and model: ``pass_rate``, a scorer's name, ``latency_s`` (the
        median) or ``cost_usd`` (of an answer), with 95 % intervals where they are known.

        Raises UsageError for a metric that no experiment has. Needs Altair.
        """
        from p2re_eval.notebook.plots import drift_chart

        return drift_chart(self.points(metric), metric)

    def points(self, metric: str = "pass_rate") -> list[Point]:
        """What :meth:`plot` draws, as rows. Raises UsageError."""
        points = [point for one in self for point in _points(one, metric)]
        if not points:
            names = dict.fromkeys(
                e.name for one in self for result in one.results for e in result.evaluations
            )
            known = ["pass_rate", "latency_s", "cost_usd", *names]
            hint = did_you_mean(metric, known)
            raise UsageError(f"nothing has '{metric}'{hint}; metrics: {', '.join(known)}")
        return points

    def __len__(self) -> int:
        return len(self._experiments)

    def __iter__(self) -> Iterator[StoredExperiment]:
        return iter(self._experiments)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int or slice, as Sequence says
        found = self._experiments[index]
        return History(found) if isinstance(index, slice) else found

    def __repr__(self) -> str:
        return "\n".join("  ".join(cells) for cells in self._cells())

    def _repr_html_(self) -> str:
        headers = ["experiment", "begun", "name", "prompt", "version", "model", "pass rate", "of"]
        return table(headers, self._cells())

    def _cells(self) -> list[list[str]]:
        return [
            [
                one.id[:12],
                _begun(one),
                one.record.name,
                row.prompt,
                _version(row),
                row.model,
                UNKNOWN
                if row.figures.pass_rate is None
                else share_text(row.figures.pass_rate.rate),
                count_text(row.figures.cases, "case"),
            ]
            for one in self
            for row in one.summary.rows
        ]


def history(name: str, *, limit: int = 50, at: Workbench | None = None) -> History:
    """The newest ``limit`` experiments of this name or this suite, the oldest first.

    Raises NoSuchRecord when there is none.
    """
    bench = at or workbench()
    known = [one for one in bench.store.list_experiments(limit=10_000) if one.suites]
    found = [one for one in known if name == one.name or _has_suite(one.suites, name)]
    if not found:
        names = [*(one.name for one in known), *(Path(s).stem for o in known for s in o.suites)]
        what = f"no experiment or suite is called '{name}'{did_you_mean(name, set(names))}"
        raise NoSuchRecord(what, path=bench.store.path)
    newest = [one.experiment_id for one in found[:limit]]
    return History([_opened(bench.store, bench.root, one) for one in reversed(newest)])


def _opened(store: Store, root: Path, experiment_id: str) -> StoredExperiment:
    return StoredExperiment(store, experiment_id, root=root)


def _has_suite(suites: Sequence[str], name: str) -> bool:
    return any(name in (suite, Path(suite).stem) for suite in suites)


def _points(one: StoredExperiment, metric: str) -> Iterator[Point]:
    for row in one.summary.rows:
        found = _measured(row, [r for r in one.results if _belongs(r, row)], metric)
        if found is not None:
            value, low, high, n = found
            yield {
                "when": _begun(one),
                "version": _version(row),
                "variant": f"{row.prompt} · {row.model}",
                "value": value,
                "low": value if low is None else low,
                "high": value if high is None else high,
                "n": n,
                "experiment": one.id[:12],
            }


def _measured(
    row: Row, results: Sequence[Result], metric: str
) -> tuple[float, float | None, float | None, int] | None:
    figures = row.figures
    if metric == "pass_rate":
        rate = figures.pass_rate
        return None if rate is None else (rate.rate, rate.low, rate.high, rate.n)
    if metric == "latency_s":
        half = figures.latency.p50_ns
        return None if half is None else (half / 1e9, None, None, figures.latency.known)
    values = list(_values(results, metric))
    if not values:
        return None
    found = mean_interval(values)
    return found.value, found.low, found.high, found.n


def _values(results: Sequence[Result], metric: str) -> Iterator[float]:
    for result in results:
        if metric == "cost_usd":
            if result.cost_usd is not None:
                yield result.cost_usd
            continue
        for one in result.evaluations:
            if one.name == metric and one.score is not None and one.score.value is not None:
                yield one.score.value


def _belongs(result: Result, row: Row) -> bool:
    return (result.suite, result.prompt, result.model) == (row.suite, row.prompt, row.model)


def _version(row: Row) -> str:
    return ", ".join(version[:7] for version in row.prompt_versions)


def _begun(one: StoredExperiment) -> str:
    moment = datetime.fromtimestamp(one.record.started_ns / 1e9)
    return moment.isoformat(" ", "milliseconds")
