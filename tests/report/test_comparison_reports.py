"""Reports of a comparison: flips first, both answers, what moved; and all of it escaped."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from p2re_eval.compare import compare_results
from p2re_eval.records import Comparison, Result, Score
from p2re_eval.report import html_report, markdown_report, write_report
from p2re_eval.report.distributions import Distributions

EVIL = "<script>alert(1)</script> </pre> `` ``` @someone #1"


def _changed(result: Result, *, passed: bool, text: str) -> Result:
    evaluations = tuple(
        one.model_copy(update={"score": Score(value=float(passed), passed=passed)})
        for one in result.evaluations
    )
    update = {"outcome": "passed" if passed else "failed", "evaluations": evaluations}
    return result.model_copy(
        update={**update, "value": float(passed), "output_preview": text, "trace_id": None}
    )


@pytest.fixture
def comparison(made: Any) -> Comparison:
    """Twelve cases: one broke with an answer that attacks the page, one was fixed."""
    for number in range(10):
        made.add(f"same-{number}")
    broke = made.add("broke", "failed", text=f"The team is technical. {EVIL}")
    fixed = made.add("fixed", text="billing")
    before = [r for r in made.results if r.case_id.startswith("same")]
    before.append(_changed(broke, passed=True, text="The team is billing."))
    before.append(_changed(fixed, passed=False, text="technical"))
    return compare_results(before, made.results)


def _page(made: Any, comparison: Comparison) -> str:
    details = made.traces.__getitem__
    return "".join(html_report(made.experiment, lambda: made.results, details, comparison))


def test_the_page_shows_flips_before_anything_else(made: Any, comparison: Comparison) -> None:
    """Then gates, the table, the differences, and the results."""
    made.gate("pass_rate >= 0.9", True)
    page = _page(made, comparison)
    ids = re.findall(r'<h2 id="([\w-]+)"', page)
    assert ids == [
        "flips-title",
        "gates-title",
        "matrix-title",
        "deltas-title",
        "scores-title",
        "results-title",
    ]
    assert "1 worse, 1 better, of 12 cases" in page


def test_both_answers_stand_side_by_side_with_their_words_compared(
    made: Any, comparison: Comparison
) -> None:
    """What was taken away is marked on the left, what came on the right."""
    page = _page(made, comparison)
    assert "The team is <del>billing.</del>" in page
    assert "The team is <ins>technical. &lt;script&gt;" in page


def test_nothing_a_model_said_reaches_the_page_as_html(made: Any, comparison: Comparison) -> None:
    """Inside the diff as well: marks are ours, words are text."""
    page = _page(made, comparison)
    assert "<script>alert" not in page
    assert page.count("<script>") == 1
    assert "&lt;/pre&gt;" in page


def test_results_can_be_filtered_by_what_became_of_them(made: Any, comparison: Comparison) -> None:
    """Worse and better are a menu, and a word on the row."""
    page = _page(made, comparison)
    assert '<select id="by-change" data-filter="change">' in page
    assert re.findall(r'id="r\d+"[^>]*data-change="(\w+)"', page) == ["worse", "better"]


def test_intervals_are_drawn_around_no_change(made: Any, comparison: Comparison) -> None:
    """No flips more one way than the other: the point stands in the middle of its line."""
    page = _page(made, comparison)
    points = re.findall(r'<line class="point" x1="([\d.]+)" y1="0.5"', page)
    assert "50.00" in points


def test_markdown_has_the_flips_first(made: Any, comparison: Comparison) -> None:
    """A table of them, then both answers behind a fold, as code that cannot get out."""
    text = markdown_report(made.experiment, lambda: made.results, comparison)
    titles = [line for line in text.splitlines() if line.startswith("##")]
    assert titles[1] == "### Since before: 1 worse, 1 better, of 12 cases"
    assert titles[2] == "### Compared with before"
    assert "| ✗ | <code>broke</code> | <code>route</code> |" in text
    assert "````text\nThe team is technical. <script>" in text
    assert "| <code>pass&#95;rate</code> |" in text


def test_a_report_file_carries_the_comparison(
    made: Any, comparison: Comparison, tmp_path: Path
) -> None:
    """Whatever its kind."""
    for suffix, wanted in (
        ("html", "flips-title"),
        ("md", "### Since before"),
        ("json", '"broke": 1'),
    ):
        path = tmp_path / f"report.{suffix}"
        details = made.traces.__getitem__
        write_report(path, made.experiment, lambda: made.results, details, comparison)
        assert wanted in path.read_text(encoding="utf-8")


def test_quarantined_cases_are_shown_and_stand_apart(made: Any) -> None:
    """A pill and a list of their own; the counts of the others do not hold them."""
    made.add("good")
    made.add("odd", "failed", quarantine="the courier moved (until 2999-12-31)")
    page = "".join(html_report(made.experiment, lambda: made.results, made.traces.__getitem__))
    assert 'data-outcome="quarantined"' in page
    assert "failed; the courier moved (until 2999-12-31)" in page
    assert "1 of 1 run passed, 1 in quarantine" in page


def test_scores_between_yes_and_no_have_a_histogram(made: Any) -> None:
    """Ten bins from 0 to 1; a scorer that only says yes or no has none."""
    for number, value in enumerate((0.05, 0.15, 0.15, 0.95, 1.0)):
        result = made.add(f"case-{number}")
        score = Score(value=value, passed=True)
        evaluation = result.evaluations[0].model_copy(update={"score": score, "name": "clarity"})
        made.results[-1] = result.model_copy(
            update={"evaluations": (*result.evaluations, evaluation)}
        )
    spread = Distributions()
    assert len(list(spread.watching(made.results))) == 5
    ((key, histogram),) = spread.histograms().items()
    assert key[3] == "clarity"
    assert histogram.counts == (1, 2, 0, 0, 0, 0, 0, 0, 0, 2)
    assert histogram.told == "5 values from 0.05 to 1.00"
    page = "".join(html_report(made.experiment, lambda: made.results, made.traces.__getitem__))
    assert page.count('class="hist"') == 1
