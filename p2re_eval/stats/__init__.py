"""Statistics of experiments: pure functions, each with its source, loaded as they are used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from p2re_eval.stats.agreement import (
        Agreement,
        cohen_kappa,
        judge_agreement,
        kappa_interval,
    )
    from p2re_eval.stats.bootstrap import (
        RESAMPLES,
        bca_interval,
        bootstrap_means,
        percentile_interval,
    )
    from p2re_eval.stats.means import CONFIDENCE, Mean, deviation, mean, mean_interval, percentile
    from p2re_eval.stats.multiple import holm
    from p2re_eval.stats.paired import Difference, flip_difference, mean_difference
    from p2re_eval.stats.power import (
        POWER,
        Design,
        cases_needed,
        chance_variance,
        detectable_drop,
        repeats_needed,
    )
    from p2re_eval.stats.proportions import (
        Proportion,
        fisher_exact,
        flip_interval,
        mcnemar,
        mcnemar_one_sided,
        pass_at_k,
        pass_hat_k,
        pass_rate,
        wilson_interval,
    )
    from p2re_eval.stats.scores import score_interval

_HOMES = {
    "p2re_eval.stats.agreement": (
        "Agreement",
        "cohen_kappa",
        "judge_agreement",
        "kappa_interval",
    ),
    "p2re_eval.stats.bootstrap": (
        "RESAMPLES",
        "bca_interval",
        "bootstrap_means",
        "percentile_interval",
    ),
    "p2re_eval.stats.means": (
        "CONFIDENCE",
        "Mean",
        "deviation",
        "mean",
        "mean_interval",
        "percentile",
    ),
    "p2re_eval.stats.multiple": ("holm",),
    "p2re_eval.stats.paired": (
        "Difference",
        "flip_difference",
        "mean_difference",
    ),
    "p2re_eval.stats.power": (
        "POWER",
        "Design",
        "cases_needed",
        "chance_variance",
        "detectable_drop",
        "repeats_needed",
    ),
    "p2re_eval.stats.proportions": (
        "Proportion",
        "fisher_exact",
        "flip_interval",
        "mcnemar",
        "mcnemar_one_sided",
        "pass_at_k",
        "pass_hat_k",
        "pass_rate",
        "wilson_interval",
    ),
    "p2re_eval.stats.scores": ("score_interval",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "CONFIDENCE",
    "POWER",
    "RESAMPLES",
    "Agreement",
    "Design",
    "Difference",
    "Mean",
    "Proportion",
    "bca_interval",
    "bootstrap_means",
    "cases_needed",
    "chance_variance",
    "cohen_kappa",
    "detectable_drop",
    "deviation",
    "fisher_exact",
    "flip_difference",
    "flip_interval",
    "holm",
    "judge_agreement",
    "kappa_interval",
    "mcnemar",
    "mcnemar_one_sided",
    "mean",
    "mean_difference",
    "mean_interval",
    "pass_at_k",
    "pass_hat_k",
    "pass_rate",
    "percentile",
    "percentile_interval",
    "repeats_needed",
    "score_interval",
    "wilson_interval",
]


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = globals()[name] = getattr(import_module(home), name)
    return found
