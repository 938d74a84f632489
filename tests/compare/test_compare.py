"""Two experiments side by side: what is paired, what is refused, what flipped."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from p2re_eval.compare import compare_results
from p2re_eval.records import Comparison, Result

Make = Callable[..., Result]


def reasons(comparison: Comparison) -> dict[str, int]:
    return {one.reason: one.cases for one in comparison.incomparable}


def test_flips_are_told_the_worst_first(result: Make) -> None:
    """Each with both answers, the scorer that flipped and what it said against the bad one."""
    before = [result("a"), result("b", False), result("c"), result("d")]
    after = [result("a", False), result("b"), result("c"), result("d")]
    found = compare_results(before, after)
    assert (found.cases, found.broke, found.fixed, found.unchanged) == (4, 1, 1, 2)
    broke, fixed = found.flips
    assert (broke.case_id, broke.worse, broke.scorers) == ("a", True, ("equals",))
    assert (broke.before_output, broke.after_output) == ("answer of a: True", "answer of a: False")
    assert broke.why == ("equals: as it is",)
    assert broke.p_value is None
    assert (fixed.case_id, fixed.worse) == ("b", False)


def test_the_case_is_the_unit_and_repeats_are_averaged_in_it(result: Make) -> None:
    """Ten repeats of one case are one case, not ten; Fisher tells flaky from broken."""
    before = [result("a", True, repeat=n) for n in range(4)] + [result("b")]
    after = [result("a", False, repeat=n) for n in range(4)] + [result("b")]
    found = compare_results(before, after)
    delta = found.deltas[0]
    assert (delta.metric, delta.cases, delta.repeats) == ("pass_rate", 2, 4)
    assert (delta.before, delta.after, delta.difference) == (1.0, 0.5, -0.5)
    assert found.flips[0].p_value == pytest.approx(0.0286, abs=5e-5)
    assert (found.flips[0].before.passed, found.flips[0].after.scored) == (4, 4)


def test_what_broke_is_left_out_and_never_counts_as_failed(result: Make) -> None:
    """A provider error on one side takes the case out of the pair, and is counted."""
    before = [result("a"), result("b")]
    after = [result("a"), result("b", None)]
    delta = compare_results(before, after).deltas[0]
    assert (delta.cases, delta.left_out, delta.difference) == (1, 1, 0.0)


def test_a_changed_row_is_refused(result: Make) -> None:
    """The same id with other inputs is another case."""
    found = compare_results([result("a")], [result("a", False, row_hash="c" * 64)])
    assert (found.cases, reasons(found)) == (0, {"the dataset row changed": 1})
    assert found.deltas == ()
    assert [(change.what, change.cases) for change in found.changes] == [("dataset row", 1)]


@pytest.mark.parametrize(
    ("kind", "reason"),
    [("CODE", "the scorer 'equals' changed"), ("LLM", "the judge 'equals' changed")],
)
def test_a_changed_scorer_is_refused(result: Make, kind: str, reason: str) -> None:
    """What judged otherwise cannot tell which answer was better."""
    new = {"scorer_version": "2" * 64, "rules_hash": "c" * 64, "kind": kind}
    found = compare_results([result("a", kind=kind)], [result("a", False, **new)])
    assert (found.cases, found.flips, reasons(found)) == (0, (), {reason: 1})
    (change,) = found.changes
    assert (change.what, change.name) == (reason.split()[1], "equals")
    assert (change.before, change.after) == ("1" * 12, "2" * 12)


def test_a_changed_threshold_leaves_the_scores_comparable(result: Make) -> None:
    """Passed means something else, the scorer's value does not."""
    found = compare_results([result("a")], [result("a", rules_hash="c" * 64)])
    assert reasons(found) == {"a weight or the threshold changed": 1}
    assert [(delta.metric, delta.cases) for delta in found.deltas] == [("mean(equals)", 1)]


def test_a_case_in_quarantine_is_not_compared(result: Make) -> None:
    """It decides nothing until its day comes."""
    found = compare_results([result("a")], [result("a", False, quarantine="flaky (until ...)")])
    assert (found.cases, reasons(found)) == (0, {"in quarantine": 1})


def test_what_has_no_partner_is_listed(result: Make) -> None:
    """On either side, with a few names."""
    found = compare_results([result("a"), result("b")], [result("a"), result("c"), result("d")])
    assert found.only_before is not None
    assert found.only_after is not None
    assert (found.only_before.cases, found.only_before.examples) == (1, ("b",))
    assert (found.only_after.cases, found.only_after.examples) == (2, ("c", "d"))


def test_one_model_on_each_side_pairs_though_its_name_changed(result: Make) -> None:
    """That is how models are compared; with two on a side nobody could say which is which."""
    found = compare_results([result("a", model="x/old")], [result("a", False, model="x/new")])
    assert (found.cases, found.broke) == (1, 1)
    assert [(c.what, c.before, c.after) for c in found.changes] == [("model", "x/old", "x/new")]
    two = [result("a", model="x/new"), result("a", model="x/newer")]
    assert compare_results([result("a", model="x/old")], two).cases == 0


def test_what_changed_is_named(result: Make) -> None:
    """The prompt's version, what was rendered, the model that answered."""
    before = [result("a", fingerprint="1" * 64, model_answered="m-1")]
    after = [result("a", fingerprint="2" * 64, model_answered="m-2", prompt_version="b" * 64)]
    changes = compare_results(before, after).changes
    assert [(c.what, c.name, c.before, c.after, c.cases) for c in changes] == [
        ("wording", "route", "a" * 12, "b" * 12, None),
        ("rendered text", "route", None, None, 1),
        ("model answered", "local/m", "m-1", "m-2", None),
    ]
