"""The report on a terminal: the verdict first, then why, then the numbers."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from p2re_eval.quantities import (
    UNKNOWN,
    count_text,
    duration_text,
    number_text,
    share_text,
)
from p2re_eval.records import Comparison, Experiment, GateVerdict, Result
from p2re_eval.report.summary import Headline, Miss, Row, Summary, headline
from p2re_eval.report.terminal_comparison import add_comparison, add_flips
from p2re_eval.report.terminal_page import Column, Page, columns_of, encodable, one_line, wrapped
from p2re_eval.report.wording import (
    again,
    answers_text,
    budget_text,
    cost_text,
    flaky_text,
    limits_text,
    quarantine_text,
    reasons,
    refused_text,
    revision_text,
    saved_text,
    sum_text,
    tokens_used_text,
    visible,
)

MOST_SHOWN = 10
"""How many missed cases, and how many flaky ones, are spelt out."""
_MARKS: Mapping[bool | None, tuple[str, str]] = MappingProxyType(
    {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
)


def terminal_report(
    experiment: Experiment,
    summary: Summary,
    *,
    comparison: Comparison | None = None,
    color: bool = False,
    width: int = 100,
    encoding: str | None = None,
) -> str:
    """The whole report as text of at most ``width`` columns, with what it was compared with.

    ``encoding`` is the terminal's (``None``: that of the standard output); what it cannot show is
    written in ASCII.
    """
    page = _Page(summary, color=color, width=max(width, 40))
    page.verdict(headline(experiment, summary))
    if comparison is not None:
        add_flips(page, comparison)
    page.misses(summary)
    page.gates(experiment.verdicts)
    if comparison is not None:
        add_comparison(page, comparison)
    page.figures(summary)
    page.scores(summary)
    page.flaky(summary)
    page.quarantine(summary)
    page.footer(experiment, summary)
    return encodable("\n".join(page.lines), encoding or sys.stdout.encoding or "utf-8")


class _Page(Page):
    """Lines in the making."""

    def __init__(self, summary: Summary, *, color: bool, width: int) -> None:
        super().__init__(color=color, width=width)
        self._several = (
            len({row.prompt for row in summary.rows}) > 1,
            len({row.model for row in summary.rows}) > 1,
        )

    def verdict(self, verdict: Headline) -> None:
        _, color = _MARKS[verdict.passed]
        word = self.paint(verdict.word, color, "bold")
        rest = wrapped(verdict.why, self.width - len(verdict.word) - 2)
        self.lines.append(f"{word}  {rest[0]}")
        self.lines += [" " * (len(verdict.word) + 2) + line for line in rest[1:]]

    def misses(self, summary: Summary) -> None:
        if not summary.misses:
            return
        self.title(f"Not passed: {count_text(summary.missed_cases, 'case')}")
        for miss in summary.misses[:MOST_SHOWN]:
            self._miss(miss)
        cases = {_case(miss.result) for miss in summary.misses[:MOST_SHOWN]}
        more = summary.missed_cases - len(cases)
        if more > 0:
            self.lines.append(self.paint(f"  and {count_text(more, 'more', 'more')}", "dim"))

    def _miss(self, miss: Miss) -> None:
        result = miss.result
        color = "red" if result.outcome == "failed" else "yellow"
        mark = "✗" if result.outcome == "failed" else "!"
        times = f"{miss.missed} of {miss.repeats} runs" if miss.repeats > 1 else ""
        what = {"error": "no answer", "unscored": "not scored"}.get(result.outcome, "")
        parts = (self._where(result.prompt, result.model), times, what)
        where = ", ".join(part for part in parts if part)
        self.lines.append(f"  {self.row(self.paint(mark, color), result.case_id, where)}")
        for line in reasons(result):
            self.lines.append(f"    {one_line(line, self.width - 4)}")

    def gates(self, verdicts: Sequence[GateVerdict]) -> None:
        if not verdicts:
            return
        self.title("Gates")
        several = len({verdict.suite for verdict in verdicts}) > 1
        indent = 4 if several else 2
        room = min(max(columns_of(verdict.gate) for verdict in verdicts), self.width // 2)
        suite = None
        for verdict in verdicts:
            if several and verdict.suite != suite:
                suite = verdict.suite
                self.lines.append(f"  {one_line(suite, self.width - 2)}")
            self._gate_lines(verdict, indent, room)

    def _gate_lines(self, verdict: GateVerdict, indent: int, room: int) -> None:
        mark, color = _MARKS[verdict.passed]
        name = one_line(verdict.gate, room)
        margin = indent + room + 4
        lines = wrapped(visible(verdict.explanation), max(self.width - margin, 20))
        start = f"{' ' * indent}{self.paint(mark, color)} {name}{' ' * (room - columns_of(name))}"
        self.lines.append(f"{start}  {lines[0]}")
        self.lines += [" " * margin + line for line in lines[1:]]

    def figures(self, summary: Summary) -> None:
        """One table where the window is wide enough, else a second one for what answers took."""
        rows = summary.rows
        if not rows:
            return
        names, outcomes, spent = _names(rows), _outcome_columns(rows), _spent_columns(rows)
        self.title(f"Prompts and models{_shared(rows)}")
        if self.fits([*names, *outcomes, *spent]):
            self.table([*names, *outcomes, *spent])
            return
        self.table([*names, *outcomes])
        self.title("Tokens, cost and time")
        self.table([*names, *spent])

    def scores(self, summary: Summary) -> None:
        """A column a scorer: mean, then how many were scored and how many errored; or a row a
        scorer, where there are too many for that."""
        rows = summary.rows
        names = list(dict.fromkeys(s.name for row in rows for s in row.figures.scores))
        if not names:
            return
        self.title("Mean scores (scored/errored)")
        columns = [
            Column(one_line(name, 24), tuple(_score(row, name) for row in rows)) for name in names
        ]
        table = [*_names(rows), *columns]
        self.table(table if self.fits(table) else _scores_as_rows(rows))

    def flaky(self, summary: Summary) -> None:
        if not summary.flaky_cases:
            return
        self.title(f"Flaky: {count_text(summary.flaky_cases, 'case')} whose repeats disagree")
        for case in summary.flaky[:MOST_SHOWN]:
            where = self._where(case.prompt, case.model)
            self.lines.append("  " + self.row(f"{flaky_text(case)} ", case.case_id, where))
        if summary.flaky_cases > MOST_SHOWN:
            more = f"  and {summary.flaky_cases - MOST_SHOWN:,} more"
            self.lines.append(self.paint(more, "dim"))

    def quarantine(self, summary: Summary) -> None:
        if not summary.quarantine:
            return
        self.title(f"Quarantine: {count_text(len(summary.quarantine), 'case')} without a say")
        for miss in summary.quarantine[:MOST_SHOWN]:
            where = self._where(miss.result.prompt, miss.result.model)
            self.lines.append("  " + self.row("q", miss.result.case_id, where))
            self.lines.append(f"    {one_line(quarantine_text(miss), self.width - 4)}")
        if len(summary.quarantine) > MOST_SHOWN:
            more = f"  and {len(summary.quarantine) - MOST_SHOWN:,} more"
            self.lines.append(self.paint(more, "dim"))

    def footer(self, experiment: Experiment, summary: Summary) -> None:
        facts = [("answers", answers_text(summary)), ("tokens", tokens_used_text(summary))]
        facts += [("cost", cost_text(summary)), ("budget", budget_text(experiment))]
        facts += [
            ("not run", refused_text(summary)),
            ("saved", saved_text(summary)),
            ("revision", revision_text(experiment)),
        ]
        facts += [("limits", text) for text in limits_text(experiment)]
        facts.append(("again", again(experiment)))
        self.lines.append("")
        for name, fact in facts:
            if fact is not None:
                label = self.paint(f"{name:<9}", "dim")
                cut = None if name in {"again", "limits", "not run"} else self.width - 10
                self.lines.append(f"{label} {one_line(fact, cut)}")

    def _where(self, prompt: str, model: str) -> str:
        """What tells this prompt and model from the others of the experiment."""
        return " · ".join(
            name
            for name, several in ((prompt, self._several[0]), (model, self._several[1]))
            if several
        )


def _outcome_columns(rows: Sequence[Row]) -> list[Column]:
    counts = [row.figures.counts for row in rows]
    columns = [
        Column("pass rate", tuple(_rate(row) for row in rows)),
        Column("95 %", tuple(_interval(row) for row in rows), rank=3),
        Column("cases", tuple(_cases(row) for row in rows), rank=2),
        Column("passed", tuple(f"{each.passed:,}" for each in counts), rank=1),
        Column("failed", tuple(f"{each.failed:,}" for each in counts)),
        Column("error", tuple(f"{each.error:,}" for each in counts)),
    ]
    if any(each.unscored for each in counts):
        columns.append(Column("unscored", tuple(f"{each.unscored:,}" for each in counts)))
    if any(each.not_run for each in counts):
        columns.append(Column("not run", tuple(f"{each.not_run:,}" for each in counts)))
    return columns


def _spent_columns(rows: Sequence[Row]) -> list[Column]:
    figures = [row.figures for row in rows]
    tokens = tuple(f"{sum_text(f.input_tokens)}/{sum_text(f.output_tokens)}" for f in figures)
    costs = tuple(sum_text(f.cost_usd, money=True) for f in figures)
    return [
        Column("tok in/out", tokens, rank=2),
        Column("cost", costs),
        Column("p50", tuple(duration_text(f.latency.p50_ns) for f in figures), rank=1),
        Column("p95", tuple(duration_text(f.latency.p95_ns) for f in figures)),
    ]


def _scores_as_rows(rows: Sequence[Row]) -> list[Column]:
    listed = [(row, score) for row in rows for score in row.figures.scores]
    return [
        *_names([row for row, _ in listed], among=rows),
        Column("scorer", tuple(one_line(score.name) for _, score in listed), align="left"),
        Column("mean", tuple(number_text(score.mean) for _, score in listed)),
        Column("scored", tuple(f"{score.scored:,}" for _, score in listed)),
        Column("errored", tuple(f"{score.errored:,}" for _, score in listed)),
    ]


def _names(rows: Sequence[Row], *, among: Sequence[Row] | None = None) -> list[Column]:
    """The columns that tell rows apart ``among`` all (these); what all share stands above the
    table, and the suite nowhere where prompt and model say it."""
    among = among or rows
    telling = {title for title, names in _name_parts(among) if len(set(names)) > 1}
    if len({(row.prompt, row.model) for row in among}) == len(among):
        telling.discard("suite")
    return [
        Column(title, tuple(one_line(name) for name in names), align="left")
        for title, names in _name_parts(rows)
        if title in (telling or {"prompt"})
    ]


def _shared(rows: Sequence[Row]) -> str:
    """The prompt or model that all rows have, where no column shows it."""
    parts = _name_parts(rows)
    if any(len(set(names)) > 1 for _, names in parts):
        shared = [names[0] for title, names in parts if len(set(names)) == 1 and title != "suite"]
    else:
        shared = [rows[0].model]
    return f": {one_line(', '.join(shared))}" if shared else ""


def _name_parts(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    return [
        ("suite", [row.suite for row in rows]),
        ("prompt", [row.prompt for row in rows]),
        ("model", [row.model for row in rows]),
    ]


def _score(row: Row, name: str) -> str:
    for score in row.figures.scores:
        if score.name == name:
            return f"{number_text(score.mean)} ({score.scored:,}/{score.errored:,})"
    return UNKNOWN


def _rate(row: Row) -> str:
    rate = row.figures.pass_rate
    return UNKNOWN if rate is None else share_text(rate.rate)


def _interval(row: Row) -> str:
    rate = row.figures.pass_rate
    return UNKNOWN if rate is None else f"{rate.low * 100:.0f} to {rate.high * 100:.0f}"


def _cases(row: Row) -> str:
    times = f" x{row.figures.repeats}" if row.figures.repeats > 1 else ""
    return f"{row.figures.cases:,}{times}"


def _case(result: Result) -> tuple[str, str, str, str]:
    return result.suite, result.prompt, result.model, result.case_id
