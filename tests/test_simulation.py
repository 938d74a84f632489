"""What a gate promises, tried out: false alarms are rare, and the drop it claims it finds.

Bounded: 300 pairs each. The full proof, 1,000 pairs of many suites, is tests/benchmarks/gates.py.
"""

from __future__ import annotations

import pytest

from p2re_eval.gates import NoRegression
from p2re_eval.gates.simulation import Cases, Trial, cases_of, trials
from p2re_eval.stats import Proportion
from p2re_eval.tally import Tally

PAIRS = 300


@pytest.mark.parametrize(
    "cases",
    [
        pytest.param(Cases((0.8,) * 60), id="once"),
        pytest.param(Cases((0.9, 0.7, 0.5) * 13, 3), id="repeats"),
        pytest.param(Cases((0.8,) * 40, 1, 3), id="holm"),
    ],
)
def test_the_promises_are_kept(cases: Cases) -> None:
    """At most 5 % false alarms, and at least 80 % of drops of the claimed size found, whether all
    cases are a little worse or some break."""
    nothing, alike, broken = trials(cases, NoRegression(), pairs=PAIRS, seed=3)
    assert nothing.said.rate <= 0.05
    assert nothing.at_most == pytest.approx(0.05)
    assert alike.said.rate >= 0.8
    assert broken.said.rate >= 0.8
    assert (nothing.kept, alike.kept, broken.kept) == (True, True, True)


def test_without_the_exact_test_a_small_suite_would_cry_wolf_more_often() -> None:
    """The simulation can fail: a gate that believes any drop breaks its promise."""
    believer = NoRegression(margin=0.0, confidence=0.55)
    (nothing, *_) = trials(Cases((0.5,) * 40), believer, pairs=PAIRS)
    assert nothing.said.rate > 0.05


def test_few_cases_claim_nothing() -> None:
    """Four cases find no drop for certain, and only false alarms are left to count."""
    assert Cases((0.9,) * 4).detectable(NoRegression()) is None
    assert [trial.name for trial in trials(Cases((0.9,) * 4), NoRegression(), pairs=5)] == [
        "nothing changed"
    ]


def test_a_broken_promise_is_called_so() -> None:
    """On the wrong side of the promised share."""
    said = Proportion(0.06, 100, 0.03, 0.1)
    assert not Trial("x", said, at_most=0.05).kept
    assert not Trial("x", said, at_least=0.8).kept


def test_cases_like_those_of_an_experiment(make_result) -> None:  # type: ignore[no-untyped-def]
    """With repeats each its own chance; without, the mean of all."""
    once, repeated = Tally(), Tally()
    for case, passed in (("a", 1), ("b", 0)):
        once.add(make_result(case, "passed" if passed else "failed"))
        for repeat in range(4):
            good = passed and repeat != 3
            repeated.add(make_result(case, "passed" if good else "failed", repeat=repeat))
    assert cases_of(once, family=2) == Cases((0.5, 0.5), 1, 2)
    found = cases_of(repeated)
    assert (found.repeats, found.chances) == (4, (pytest.approx(0.675), pytest.approx(0.075)))


@pytest.fixture
def make_result():  # type: ignore[no-untyped-def]
    from p2re_eval.records import Result

    def make(case: str, outcome: str, repeat: int = 0) -> Result:
        return Result(
            experiment_id="e",
            item=case,
            suite="s.yaml",
            prompt="p",
            model="m",
            case_id=case,
            repeat=repeat,
            outcome=outcome,  # type: ignore[arg-type]
        )

    return make
