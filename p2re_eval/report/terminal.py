"""The report on a terminal: the verdict first, then why, then the numbers."""

from __future__ import annotations

import re
import sys
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from p2re_eval.quantities import (
    UNKNOWN,
    count_text,
    duration_text,
    number_text,
    share_text,
)
from p2re_eval.records import Experiment, GateVerdict, Result
from p2re_eval.report.summary import Headline, Miss, Row, Summary, headline
from p2re_eval.report.wording import (
    again,
    answers_text,
    budget_text,
    cost_text,
    quarantine_text,
    reasons,
    revision_text,
    saved_text,
    sum_text,
    tokens_used_text,
    visible,
)

_PAINT = re.compile(r"\x1b\[[0-9;]*m")
MOST_SHOWN = 10
"""How many missed cases, and how many flaky ones, are spelt out."""
_ASCII = MappingProxyType(
    {"✓": "+", "✗": "x", "─": "-", "·": "|", "…": "...", "≥": ">=", "≤": "<="}
)
_COLORS = MappingProxyType(
    {"green": "32", "red": "31", "yellow": "33", "bold": "1", "dim": "2", "plain": "0"}
)
_MARKS: Mapping[bool | None, tuple[str, str]] = MappingProxyType(
    {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}
)


def terminal_report(
    experiment: Experiment,
    summary: Summary,
    *,
    color: bool = False,
    width: int = 100,
    encoding: str | None = None,
) -> str:
    """The whole report as text of at most ``width`` columns.

    ``encoding`` is the terminal's (``None``: that of the standard output); what it cannot show is
    written in ASCII.
    """
    page = _Page(summary, color=color, width=max(width, 40))
    page.verdict(headline(experiment, summary))
    page.misses(summary)
    page.gates(experiment.verdicts)
    page.figures(summary)
    page.scores(summary)
    page.flaky(summary)
    page.quarantine(summary)
    page.footer(experiment, summary)
    return _encodable("\n".join(page.lines), encoding or sys.stdout.encoding or "utf-8")


def one_line(text: str, limit: int | None = None) -> str:
    """The text on one line without control characters, cut to ``limit`` columns."""
    plain = visible(" ".join(text.split()))
    if limit is None or _columns(plain) <= limit:
        return plain
    kept, used = [], 0
    for character in plain:
        used += _columns(character)
        if used > max(limit - 1, 0):
            break
        kept.append(character)
    return "".join(kept).rstrip() + "…"


def _columns(text: str) -> int:
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    combining = sum(unicodedata.combining(character) > 0 for character in text)
    return len(text) + wide - combining


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_on_hyphens=False) or [""]


def _plain(text: str) -> str:
    return _PAINT.sub("", text)


def _encodable(text: str, encoding: str) -> str:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        for symbol, plain in _ASCII.items():
            text = text.replace(symbol, plain)
        return text.encode(encoding, "backslashreplace").decode(encoding)
    except LookupError:
        return _encodable(text, "ascii")
    return text


@dataclass(frozen=True)
class _Column:
    """A column of the table: the higher ``rank``, the sooner it gives way to a narrow window."""

    title: str
    cells: tuple[str, ...]
    rank: int = 0
    align: str = "right"


