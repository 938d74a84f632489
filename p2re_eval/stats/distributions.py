"""The distributions that tests and intervals look up: normal, Student's t, binomial, chi-square."""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist

_NORMAL = NormalDist()
_EXACT_UP_TO = 1000
"""Trials up to which a binomial tail is summed in whole numbers."""


def normal_quantile(probability: float) -> float:
    """The standard normal value that this share lies below. Raises ValueError outside (0, 1)."""
    if not 0 < probability < 1:
        raise ValueError(f"a probability must be between 0 and 1, found {probability}")
    return _NORMAL.inv_cdf(probability)


def normal_tail(z: float) -> float:
    """The share above ``z``; exact far out, where 1 - cdf is 0."""
    return math.erfc(z / math.sqrt(2)) / 2


def two_sided(confidence: float) -> float:
    """The share below the upper end of a two-sided interval: 0.975 for 0.95.

    Raises ValueError when the confidence is not within (0, 1).
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be between 0 and 1, found {confidence}")
    return (1 + confidence) / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The regularized incomplete beta function I_x(a, b) for ``a``, ``b`` > 0.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (https://dlmf.nist.gov/8.17),
    a continued fraction evaluated by Lentz's method.
    """
    if x <= 0:
        return 0.0
    if x >= 1:
        return 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    log_front += a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    tiny = 1e-300
    c, d = 1.0, 1 - (a + b) * x / (a + 1)
    d = 1 / (d if abs(d) > tiny else tiny)
    fraction = d
    for m in range(1, 100_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            d, c = 1 + step * d, 1 + step / c
            d = 1 / (d if abs(d) > tiny else tiny)
            c = c if abs(c) > tiny else tiny
            fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return fraction


def t_two_sided(t: float, df: float) -> float:
    """How likely Student's t is at least this far from 0, either way."""
    return 1.0 if t == 0 else beta_share(df / (df + t * t), df / 2, 0.5)


@lru_cache(maxsize=256)
def t_quantile(probability: float, df: float) -> float:
    """The value that this share of Student's t with ``df`` degrees of freedom lies below."""
    if probability < 0.5:
        return -t_quantile(1 - probability, df)
    low, high = 0.0, normal_quantile(probability) + 1
    while t_two_sided(high, df) > 2 * (1 - probability):
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        if t_two_sided(middle, df) > 2 * (1 - probability):
            low = middle
        else:
            high = middle
    return (low + high) / 2


def coin_tail(heads: int, tosses: int) -> float:
    """How likely a fair coin shows at least so many heads."""
    if heads <= 0:
        return 1.0
    if tosses > _EXACT_UP_TO:
        return beta_share(0.5, heads, tosses - heads + 1)
    return sum(math.comb(tosses, k) for k in range(heads, tosses + 1)) / (1 << tosses)


def chi_square_tail(x: float, df: int) -> float:
    """How likely a chi-square with ``df`` degrees of freedom is at least ``x``."""
    return _gamma_tail(df / 2, x / 2)


def _gamma_tail(a: float, x: float) -> float:
    """The regularized upper incomplete gamma function Q(a, x) for x >= 0.

    Source: Press et al., "Numerical Recipes", section 6.2: the series below a + 1, Lentz's
    continued fraction above.
    """
    if x == 0:
        return 1.0
    front = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while abs(term) > abs(total) * 1e-16:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - front * total)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    fraction = d
    for i in range(1, 1000):
        factor = -i * (i - a)
        b += 2
        d = 1 / (factor * d + b or tiny)
        c = b + factor / c or tiny
        fraction *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * fraction
