"""Altair charts of results: rows in, a chart out. Unknown values are left out, never 0."""

from __future__ import annotations

import json
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from p2re_eval.errors import MissingExtra, UsageError
from p2re_eval.explain import did_you_mean
from p2re_eval.notebook.frames import result_rows
from p2re_eval.records import Comparison, Result
from p2re_eval.report.summary import summarize
from p2re_eval.stats import wilson_interval

try:
    import altair as alt
except ImportError as error:
    raise MissingExtra("plots need Altair: pip install 'p2re-eval[notebook]'") from error

Rows = list[dict[str, object]]
Drawn = alt.Chart | alt.LayerChart
_WIDTH, _SQUARE = 420, 260
PALETTE = ["#3f6fe0", "#d08700", "#0d8f8a", "#8452d5", "#c2508f", "#6f7a87", "#2f8f55", "#c4543a"]
"""The colours of the web app."""
_COLORS = alt.Scale(range=PALETTE)
_ABOVE = alt.Legend(orient="top", labelLimit=400, columns=1)
_MOMENTS = alt.Axis(labelAngle=-35, labelExpr="slice(datum.label, 5, 16)")
"""Month, day and minute are enough to read; what is plotted is finer."""
_VEGA = "application/vnd.vegalite.v5+json"
"""What JupyterLab and VS Code draw by themselves; newer specifications are read as well."""
_SCALE, _MOST_ROWS = 2.0, 20
_FAINT, _MIDDLE = "rgba(128,128,128,.25)", "#7a828c"
_LOOK: Mapping[str, Mapping[str, object]] = {
    "view": {"stroke": None},
    "axis": {
        "gridColor": _FAINT,
        "domainColor": _FAINT,
        "tickColor": _FAINT,
        "titleFontWeight": 500,
    },
    "legend": {"symbolBaseFillColor": _MIDDLE, "symbolBaseStrokeColor": _MIDDLE},
    "title": {"anchor": "start", "fontWeight": 600, "offset": 12},
}
"""Greys that are seen on white and on black: the front end brings the letters of its theme."""


class Plot(alt.Chart):
    """An Altair chart that needs no network to be seen."""

    def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
        return _bundle(self)


class LayeredPlot(alt.LayerChart):
    """The same of several layers."""

    def _repr_mimebundle_(self, *_: object, **__: object) -> dict[str, object]:
        return _bundle(self)


def _bundle(chart: Drawn) -> dict[str, object]:
    """As Vega where a front end has it, else as a picture, else as the rows behind it."""
    spec = chart.to_dict()
    given = spec.get("config", {})
    spec["config"] = {
        **given,
        **{name: {**own, **given.get(name, {})} for name, own in _LOOK.items()},
    }
    spec["config"].setdefault("background", "transparent")
    shown: dict[str, object] = {_VEGA: spec, "text/plain": _rows_text(spec)}
    try:
        import vl_convert
    except ImportError:  # the extra 'pictures' is not installed
        return shown
    picture = vl_convert.vegalite_to_png(json.dumps({"background": "white", **spec}), scale=_SCALE)
    return {**shown, "image/png": b64encode(picture).decode()}


def _rows_text(spec: Mapping[str, Any]) -> str:
    rows = spec["data"]["values"][:_MOST_ROWS]
    return "\n".join([str(spec.get("title", "plot")), tabulate(rows, headers="keys")])


def result_chart(what: str, results: Iterable[Result]) -> Drawn:
    """``scores``, ``latency``, ``cost`` (against quality) or ``versions``.

    Raises UsageError for another word, or when no answer has what is to be plotted.
    """
    known: Mapping[str, Callable[[Sequence[Result]], Drawn]] = {
        "scores": _scores,
        "latency": _latency,
        "cost": _cost,
        "versions": _versions,
    }
    if what not in known:
        hint = did_you_mean(what, known)
        raise UsageError(f"no plot is called '{what}'{hint}; plots: {', '.join(known)}")
    return known[what](list(results))


