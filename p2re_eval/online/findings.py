"""What an A/B experiment has shown so far: rates, comparisons, and whether to believe them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from p2re_eval.records import OnlineExperiment, Record, UnitOutcomes
from p2re_eval.stats import mean_interval, wilson_interval
from p2re_eval.stats.online import (
    SRM_ALARM,
    Sample,
    always_valid,
    needed_units,
    sample,
    sample_ratio_p,
)

OnlineVerdict = Literal["better", "worse", "not yet", "too few"]


class Finding(Record):
    """One variant: its units, their outcomes, and its difference from the control.

    ``low``..``high`` is the rate's or mean's own interval at the experiment's confidence;
    ``difference_low``..``difference_high`` and ``p`` hold however often one looks. The control has
    no difference. ``verdict`` is about the outcome growing: turn it around for a cost.
    """

    variant: str
    assigned: int
    judged: int
    rate: float | None = None
    low: float | None = None
    high: float | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    verdict: OnlineVerdict | None = None


class Findings(Record):
    """All of it. ``needed`` is how many judged units each variant needs to show the experiment's
    effect; ``ratio_p`` how likely such uneven assignment is, and ``mismatch`` that it is no chance:
    then something drops or repeats units, and no comparison here can be believed."""

    experiment: OnlineExperiment
    variants: tuple[Finding, ...]
    needed: int | None
    ratio_p: float
    mismatch: bool

    @property
    def leader(self) -> Finding | None:
        """The best of the variants that are better than the control."""
        better = [one for one in self.variants if one.verdict == "better"]
        return max(better, key=lambda one: one.rate or 0.0, default=None)


def findings(experiment: OnlineExperiment, units: Sequence[UnitOutcomes]) -> Findings:
    """Every variant against the control; with several, each comparison gets its share of the error
    (Bonferroni), so that all of them together hold at the experiment's confidence."""
    samples = [sample(one.outcomes) for one in units]
    comparisons = len(samples) - 1
    confidence = 1 - (1 - experiment.confidence) / comparisons
    control = samples[0]
    found = [
        _finding(one, found, None if number == 0 else control, experiment, confidence)
        for number, (one, found) in enumerate(zip(units, samples, strict=True))
    ]
    ratio_p = sample_ratio_p(
        [one.assigned for one in units], [one.weight for one in experiment.variants]
    )
    return Findings(
        experiment=experiment,
        variants=tuple(found),
        needed=_needed(control, experiment, confidence),
        ratio_p=ratio_p,
        mismatch=ratio_p < SRM_ALARM,
    )


def _needed(control: Sample, experiment: OnlineExperiment, confidence: float) -> int | None:
    """None until the control's own outcomes tell how much they vary."""
    if control.n < 2 or control.steady_variance == 0:
        return None
    return needed_units(
        control.steady_variance,
        experiment.effect,
        scale=experiment.effect,
        confidence=confidence,
    )


def _finding(
    units: UnitOutcomes,
    own: Sample,
    control: Sample | None,
    experiment: OnlineExperiment,
    confidence: float,
) -> Finding:
    interval = _interval(units, own, experiment.confidence)
    finding = Finding(
        variant=units.variant,
        assigned=units.assigned,
        judged=own.n,
        rate=own.mean if own.n else None,
        low=None if interval is None else interval[0],
        high=None if interval is None else interval[1],
    )
    if control is None:
        return finding
    compared = always_valid(control, own, scale=experiment.effect, confidence=confidence)
    if compared is None:
        return finding.model_copy(update={"verdict": "too few"})
    verdict = "better" if compared.low > 0 else "worse" if compared.high < 0 else "not yet"
    return finding.model_copy(
        update={
            "difference": compared.difference,
            "difference_low": compared.low,
            "difference_high": compared.high,
            "p": compared.p,
            "verdict": verdict,
        }
    )


def _interval(units: UnitOutcomes, own: Sample, confidence: float) -> tuple[float, float] | None:
    """Wilson's of a share, Student's of a mean; None where there is nothing to tell it from."""
    if own.n == 0:
        return None
    if own.binary:
        return wilson_interval(round(own.mean * own.n), own.n, confidence)
    found = mean_interval(units.outcomes, confidence=confidence)
    return None if found.low is None or found.high is None else (found.low, found.high)
