"""A judge against people: do they agree, and where not, which way."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from p2re_eval.stats.distributions import normal_quantile, two_sided
from p2re_eval.stats.means import CONFIDENCE
from p2re_eval.stats.proportions import Proportion, wilson_interval


@dataclass(frozen=True)
class Agreement:
    """How a judge's verdicts fit people's. ``true_positive_rate`` is the share that it passes of
    what people pass, ``true_negative_rate`` the share that it fails of what they fail (``None``:
    there is none); ``kappa`` is the agreement beyond chance, 1 at most, and ``kappa_low`` and
    ``kappa_high`` the interval it stands in (``None`` where all is alike: kappa cannot say)."""

    n: int
    agreement: Proportion
    kappa: float | None
    kappa_low: float | None
    kappa_high: float | None
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
    low, high = kappa_interval([a for a, _ in pairs], [b for _, b in pairs], confidence)
    return Agreement(
        n=len(pairs),
        agreement=_share(same, confidence),
        kappa=cohen_kappa([a for a, _ in pairs], [b for _, b in pairs]),
        kappa_low=low,
        kappa_high=high,
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


def kappa_interval(
    one: Sequence[Hashable], other: Sequence[Hashable], confidence: float = CONFIDENCE
) -> tuple[float, float] | tuple[None, None]:
    """Where kappa stands, for samples that are not small; two ``None`` where it is not defined or
    its error is 0, as in full agreement.

    Raises ValueError as ``cohen_kappa`` does. Source: Fleiss, Cohen and Everitt, "Large Sample
    Standard Errors of Kappa and Weighted Kappa", Psychological Bulletin 72 (1969), equation 13.
    """
    kappa = cohen_kappa(one, other)
    if kappa is None:
        return None, None
    n = len(one)
    table = {pair: seen / n for pair, seen in Counter(zip(one, other, strict=True)).items()}
    rows = {label: seen / n for label, seen in Counter(one).items()}
    columns = {label: seen / n for label, seen in Counter(other).items()}
    chance = sum(share * columns.get(label, 0.0) for label, share in rows.items())
    variance = -((kappa - chance * (1 - kappa)) ** 2)
    for (a, b), share in table.items():
        if a == b:
            variance += share * (1 - (rows[a] + columns[a]) * (1 - kappa)) ** 2
        else:
            variance += share * (columns.get(a, 0.0) + rows.get(b, 0.0)) ** 2 * (1 - kappa) ** 2
    if variance <= 1e-12:
        return None, None
    half = normal_quantile(two_sided(confidence)) * math.sqrt(variance / n) / (1 - chance)
    return max(-1.0, kappa - half), min(1.0, kappa + half)


def _share(said: Sequence[bool], confidence: float) -> Proportion:
    low, high = wilson_interval(sum(said), len(said), confidence)
    return Proportion(rate=sum(said) / len(said), n=len(said), low=low, high=high)
