"""Two experiments beside one another, as text, as HTML and as a chart."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from p2re_eval.notebook.pages import table
from p2re_eval.records import Comparison, Delta
from p2re_eval.report import comparison_report
from p2re_eval.report.comparison_wording import (
    change_line,
    delta_texts,
    flips_line,
    left_out_lines,
    tries_text,
    worth_showing,
)

if TYPE_CHECKING:
    import altair as alt

MOST_FLIPS = 50


class Compared:
    """A comparison that draws itself: flips first; ``record`` has every figure."""

    def __init__(self, record: Comparison) -> None:
        self.record = record

    def plot(self) -> alt.Chart:
        """The cases that moved, each from before to after. Needs Altair."""
        from p2re_eval.notebook.plots import flips_chart

        return flips_chart(self.record)

    def __repr__(self) -> str:
        return comparison_report(self.record)

    def _repr_html_(self) -> str:
        found = self.record
        flips = [
            [
                "✗" if flip.worse else "✓",
                flip.case_id,
                f"{tries_text(flip.before)} → {tries_text(flip.after)}",
                flip.before_output,
                flip.after_output,
                "; ".join(flip.why),
            ]
            for flip in found.flips[:MOST_FLIPS]
        ]
        deltas = [_delta(one) for one in worth_showing(found.deltas)]
        notes = [*map(change_line, found.changes), *left_out_lines(found)]
        head = (
            f"<p><b>Flips: {escape(flips_line(found))}</b>, since {escape(found.before.label)}</p>"
        )
        columns = ["", "case", "moved", "before", "after", "why"]
        figures = ["prompt", "model", "metric", "before", "after", "difference", "p"]
        return (
            head
            + (table(columns, flips) if flips else "")
            + table(figures, deltas)
            + "".join(f"<p>{escape(note)}</p>" for note in notes)
        )


def _delta(one: Delta) -> list[str]:
    texts = delta_texts(one)
    difference = texts.moved + ("" if one.low is None else f" ({texts.interval})")
    return [one.prompt, one.model, one.metric, texts.was, texts.now, difference, texts.p]
