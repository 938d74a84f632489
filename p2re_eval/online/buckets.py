"""Which variant a unit gets: a pure function of experiment and unit, the same everywhere."""

from __future__ import annotations

import hashlib

from p2re_eval.records import OnlineExperiment, Variant


def bucket(salt: str, unit: str) -> float:
    """A number from 0 to below 1, spread evenly over units; another salt deals anew.

    The first 53 bits of SHA-256, as many as a float holds. Source: the usual way of experiment
    platforms, Kohavi, Tang, Xu, "Trustworthy Online Controlled Experiments" (2020), chapter 4.
    """
    digest = hashlib.sha256(f"{salt}\x1f{unit}".encode("utf-8", "surrogatepass")).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / (1 << 53)


def variant_of(experiment: OnlineExperiment, unit: str) -> Variant:
    """The unit's variant; when the experiment is over, the winner's, or the control's."""
    if experiment.status == "STOPPED":
        chosen = experiment.variant(experiment.winner or "")
        return chosen or experiment.variants[0]
    place = bucket(experiment.salt, unit) * sum(one.weight for one in experiment.variants)
    for one in experiment.variants:
        place -= one.weight
        if place < 0:
            return one
    return experiment.variants[-1]