def flips_chart(comparison: Comparison) -> alt.Chart:
    """The cases that moved: from the pass rate before to the one after.

    Raises UsageError where none did.
    """
    if not comparison.flips:
        raise UsageError("there is nothing to plot: no case flipped")
    variants = {(flip.prompt, flip.model) for flip in comparison.flips}
    rows: Rows = [
        {
            "case": flip.case_id
            if len(variants) == 1
            else f"{flip.prompt} · {flip.case_id} · {flip.model}",
            "before": flip.before.rate,
            "after": flip.after.rate,
            "moved": "worse" if flip.worse else "better",
        }
        for flip in comparison.flips
    ]
    colors = alt.Scale(domain=["worse", "better"], range=["#c2410c", "#1d7f5f"])
    chart: alt.Chart = (
        _chart(rows, "Flips")
        .mark_bar(height=6)
        .encode(
            y=alt.Y("case:N", title=None, sort=None, axis=alt.Axis(labelLimit=320)),
            x=alt.X("before:Q", title="pass rate", scale=alt.Scale(domain=[0, 1])),
            x2="after:Q",
            color=alt.Color("moved:N", scale=colors, title=None),
            tooltip=["case:N", "before:Q", "after:Q"],
        )
    )
    return chart


def reliability_chart(judged: Sequence[tuple[float, bool]], bins: int = 5) -> alt.LayerChart:
    """How often people agree where a judge gave so much, with 95 % intervals: a good judge follows
    the diagonal.

    ``judged`` are the judge's value, 0 to 1, and whether a person found the answer good.
    """
    counted: dict[int, list[bool]] = defaultdict(list)
    for value, good in judged:
        counted[min(int(value * bins), bins - 1)].append(good)
    rows = [_bin((place + 0.5) / bins, said) for place, said in sorted(counted.items())]
    whole = alt.Scale(domain=[0, 1])
    x = alt.X("judge:Q", title="the judge's value", scale=whole)
    y = alt.Y("people:Q", title="share that people found good", scale=whole)
    shown = ["judge:Q", "people:Q", "low:Q", "high:Q", "answers:Q"]
    base = alt.Chart().encode(x=x)
    layers = [
        _diagonal(),
        base.mark_rule(color=PALETTE[0], opacity=0.55, strokeWidth=2).encode(
            y=alt.Y("low:Q"), y2="high:Q"
        ),
        base.mark_line(color=PALETTE[0]).encode(y=y),
        base.mark_point(filled=True, color=PALETTE[0], opacity=1).encode(
            y=y, size=alt.Size("answers:Q", legend=None), tooltip=shown
        ),
    ]
    return _layered(rows, layers, "Reliability of the judge", _SQUARE, _SQUARE)


def _bin(judge: float, said: Sequence[bool]) -> dict[str, object]:
    low, high = wilson_interval(sum(said), len(said))
    people = sum(said) / len(said)
    return {"judge": judge, "people": people, "low": low, "high": high, "answers": len(said)}


def _diagonal() -> alt.Chart:
    ends: Rows = [{"judge": 0, "people": 0}, {"judge": 1, "people": 1}]
    line: alt.Chart = alt.Chart(_inline(ends)).mark_line(color="#9aa2ad", strokeDash=[4, 4])
    return line.encode(x="judge:Q", y="people:Q")


def drift_chart(points: Rows, metric: str) -> alt.LayerChart:
    """A metric from experiment to experiment: a line a prompt and model, its intervals, and where
    the prompt's version changed."""
    share = alt.Scale(domain=[0, 1]) if metric == "pass_rate" else alt.Scale(zero=False)
    x = alt.X("when:N", sort=None, title="experiment", axis=_MOMENTS)
    y = alt.Y("value:Q", title=metric.replace("_", " "), scale=share)
    color = alt.Color("variant:N", title=None, scale=_COLORS, legend=_ABOVE)
    shown = ["experiment:N", "variant:N", "version:N", "value:Q", "low:Q", "high:Q", "n:Q"]
    base = alt.Chart().encode(x=x, color=color)
    layers = [
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            y=alt.Y("low:Q", title=metric.replace("_", " "), scale=share), y2="high:Q"
        ),
        base.mark_line().encode(y=y),
        base.mark_point(filled=True, size=70, opacity=1).encode(
            y=y, shape=alt.Shape("version:N", title="version"), tooltip=shown
        ),
    ]
    return _layered(points, layers, f"Drift of {metric.replace('_', ' ')}", _WIDTH, _SQUARE)


def _scores(results: Sequence[Result]) -> alt.Chart:
    rows: Rows = [
        {"scorer": one.name, "value": one.score.value, "model": result.model}
        for result in results
        for one in result.evaluations
        if one.score is not None and one.score.value is not None
    ]
    chart: alt.Chart = (
        _chart(rows, "Scores")
        .mark_bar()
        .encode(
            x=alt.X("value:Q", bin=alt.Bin(maxbins=20), title="value"),
            y=alt.Y("count():Q", title="answers"),
            color=alt.Color("model:N", title=None, scale=_COLORS, legend=_ABOVE),
            row=alt.Row("scorer:N", title=None),
        )
        .properties(height=90)
    )
    return chart


