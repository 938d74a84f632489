"""The corridor's own decisions: when a case passes, and what a repeat changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from p2re_eval.pipeline import Harness, Settings
from p2re_eval.records import Evaluation, Fault, Score
from p2re_eval.results import decide, preview

YES, NO = Score(value=1, passed=True), Score(value=0, passed=False)
HALF, UNVALUED = Score(value=0.5, passed=True), Score(passed=True)


def said(score: Score | None, weight: float = 1.0) -> Evaluation:
    """An evaluation with this score; ``None``: the scorer broke."""
    return Evaluation(
        evaluation_id="e",
        trace_id="t",
        name="n",
        scorer="n",
        scorer_version="1",
        score=score,
        fault=None if score else Fault(kind="scorer", message="boom"),
        weight=weight,
    )


@pytest.mark.parametrize(
    ("evaluations", "threshold", "verdict"),
    [
        ([], None, ("passed", None)),
        ([], 0.5, ("passed", None)),
        ([said(YES), said(HALF)], None, ("passed", 0.75)),
        ([said(YES), said(NO)], None, ("failed", 0.5)),
        ([said(YES), said(None)], None, ("unscored", None)),
        ([said(NO), said(None)], None, ("failed", None)),
        ([said(YES), said(UNVALUED)], None, ("passed", None)),
        ([said(YES), said(NO, 0)], None, ("passed", 1.0)),
        ([said(YES), said(None, 0)], None, ("passed", 1.0)),
        ([said(NO, 0)], None, ("passed", None)),
        ([said(YES, 3), said(NO, 1)], 0.75, ("passed", 0.75)),
        ([said(YES, 3), said(NO, 1)], 0.76, ("failed", 0.75)),
        ([said(YES), said(None)], 0.5, ("unscored", None)),
        ([said(NO), said(None)], 0.5, ("unscored", None)),
        ([said(YES), said(UNVALUED)], 0.5, ("unscored", None)),
        ([said(NO), said(NO)], 0.0, ("passed", 0.0)),
        ([said(NO, 0)], 0.5, ("passed", None)),
    ],
)
def test_when_a_case_passes(
    evaluations: list[Evaluation], threshold: float | None, verdict: tuple[str, float | None]
) -> None:
    """All counting scorers without a threshold; the weighted mean with one; never a guess."""
    assert decide(evaluations, threshold) == verdict


@pytest.mark.parametrize("count", [3, 7, 10])
def test_a_mean_that_reaches_the_threshold_but_for_rounding_passes(count: int) -> None:
    """0.1 added ten times is not 1, and no case fails for that."""
    tenth = Score(value=0.1, passed=True)
    assert decide([said(tenth)] * count, 0.1)[0] == "passed"


def test_a_preview_is_at_most_500_characters() -> None:
    """A session keeps thousands of them."""
    assert preview("x" * 500) == "x" * 500
    assert preview("x" * 501) == "x" * 499 + "…"
    assert preview({"ä": 1}) == '{"ä": 1}'


def test_a_seed_counts_up_with_the_repeat(tmp_path: Path) -> None:
    """The same seed would give the same sample again; without one there is none to count."""
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "p.yaml").write_text("messages: [{user: hello}]\n")
    (tmp_path / "s.yaml").write_text(
        "prompt: p\nrepeat: 3\nmodels:\n  - {provider: scripted, name: a, seed: 7}\n"
        "  - scripted/b\ncases: [{id: x}]\n"
    )
    settings = Settings(root=tmp_path, db_path=tmp_path / "runs.db", prompts=tmp_path / "prompts")
    harness = Harness(settings)
    try:
        futures = harness.start_all(harness.plan(tmp_path / "s.yaml").runs)
        traces = [harness.store.read_trace(f.result().trace_id or "") for f in futures]
    finally:
        harness.close()
    assert [trace.prompt.model.seed for trace in traces] == [7, 8, 9, None, None, None]


def test_closing_twice_and_unused_leaves_nothing(tmp_path: Path) -> None:
    """A session that ran nothing makes no file."""
    harness = Harness(Settings(root=tmp_path, db_path=tmp_path / "x.db", prompts=tmp_path / "p"))
    harness.close()
    harness.close()
    assert not harness.used
    assert list(tmp_path.iterdir()) == []