class _Page:
    """Lines in the making."""

    def __init__(self, summary: Summary, *, color: bool, width: int) -> None:
        self.lines: list[str] = []
        self._color = color
        self._width = width
        self._several = (
            len({row.prompt for row in summary.rows}) > 1,
            len({row.model for row in summary.rows}) > 1,
        )

    def verdict(self, verdict: Headline) -> None:
        _, color = _MARKS[verdict.passed]
        word = self._paint(verdict.word, color, "bold")
        rest = _wrapped(verdict.why, self._width - len(verdict.word) - 2)
        self.lines.append(f"{word}  {rest[0]}")
        self.lines += [" " * (len(verdict.word) + 2) + line for line in rest[1:]]

    def misses(self, summary: Summary) -> None:
        if not summary.misses:
            return
        self._title(f"Not passed: {count_text(summary.missed_cases, 'case')}")
        for miss in summary.misses[:MOST_SHOWN]:
            self._miss(miss)
        cases = {_case(miss.result) for miss in summary.misses[:MOST_SHOWN]}
        more = summary.missed_cases - len(cases)
        if more > 0:
            self.lines.append(self._paint(f"  and {count_text(more, 'more', 'more')}", "dim"))

    def _miss(self, miss: Miss) -> None:
        result = miss.result
        color = "red" if result.outcome == "failed" else "yellow"
        mark = "✗" if result.outcome == "failed" else "!"
        times = f"{miss.missed} of {miss.repeats} runs" if miss.repeats > 1 else ""
        what = {"error": "no answer", "unscored": "not scored"}.get(result.outcome, "")
        parts = (self._where(result.prompt, result.model), times, what)
        where = ", ".join(part for part in parts if part)
        self.lines.append(f"  {self._row(self._paint(mark, color), result.case_id, where)}")
        for line in reasons(result):
            self.lines.append(f"    {one_line(line, self._width - 4)}")

    def gates(self, verdicts: Sequence[GateVerdict]) -> None:
        if not verdicts:
            return
        self._title("Gates")
        several = len({verdict.suite for verdict in verdicts}) > 1
        indent = 4 if several else 2
        room = min(max(_columns(verdict.gate) for verdict in verdicts), self._width // 2)
        suite = None
        for verdict in verdicts:
            if several and verdict.suite != suite:
                suite = verdict.suite
                self.lines.append(f"  {one_line(suite, self._width - 2)}")
            self._gate_lines(verdict, indent, room)

    def _gate_lines(self, verdict: GateVerdict, indent: int, room: int) -> None:
        mark, color = _MARKS[verdict.passed]
        name = one_line(verdict.gate, room)
        margin = indent + room + 4
        lines = _wrapped(visible(verdict.explanation), max(self._width - margin, 20))
        start = f"{' ' * indent}{self._paint(mark, color)} {name}{' ' * (room - _columns(name))}"
        self.lines.append(f"{start}  {lines[0]}")
        self.lines += [" " * margin + line for line in lines[1:]]

    def figures(self, summary: Summary) -> None:
        if summary.rows:
            self._title(f"Prompts and models{_shared(summary.rows)}")
            self._table([*_names(summary.rows), *_figure_columns(summary.rows)])

    def scores(self, summary: Summary) -> None:
        """A column a scorer: mean, then how many were scored and how many errored."""
        rows = summary.rows
        names = list(dict.fromkeys(s.name for row in rows for s in row.figures.scores))
        if not names:
            return
        self._title("Mean scores (scored/errored)")
        columns = [
            _Column(one_line(name, 24), tuple(_score(row, name) for row in rows), rank=place + 1)
            for place, name in enumerate(names)
        ]
        self._table([*_names(rows), *columns])

    def flaky(self, summary: Summary) -> None:
        if not summary.flaky_cases:
            return
        self._title(f"Flaky: {count_text(summary.flaky_cases, 'case')} whose repeats disagree")
        for case in summary.flaky[:MOST_SHOWN]:
            share = f"{case.passed} of {case.scored} passed "
            where = self._where(case.prompt, case.model)
            self.lines.append("  " + self._row(share, case.case_id, where))
        if summary.flaky_cases > MOST_SHOWN:
            more = f"  and {summary.flaky_cases - MOST_SHOWN:,} more"
            self.lines.append(self._paint(more, "dim"))

    def quarantine(self, summary: Summary) -> None:
        if not summary.quarantine:
            return
        self._title(f"Quarantine: {count_text(len(summary.quarantine), 'case')} without a say")
        for miss in summary.quarantine[:MOST_SHOWN]:
            where = self._where(miss.result.prompt, miss.result.model)
            self.lines.append("  " + self._row("q", miss.result.case_id, where))
            self.lines.append(f"    {one_line(quarantine_text(miss), self._width - 4)}")
        if len(summary.quarantine) > MOST_SHOWN:
            more = f"  and {len(summary.quarantine) - MOST_SHOWN:,} more"
            self.lines.append(self._paint(more, "dim"))

    def footer(self, experiment: Experiment, summary: Summary) -> None:
        facts = [("answers", answers_text(summary)), ("tokens", tokens_used_text(summary))]
        facts += [("cost", cost_text(summary)), ("budget", budget_text(experiment))]
        facts += [("saved", saved_text(summary)), ("revision", revision_text(experiment))]
        facts.append(("again", again(experiment)))
        self.lines.append("")
        for name, fact in facts:
            if fact is not None:
                label = self._paint(f"{name:<9}", "dim")
                cut = None if name == "again" else self._width - 10
                self.lines.append(f"{label} {one_line(fact, cut)}")

    def _where(self, prompt: str, model: str) -> str:
        """What tells this prompt and model from the others of the experiment."""
        return " · ".join(
            name
            for name, several in ((prompt, self._several[0]), (model, self._several[1]))
            if several
        )

    def _row(self, mark: str, case: str, where: str) -> str:
        """A case in one line: its name is cut last."""
        used = _columns(_plain(mark)) + 6
        where = one_line(where, max(self._width - used - min(_columns(case), 30), 0))
        name = one_line(case, max(self._width - used - _columns(where), 10))
        return f"{mark} {self._paint(name, 'bold')}  {self._paint(where, 'dim')}".rstrip()

    # --- how lines look ----------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self.lines += ["", self._paint(text, "bold")]

    def _paint(self, text: str, *colors: str) -> str:
        if not self._color or not text:
            return text
        codes = ";".join(_COLORS[color] for color in colors)
        return f"\x1b[{codes}m{text}\x1b[0m"

    def _table(self, columns: Sequence[_Column]) -> None:
        lines = _fitting_table(columns, self._width - 2)
        self.lines.append("  " + self._paint(lines[0], "dim"))
        self.lines += [f"  {line}".rstrip() for line in lines[1:]]


def _fitting_table(columns: Sequence[_Column], width: int) -> list[str]:
    """The table with every column that fits; names are cut when it is still too wide."""
    left = list(columns)
    lines = _laid_out(left)
    while max(_columns(line) for line in lines) > width:
        worst = max(left, key=lambda column: column.rank)
        if worst.rank == 0:
            return _laid_out(_narrowed(left, max(_columns(line) for line in lines) - width))
        left.remove(worst)
        lines = _laid_out(left)
    return lines


def _narrowed(columns: Sequence[_Column], excess: int) -> list[_Column]:
    names = [c for c in columns if c.align == "left"]
    widest = sorted(names, key=lambda column: -max(_columns(cell) for cell in column.cells))
    narrowed = {}
    for column in widest:
        has = max(_columns(cell) for cell in column.cells)
        limit = max(has - excess, 10)
        excess -= max(has - limit, 0)
        cells = tuple(_middle_cut(cell, limit) for cell in column.cells)
        narrowed[column.title] = _Column(column.title, cells, column.rank, column.align)
    return [narrowed.get(column.title, column) for column in columns]


def _middle_cut(text: str, limit: int) -> str:
    """The two ends of a name: what tells models apart is often at the end."""
    if _columns(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return f"{text[: limit - 1 - tail]}…{text[len(text) - tail :]}"


def _laid_out(columns: Sequence[_Column]) -> list[str]:
    """The columns as tabulate lays them out, header first and a line below it."""
    import tabulate  # 69 ms to import, and a session without a report needs none of it

    row = tabulate.DataRow("", "  ", "")
    layout = tabulate.TableFormat(
        None, None, None, None, row, row, padding=0, with_header_hide=None
    )
    cells = [(column.title, *column.cells) for column in columns]
    text = tabulate.tabulate(
        list(zip(*cells, strict=True)),
        tablefmt=layout,
        disable_numparse=True,
        colalign=[column.align for column in columns],
    )
    rule = "  ".join("─" * max(_columns(cell) for cell in column) for column in cells)
    header, *lines = text.split("\n")
    return [header, rule, *lines]


def _figure_columns(rows: Sequence[Row]) -> list[_Column]:
    figures = [row.figures for row in rows]
    broken = [f.counts.error + f.counts.unscored for f in figures]
    not_run = [f.counts.not_run for f in figures]
    columns = [
        _Column("pass rate", tuple(_rate(row) for row in rows)),
        _Column("95 %", tuple(_interval(row) for row in rows), rank=3),
        _Column("cases", tuple(_cases(row) for row in rows)),
        _Column("errors", tuple(f"{n:,}" for n in broken)),
    ]
    if any(not_run):
        columns.append(_Column("not run", tuple(f"{n:,}" for n in not_run)))
    tokens = tuple(f"{sum_text(f.input_tokens)}/{sum_text(f.output_tokens)}" for f in figures)
    costs = tuple(sum_text(f.cost_usd, money=True) for f in figures)
    columns += [
        _Column("tok in/out", tokens, rank=5),
        _Column("cost", costs, rank=2),
        _Column("p50", tuple(duration_text(f.latency.p50_ns) for f in figures), rank=4),
        _Column("p95", tuple(duration_text(f.latency.p95_ns) for f in figures), rank=1),
    ]
    return columns


def _names(rows: Sequence[Row]) -> list[_Column]:
    """The columns that tell the rows apart; what they share stands above the table."""
    columns = [
        _Column(title, tuple(one_line(name) for name in names), align="left")
        for title, names in _name_parts(rows)
        if len(set(names)) > 1
    ]
    if columns:
        return columns
    return [_Column("prompt", tuple(one_line(row.prompt) for row in rows), align="left")]


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
