"""The report as Markdown, for a pull request and for ``$GITHUB_STEP_SUMMARY``.

What a model said is shown as code only: it can neither format, link, mention nor leave its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from p2re_eval.quantities import UNKNOWN, count_text, duration_text, number_text, share_text
from p2re_eval.records import Experiment, Result
from p2re_eval.report.summary import Miss, Row, Summary, headline, summarize
from p2re_eval.report.wording import (
    again,
    answers_text,
    budget_text,
    cost_text,
    limits_text,
    quarantine_text,
    reasons,
    revision_text,
    saved_text,
    sum_text,
    tokens_used_text,
    visible,
)

MOST_BYTES = 900_000
"""GitHub refuses a step summary above 1 MiB."""
_MARKS = {True: "✓", False: "✗", None: "?"}
_TEXT_LIMIT = 2_000


def markdown_report(
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    *,
    most_bytes: int = MOST_BYTES,
) -> str:
    """The whole report; what would pass ``most_bytes`` is left out, and a note says so."""
    summary = summarize(results_factory())
    kept: list[str] = []
    used, left_out = 0, 0
    room = most_bytes - 300
    for section in _sections(experiment, summary):
        size = len(section.encode("utf-8", "backslashreplace"))
        if used + size > room:
            left_out += 1
            continue
        kept.append(section)
        used += size
    if left_out:
        what = count_text(left_out, "section")
        kept.append(f"\n_{what} left out: this page holds {most_bytes // 1000} KB at most._\n")
    return "".join(kept)


def _sections(experiment: Experiment, summary: Summary) -> Iterator[str]:
    verdict = headline(experiment, summary)
    mark = _MARKS[verdict.passed]
    yield f"## {mark} {verdict.word}: {escape(experiment.name)}\n\n{escape(verdict.why)}\n"
    if experiment.verdicts:
        yield _gates(experiment)
    if summary.rows:
        yield _figures(summary.rows)
        yield _scores(summary.rows)
    yield from _misses(summary)
    if summary.flaky:
        yield _flaky(summary)
    if summary.quarantine:
        yield _quarantine(summary)
    yield _facts(experiment, summary)


def escape(text: str) -> str:
    """The text as plain words of a paragraph or table cell: no character keeps a meaning."""
    plain = visible(" ".join(text.split()))
    plain = re.sub(r"[^\w\s.,;:()/%+'-]|_", lambda found: f"&#{ord(found[0])};", plain)
    # a zero-width space keeps GitHub from telling @somebody, or linking issue #1
    plain = re.sub(r"&#(64|35);", r"&#\1;&#8203;", plain)
    # GitHub makes links of addresses even where nothing is marked up
    return re.sub(r"(?i)\b(https?|ftp|mailto|www)(?=[:.])", r"\1&#8203;", plain)


def code(text: str) -> str:
    """The text as inline code, in a paragraph or a table cell."""
    plain = visible(" ".join(text.split()))
    marked = re.sub(r"[^\w\s.,;:()/+'-]|_", lambda found: f"&#{ord(found[0])};", plain)
    return f"<code>{marked}</code>" if marked else ""


def fenced(text: str) -> str:
    """The text as a block of code, inside a fence that it cannot close."""
    plain = visible(text.replace("\r\n", "\n").replace("\r", "\n"), keep="\n\t")
    longest = max((len(run) for run in re.findall(r"`+", plain)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{plain}\n{fence}\n"


def _table(titles: Sequence[str], align: str, rows: Iterable[Sequence[str]]) -> str:
    rules = {"l": ":--", "r": "--:", "c": ":-:"}
    lines = [titles, [rules[a] for a in align], *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _gates(experiment: Experiment) -> str:
    several = len({verdict.suite for verdict in experiment.verdicts}) > 1
    rows = [
        [
            _MARKS[verdict.passed],
            code(f"{verdict.suite}: {verdict.gate}" if several else verdict.gate),
            escape(verdict.explanation),
        ]
        for verdict in experiment.verdicts
    ]
    return "\n### Gates\n" + _table(["", "gate", "why"], "cll", rows)


def _figures(rows: Sequence[Row]) -> str:
    titles = ["suite", "prompt", "model", "pass rate", "95 %", "cases", "passed", "failed"]
    titles += ["error", "unscored", "not run", "tokens in/out", "cost", "p50", "p95"]
    body = _table(titles, "lllrrrrrrrrrrrr", [_figure_cells(row) for row in rows])
    return "\n### Prompts and models\n" + body


def _figure_cells(row: Row) -> list[str]:
    figures = row.figures
    rate, counts = figures.pass_rate, figures.counts
    times = f" x{figures.repeats}" if figures.repeats > 1 else ""
    return [
        code(row.suite),
        code(row.prompt),
        code(row.model),
        UNKNOWN if rate is None else escape(share_text(rate.rate)),
        UNKNOWN if rate is None else f"{rate.low * 100:.0f} to {rate.high * 100:.0f}",
        f"{figures.cases:,}{times}",
        f"{counts.passed:,}",
        f"{counts.failed:,}",
        f"{counts.error:,}",
        f"{counts.unscored:,}",
        f"{counts.not_run:,}",
        f"{sum_text(figures.input_tokens)}/{sum_text(figures.output_tokens)}",
        sum_text(figures.cost_usd, money=True),
        escape(duration_text(figures.latency.p50_ns)),
        escape(duration_text(figures.latency.p95_ns)),
    ]


def _scores(rows: Sequence[Row]) -> str:
    cells = [
        [
            code(row.prompt),
            code(row.model),
            code(score.name),
            number_text(score.mean),
            f"{score.scored:,}",
            f"{score.errored:,}",
        ]
        for row in rows
        for score in row.figures.scores
    ]
    if not cells:
        return ""
    titles = ["prompt", "model", "scorer", "mean", "scored", "errored"]
    table = _table(titles, "lllrrr", cells)
    return f"\n<details><summary>Scores</summary>\n{table}\n</details>\n"


def _misses(summary: Summary) -> Iterator[str]:
    """Each case a section of its own, so that the size limit drops the last ones."""
    if not summary.misses:
        return
    yield f"\n### Not passed: {count_text(summary.missed_cases, 'case')}\n"
    for miss in summary.misses:
        yield _miss(miss)
    cases = {
        (m.result.suite, m.result.prompt, m.result.model, m.result.case_id) for m in summary.misses
    }
    if summary.missed_cases > len(cases):
        yield f"\nand {summary.missed_cases - len(cases):,} more\n"


def _miss(miss: Miss) -> str:
    result = miss.result
    times = f", {miss.missed} of {miss.repeats} runs" if miss.repeats > 1 else ""
    word = {"error": "no answer", "unscored": "not scored"}.get(result.outcome, result.outcome)
    title = f"{code(result.case_id)} {code(result.prompt)} {code(result.model)} {word}{times}"
    parts = [f"\n<details><summary>{title}</summary>\n\n"]
    parts += [fenced(reason[:_TEXT_LIMIT]) for reason in reasons(result)]
    for name, text in (
        ("input", result.inputs_preview),
        ("answer", result.output_preview),
        ("expected", result.expected_preview),
    ):
        if text:
            parts.append(f"\n{name}\n\n{fenced(text)}")
    if result.trace_id:
        parts.append(f"\ntrace {code(result.trace_id)}\n")
    return "".join([*parts, "\n</details>\n"])


def _flaky(summary: Summary) -> str:
    rows = [
        [code(case.case_id), code(case.prompt), code(case.model), f"{case.passed} of {case.scored}"]
        for case in summary.flaky
    ]
    title = f"Flaky: {count_text(summary.flaky_cases, 'case')} whose repeats disagree"
    table = _table(["case", "prompt", "model", "passed"], "lllr", rows)
    return f"\n<details><summary>{title}</summary>\n{table}\n</details>\n"


def _quarantine(summary: Summary) -> str:
    rows = [
        [
            code(miss.result.case_id),
            code(miss.result.prompt),
            code(miss.result.model),
            escape(quarantine_text(miss)),
        ]
        for miss in summary.quarantine
    ]
    title = f"Quarantine: {count_text(len(summary.quarantine), 'case')} without a say"
    table = _table(["case", "prompt", "model", "how it did, and why"], "llll", rows)
    return f"\n<details><summary>{title}</summary>\n{table}\n</details>\n"


def _facts(experiment: Experiment, summary: Summary) -> str:
    facts = [
        ("answers", escape(answers_text(summary))),
        ("tokens", escape(tokens_used_text(summary) or "")),
        ("cost", escape(cost_text(summary) or "")),
        ("budget", escape(budget_text(experiment) or "")),
        ("saved by early stop", escape(saved_text(summary) or "")),
        ("revision", code(revision_text(experiment) or "")),
        *(("limits", escape(text)) for text in limits_text(experiment)),
        ("run again", code(again(experiment) or "")),
        ("experiment", code(experiment.experiment_id)),
    ]
    return "\n" + "".join(f"- {name}: {fact}\n" for name, fact in facts if fact)
