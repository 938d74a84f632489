"""What would run, as the terminal shows it: ``--p2re-plan``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from p2re_eval.experiments.forecast import Detectable, Expected, Forecast
from p2re_eval.quantities import UNKNOWN, count_text, money_text, share_text, tokens_text
from p2re_eval.report.terminal_page import Column, Page, encodable, one_line, wrapped


def plan_report(
    forecast: Forecast,
    *,
    budget_usd: float | None = None,
    color: bool = False,
    width: int = 100,
    encoding: str | None = None,
) -> str:
    """The forecast as text of at most ``width`` columns; ``budget_usd`` is what may be spent."""
    page = _Plan(color=color, width=max(width, 40))
    page.first_line(forecast.rows)
    page.rows(forecast.rows)
    page.bases(forecast.rows)
    page.money(forecast.rows, budget_usd)
    page.detectable(forecast.suites)
    if forecast.note:
        page.say(forecast.note)
    page.say("Nothing was called.")
    return encodable("\n".join(page.lines), encoding or sys.stdout.encoding or "utf-8")


class _Plan(Page):
    """Lines in the making."""

    def say(self, text: str) -> None:
        self.lines += ["", *wrapped(text, self.width)]

    def first_line(self, rows: Sequence[Expected]) -> None:
        counts = (
            ("live", sum(row.live for row in rows)),
            ("from the cache", sum(row.cached for row in rows)),
            ("replayed", sum(row.replayed for row in rows)),
            ("without a recording (errors)", sum(row.missing for row in rows)),
        )
        parts = [f"{number:,} {word}" for word, number in counts if number]
        runs = count_text(sum(row.runs for row in rows), "run")
        self.lines += wrapped(f"{runs}: {', '.join(parts) or 'nothing to run'}", self.width)

    def rows(self, rows: Sequence[Expected]) -> None:
        if not rows:
            return
        several = len({row.suite for row in rows}) > 1
        columns = [Column("suite", tuple(one_line(r.suite) for r in rows), align="left")]
        columns = columns if several else []
        self.lines.append("")
        self.table(
            [
                *columns,
                Column("prompt", tuple(one_line(row.prompt) for row in rows), align="left"),
                Column("model", tuple(one_line(row.model) for row in rows), align="left"),
                Column("runs", tuple(f"{row.runs:,}" for row in rows)),
                Column("live", tuple(f"{row.live:,}" for row in rows)),
                Column("tok in/out", tuple(_tokens(row) for row in rows), rank=3),
                Column("cost", tuple(_cost(row.cost_usd, row) for row in rows)),
                Column("judges", tuple(_judges(row) for row in rows), rank=2),
                Column("at most", tuple(money_text(row.most_usd) for row in rows), rank=1),
            ]
        )

    def bases(self, rows: Sequence[Expected]) -> None:
        """What the numbers rest on."""
        recorded = [row for row in rows if row.live and row.basis == "recorded"]
        guessed = [row for row in rows if row.live and row.basis == "estimated"]
        if recorded:
            calls = sum(row.recorded_calls for row in recorded)
            self.say(f"Tokens are those of {count_text(calls, 'recorded call')} of these prompts.")
        if guessed:
            which = ", ".join(dict.fromkeys(f"{row.prompt} on {row.model}" for row in guessed))
            told = f"Estimates (~), because nothing is recorded: {which}. "
            self.say(told + "Input from the texts' length, output from max_tokens.")
        reusable = sum(row.reusable for row in rows)
        if reusable:
            what = count_text(reusable, "live run")
            self.say(f"{what} could be reused with --p2re-source cache.")

    def money(self, rows: Sequence[Expected], budget_usd: float | None) -> None:
        known = [row.cost_usd for row in rows if row.cost_usd is not None]
        judges = [row.judged_usd for row in rows if row.judged_usd is not None]
        unknown = sum(row.cost_usd is None or row.judged_usd is None for row in rows)
        if not known:
            told = "Expected cost: unknown."
        else:
            told = f"Expected cost: {money_text(sum(known) + sum(judges))}"
            told += " and what is unknown (-)." if unknown else "."
        if budget_usd is not None:
            told += f" {_fits(rows, sum(known) + sum(judges), budget_usd)}"
        self.say(told)

    def detectable(self, suites: Sequence[Detectable]) -> None:
        for suite in suites:
            size = count_text(suite.cases, "case")
            size += f" x {suite.repeats}" if suite.repeats > 1 else ""
            rate = share_text(suite.pass_rate)
            at = (
                f"at its recorded pass rate of {rate}"
                if suite.known
                else f"at a guessed rate of {rate}"
            )
            if suite.drop is None or suite.drop >= suite.pass_rate:
                told = f"{suite.suite} ({size}): too small to show any drop for certain, {at}."
            else:
                drop = f"{suite.drop * 100:.0f} points"
                told = f"{suite.suite} ({size}): a comparison finds a drop of {drop} four times of "
                told += f"five at 95 % confidence, {at}; smaller ones mostly go unseen."
            self.say(told)


def _tokens(row: Expected) -> str:
    mark = "~" if row.basis == "estimated" and row.live else ""
    return f"{mark}{tokens_text(row.input_tokens)}/{tokens_text(row.output_tokens)}"


def _cost(cost_usd: float | None, row: Expected) -> str:
    if cost_usd is None:
        return UNKNOWN
    mark = "~" if row.basis == "estimated" and row.live and cost_usd else ""
    return f"{mark}{money_text(cost_usd)}"


def _judges(row: Expected) -> str:
    if not row.judge_calls:
        return UNKNOWN
    return f"{row.judge_calls:,} calls, {_cost(row.judged_usd, row)}"


def _fits(rows: Sequence[Expected], expected_usd: float, budget_usd: float) -> str:
    """Whether the budget lasts, as far as anybody can say."""
    most = [row.most_usd for row in rows]
    judges = sum(row.judge_calls for row in rows)
    budget = money_text(budget_usd)
    if None in most:
        return f"The budget of {budget} needs a price for every model, or --p2re-allow-unpriced."
    sure = sum(one for one in most if one is not None)
    if expected_usd > budget_usd:
        return f"The budget of {budget} will not last: some of it will not run."
    if sure <= budget_usd and not judges:
        return f"The budget of {budget} lasts in any case."
    return f"The budget of {budget} should last."
