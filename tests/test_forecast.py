"""What a plan expects: judges, revisions, unknown prices and the smallest drop a suite shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2re_eval.experiments.forecast import Forecast, forecast
from p2re_eval.pipeline import Harness, Settings
from p2re_eval.report.plan import plan_report

PROMPT = """\
model: {provider: scripted, name: router, max_tokens: 8, price: {input: 1, output: 10}}
inputs:
  ticket: {type: string}
messages:
  - user: "0123456789{{ ticket }}"
"""


def _forecast(root: Path, more: str = "", cases: int = 4, model: str = "") -> Forecast:
    (root / "prompts").mkdir(exist_ok=True)
    (root / "suites").mkdir(exist_ok=True)
    (root / "prompts/route.yaml").write_text(PROMPT)
    lines = ["prompt: route", *([f"models: ['{model}']"] if model else []), more, "cases:"]
    lines += [f"  - {{id: c{n}, inputs: {{ticket: '{n:02}'}}}}" for n in range(cases)]
    path = root / "suites/support.yaml"
    path.write_text("\n".join(lines) + "\n")
    harness = Harness(Settings(root=root, db_path=root / "runs.db", prompts=root / "prompts"))
    try:
        return forecast(harness, harness.plan(path).runs)
    finally:
        harness.close()


def test_without_history_tokens_are_guessed_and_said_to_be(tmp_path: Path) -> None:
    """Twelve characters are three tokens; max_tokens are the output; the price is the user's."""
    (row,) = _forecast(tmp_path).rows
    assert (row.basis, row.live, row.input_tokens, row.output_tokens) == ("estimated", 4, 12, 32)
    assert row.cost_usd == pytest.approx((12 * 1 + 32 * 10) / 1e6)
    assert not (tmp_path / "runs.db").exists()


def test_judges_are_counted_and_their_cost_is_unknown_before_they_ran(tmp_path: Path) -> None:
    """Each live run asks each judge once."""
    judge = "scorers: [{llm_judge: {rubric: Good, model: scripted/judge}}]"
    expected = _forecast(tmp_path, judge)
    (row,) = expected.rows
    assert (row.judge_calls, row.judged_usd) == (4, None)
    text = plan_report(expected, encoding="utf-8")
    assert "4 calls, -" in text
    assert "and what is unknown (-)." in text


def test_a_price_nobody_knows_stays_unknown(tmp_path: Path) -> None:
    """The tokens are still expected; the money is not made up."""
    (tmp_path / "bot.py").write_text("def answer(ticket):\n    return ticket\n")
    prompt_price = PROMPT.replace(", price: {input: 1, output: 10}", "")
    expected = _forecast(tmp_path, model="function/bot:answer")
    assert expected.rows[0].cost_usd is not None  # the prompt names a price
    (tmp_path / "prompts/route.yaml").write_text(prompt_price)
    harness = Harness(
        Settings(root=tmp_path, db_path=tmp_path / "runs.db", prompts=tmp_path / "prompts")
    )
    expected = forecast(harness, harness.plan(tmp_path / "suites/support.yaml").runs)
    harness.close()
    assert expected.rows[0].cost_usd is None
    text = plan_report(expected, budget_usd=1.0, encoding="utf-8")
    assert "Expected cost: unknown." in text
    assert "needs a price for every model, or --p2re-allow-unpriced" in " ".join(text.split())


def test_a_small_suite_is_told_that_it_shows_nothing(tmp_path: Path) -> None:
    """Three cases cannot; four hundred can."""
    (small,) = _forecast(tmp_path, cases=3).suites
    assert small.drop is None
    assert "too small to show any drop for certain" in " ".join(
        plan_report(_forecast(tmp_path, cases=3), encoding="utf-8").split()
    )
    (large,) = _forecast(tmp_path, cases=400).suites
    assert large.drop is not None
    assert 0.04 < large.drop < 0.09


def test_repeats_sharpen_what_a_suite_shows(tmp_path: Path) -> None:
    """The same cases ten times each show a smaller drop."""
    (once,) = _forecast(tmp_path, cases=50).suites
    (often,) = _forecast(tmp_path, "repeat: 10", cases=50).suites
    assert once.drop is not None
    assert often.drop is not None
    assert often.drop < once.drop
    assert often.repeats == 10