def _latency(results: Sequence[Result]) -> alt.Chart:
    rows = [row for row in result_rows(results) if row["latency_s"] is not None]
    kept: Rows = [{key: row[key] for key in ("model", "case_id", "latency_s")} for row in rows]
    chart: alt.Chart = (
        _chart(kept, "Latency")
        .mark_tick(thickness=2)
        .encode(
            x=alt.X("latency_s:Q", title="seconds"),
            y=alt.Y("model:N", title=None),
            tooltip=["case_id:N", "latency_s:Q"],
        )
    )
    return chart


def _cost(results: Sequence[Result]) -> alt.LayerChart:
    """A point a prompt and model; the frontier joins those that no other is better and cheaper
    than."""
    rows = _cheapest_first(results)
    best = -1.0
    for row in rows:
        rate = row["pass_rate"]
        assert isinstance(rate, float)
        row["frontier"], best = rate > best, max(best, rate)
    x = alt.X("cost_usd:Q", title="US dollars an answer")
    y = alt.Y("pass_rate:Q", scale=alt.Scale(domain=[0, 1]), title="pass rate")
    color = alt.Color("variant:N", title=None, scale=_COLORS, legend=_ABOVE)
    shown = ["variant:N", "cost_usd:Q", "pass_rate:Q", "low:Q", "high:Q", "answers:Q"]
    base = alt.Chart().encode(x=x)
    layers = [
        base.transform_filter("datum.frontier")
        .mark_line(interpolate="step-after", color="#9aa2ad", strokeDash=[4, 4])
        .encode(y=y),
        base.mark_rule(strokeWidth=2, opacity=0.45).encode(
            y=alt.Y("low:Q"), y2="high:Q", color=color
        ),
        base.mark_point(filled=True, size=90, opacity=1).encode(y=y, color=color, tooltip=shown),
    ]
    return _layered(rows, layers, "Cost against quality", _WIDTH, _SQUARE)


def _cheapest_first(results: Sequence[Result]) -> Rows:
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[f"{result.prompt} · {result.model}"].append(result)
    rows: Rows = []
    for variant, group in groups.items():
        costs = [one.cost_usd for one in group if one.cost_usd is not None]
        rate = summarize(group).figures.pass_rate
        if costs and rate is not None:
            rows.append(
                {
                    "variant": variant,
                    "cost_usd": sum(costs) / len(costs),
                    "pass_rate": rate.rate,
                    "low": rate.low,
                    "high": rate.high,
                    "answers": rate.n,
                }
            )
    return sorted(rows, key=lambda row: (row["cost_usd"], -float(str(row["pass_rate"]))))


def _versions(results: Sequence[Result]) -> alt.Chart:
    counted: dict[tuple[str, str], list[bool]] = {}
    for one in results:
        if one.outcome in {"passed", "failed"}:
            key = (f"{one.prompt} {(one.prompt_version or '')[:7]}", one.model)
            counted.setdefault(key, []).append(one.outcome == "passed")
    rows: Rows = [
        {"version": version, "model": model, "pass_rate": sum(said) / len(said)}
        for (version, model), said in counted.items()
    ]
    chart: alt.Chart = (
        _chart(rows, "Versions")
        .mark_line(point=True)
        .encode(
            x=alt.X("version:N", sort=None, title=None),
            y=alt.Y("pass_rate:Q", scale=alt.Scale(domain=[0, 1]), title="pass rate"),
            color=alt.Color("model:N", title=None, scale=_COLORS, legend=_ABOVE),
            tooltip=["version:N", "model:N", "pass_rate:Q"],
        )
    )
    return chart


def _chart(rows: Rows, title: str) -> alt.Chart:
    return Plot(_inline(rows), title=title).properties(width=_WIDTH)


def _layered(
    rows: Rows, layers: list[alt.Chart], title: str, width: int, height: int
) -> alt.LayerChart:
    made = LayeredPlot(data=_inline(rows), layer=layers, title=title)
    return made.properties(width=width, height=height)


def _inline(rows: Rows) -> alt.Data:
    """Raises UsageError where there is nothing to draw."""
    if not rows:
        raise UsageError("there is nothing to plot: no answer here has such a figure")
    return alt.Data(values=rows)  # type: ignore[no-untyped-call]
