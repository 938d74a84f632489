"""A judge against people: do they agree, and where not, which way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from p2re_eval.stats.means import CONFIDENCE
from p2re_eval.stats.proportions import Proportion, wilson_interval


@dataclass(frozen=True)
class Agreement:
    """How a judge's verdicts fit people's. ``true_positive_rate`` is the share that it passes of
    what people pass, ``true_negative_rate`` the share that it fails of what they fail (``None``:
    there is none); ``kappa`` is the agreement beyond chance, 1 at most."""

    n: int
    agreement: Proportion
    kappa: float | None
    true_positive_rate: Proportion | None
    true_negative_rate: Proportion | None


def judge_agreement(
    pairs: Sequence[tuple[bool, bool]], confidence: float = CONFIDENCE
) -> Agreement:
    """The agreement of (judge, person) verdicts. Raises ValueError when empty."""
    if not pairs:
        raise ValueError("no pair of verdicts to compare")
    good = [judge for judge, person in pairs if person]
    bad = [not judge for judge, person in pairs if not person]
    same = [judge == person for judge, person in pairs]
    return Agreement(
        n=len(pairs),
        agreement=_share(same, confidence),
        kappa=cohen_kappa([a for a, _ in pairs], [b for _, b in pairs]),
        true_positive_rate=_share(good, confidence) if good else None,
        true_negative_rate=_share(bad, confidence) if bad else None,
    )


def cohen_kappa(one: Sequence[Hashable], other: Sequence[Hashable]) -> float | None:
    """The agreement of two raters beyond chance; ``None`` when both say the same single thing, so
    that there was nothing to agree on.

    Raises ValueError when empty or of different lengths. Source: Cohen, "A Coefficient of Agreement
    for Nominal Scales", Educational and Psychological Measurement 20 (1960).
    """
    if not one or len(one) != len(other):
        raise ValueError(f"two equally long lists are needed: {len(one)} and {len(other)}")
    n = len(one)
    seen = sum(a == b for a, b in zip(one, other, strict=True)) / n
    counts, others = Counter(one), Counter(other)
    chance = sum(counts[label] * others[label] for label in counts) / (n * n)
    return None if chance == 1 else (seen - chance) / (1 - chance)


def _share(said: Sequence[bool], confidence: float) -> Proportion:
    low, high = wilson_interval(sum(said), len(said), confidence)
    return Proportion(rate=sum(said) / len(said), n=len(said), low=low, high=high)
