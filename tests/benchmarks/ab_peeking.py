"""A/A experiments looked at every day: how many find a difference that is not there.

``make bench-ab``: 1,000 experiments of 30 days for each rate, and how soon real effects are found.
"""

from __future__ import annotations

import sys

import numpy as np
from tabulate import tabulate

from p2re_eval.stats.online import Sample, always_valid, needed_units

DAYS, DAILY = 30, 100
CASES = [(rate, rate) for rate in (0.02, 0.1, 0.3, 0.5)] + [(0.3, 0.35), (0.3, 0.4)]


def share(passed: int, n: int) -> Sample:
    """The sample of so many outcomes 1 among n."""
    mean = passed / n
    return Sample(n, mean, mean * (1 - mean) * n / (n - 1), binary=True)


def looks(rates: tuple[float, float], generator: np.random.Generator) -> tuple[bool, bool, int]:
    """Whether a daily look decided always-validly, whether a naive z test did, and the day."""
    passed = np.cumsum(generator.binomial(DAILY, rates, size=(DAYS, 2)), axis=0)
    day_found, naive = 0, False
    for day, (first, second) in enumerate(passed.tolist(), start=1):
        n = day * DAILY
        control, variant = share(first, n), share(second, n)
        found = always_valid(control, variant, scale=0.05)
        if found is not None and found.p < 0.05 and not day_found:
            day_found = day
        noise = (control.steady_variance + variant.steady_variance) / n
        naive = naive or abs(variant.mean - control.mean) > 1.96 * noise**0.5
    return bool(day_found), naive, day_found


def main(experiments: int) -> None:
    rows = []
    for rates in CASES:
        generator = np.random.default_rng(2026)
        all_looks = [looks(rates, generator) for _ in range(experiments)]
        found = sum(one[0] for one in all_looks) / experiments
        naive = sum(one[1] for one in all_looks) / experiments
        days = sorted(one[2] for one in all_looks if one[2])
        effect = rates[1] - rates[0]
        variance = rates[0] * (1 - rates[0])
        needed = f"{needed_units(variance, effect, scale=0.05):,}" if effect else ""
        middle = days[len(days) // 2] if days else ""
        rows.append([*rates, f"{found:.1%}", f"{naive:.1%}", middle, needed])
    headers = ["control", "variant", "found", "z test, peeking", "day (median)", "units needed"]
    print(tabulate(rows, headers=headers))
    print(f"{experiments:,} experiments of {DAYS} days, {DAILY} units a variant and day, error 5 %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
