"""The report as Markdown, for a pull request and for ``$GITHUB_STEP_SUMMARY``.

What a model said is shown as code only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from p2re_eval.quantities import UNKNOWN, count_text, duration_text, number_text, share_text
from p2re_eval.records import Comparison, Experiment, Result
from p2re_eval.report.markdown_comparison import comparison_sections, flip_sections
from p2re_eval.report.markdown_text import code, escape, fenced, table
from p2re_eval.report.summary import Miss, Row, Summary, headline, summarize
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
)

MOST_BYTES = 900_000
"""GitHub refuses a step summary above 1 MiB."""
_MARKS = {True: "✓", False: "✗", None: "?"}
_TEXT_LIMIT = 2_000


def markdown_report(
    experiment: Experiment,
    results_factory: Callable[[], Iterable[Result]],
    comparison: Comparison | None = None,
    *,
    most_bytes: int = MOST_BYTES,
) -> str:
    """The whole report, flips first where there is a comparison.

    What would pass ``most_bytes`` is left out, and a note says so.
    """
    summary = summarize(results_factory())
    kept: list[str] = []
    used, left_out = 0, 0
    room = most_bytes - 300
    for section in _sections(experiment, summary, comparison):
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


def _sections(
    experiment: Experiment, summary: Summary, comparison: Comparison | None
) -> Iterator[str]:
    verdict = headline(experiment, summary)
    mark = _MARKS[verdict.passed]
    yield f"## {mark} {verdict.word}: {escape(experiment.name)}\n\n{escape(verdict.why)}\n"
    if comparison is not None:
        yield from flip_sections(comparison)
    if experiment.verdicts:
        yield _gates(experiment)
    if comparison is not None:
        yield from comparison_sections(comparison)
    if summary.rows:
        yield _figures(summary.rows)
        yield _scores(summary.rows)
    yield from _misses(summary)
    if summary.flaky:
        yield _flaky(summary)
    if summary.quarantine:
        yield _quarantine(summary)
    yield _facts(experiment, summary)


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
    return "\n### Gates\n" + table(["", "gate", "why"], "cll", rows)


def _figures(rows: Sequence[Row]) -> str:
    titles = ["suite", "prompt", "model", "pass rate", "95 %", "cases", "passed", "failed"]
    titles += ["error", "unscored", "not run", "tokens in/out", "cost", "p50", "p95"]
    body = table(titles, "lllrrrrrrrrrrrr", [_figure_cells(row) for row in rows])
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
    body = table(titles, "lllrrr", cells)
    return f"\n<details><summary>Scores</summary>\n{body}\n</details>\n"


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
        [code(case.case_id), code(case.prompt), code(case.model), flaky_text(case)]
        for case in summary.flaky
    ]
    title = f"Flaky: {count_text(summary.flaky_cases, 'case')} whose repeats disagree"
    body = table(["case", "prompt", "model", "repeats"], "llll", rows)
    return f"\n<details><summary>{title}</summary>\n{body}\n</details>\n"


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
    body = table(["case", "prompt", "model", "how it did, and why"], "llll", rows)
    return f"\n<details><summary>{title}</summary>\n{body}\n</details>\n"


def _facts(experiment: Experiment, summary: Summary) -> str:
    facts = [
        ("answers", escape(answers_text(summary))),
        ("tokens", escape(tokens_used_text(summary) or "")),
        ("cost", escape(cost_text(summary) or "")),
        ("budget", escape(budget_text(experiment) or "")),
        ("not run", escape(refused_text(summary) or "")),
        ("saved by early stop", escape(saved_text(summary) or "")),
        ("revision", code(revision_text(experiment) or "")),
        *(("limits", escape(text)) for text in limits_text(experiment)),
        ("run again", code(again(experiment) or "")),
        ("experiment", code(experiment.experiment_id)),
    ]
    return "\n" + "".join(f"- {name}: {fact}\n" for name, fact in facts if fact)
