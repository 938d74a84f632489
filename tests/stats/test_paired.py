"""Differences of paired cases, against scipy, statsmodels, published values and simulation."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import scipy.optimize
import scipy.stats
import statsmodels.api
import statsmodels.stats.contingency_tables
import statsmodels.stats.multitest

from p2re_eval import stats

PUBLISHED = Path(__file__).parents[2] / ".." / "shared" / "data" / "stats_published_values.json"


def published(name: str) -> list[dict]:
    if not PUBLISHED.exists():
        pytest.skip("the shared test data is not beside the repository")
    return json.loads(PUBLISHED.read_text())[name]


def test_mcnemar_equals_the_published_values() -> None:
    """The two tables of the shared file, exact p."""
    for row in published("mcnemar_wikipedia"):
        (_, b), (c, _) = row["table"]
        assert stats.mcnemar(b, c) == pytest.approx(row["exact_p"], rel=1e-12)


@pytest.mark.parametrize("flips", [(0, 0), (5, 0), (3, 8), (30, 12), (700, 801), (9000, 9400)])
def test_mcnemar_equals_statsmodels(flips: tuple[int, int]) -> None:
    """Exact for few flips and for many."""
    table = [[10, flips[0]], [flips[1], 10]]
    expected = statsmodels.stats.contingency_tables.mcnemar(table, exact=True).pvalue
    assert stats.mcnemar(*flips) == pytest.approx(expected, rel=1e-8)


def test_five_flips_are_the_first_that_one_side_believes() -> None:
    """The design's figure: 5 new failures against 0 new passes."""
    assert stats.mcnemar_one_sided(4, 0) == 0.0625
    assert stats.mcnemar_one_sided(5, 0) == 0.03125


def score(up: int, down: int, n: int, difference: float) -> float:
    """Tango's statistic by its definition: the constrained likelihood maximized numerically."""

    def unlikely(q: float) -> float:
        import math

        parts = ((up, q + difference), (down, q), (n - up - down, 1 - 2 * q - difference))
        return -sum(k * math.log(max(p, 1e-300)) for k, p in parts if k)

    low, high = max(0.0, -difference), (1 - difference) / 2
    q = scipy.optimize.minimize_scalar(
        unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-13}
    ).x
    variance = n * (2 * q + difference - difference**2)
    return (up - down - n * difference) / variance**0.5


@pytest.mark.parametrize(
    ("broke", "fixed", "n"), [(0, 1, 44), (5, 0, 20), (3, 8, 50), (12, 4, 200), (40, 45, 500)]
)
def test_flip_interval_ends_where_the_score_test_does(broke: int, fixed: int, n: int) -> None:
    """Both ends, by a numerical maximization that shares no code."""
    low, high = stats.flip_interval(broke, fixed, n)
    assert score(fixed, broke, n, low) == pytest.approx(1.959964, abs=2e-4)
    assert score(fixed, broke, n, high) == pytest.approx(-1.959964, abs=2e-4)


def test_flip_interval_of_no_flips_is_as_wide_as_the_cases_deserve() -> None:
    """z^2 / (n + z^2) each way, never a point."""
    z2 = 1.959964**2
    expected = z2 / (20 + z2)
    assert stats.flip_interval(0, 0, 20) == pytest.approx((-expected, expected), abs=1e-6)


def test_flip_interval_agrees_with_mcnemars_score_test_at_zero() -> None:
    """It excludes 0 just when the flips are further apart than chance, chi-square 3.84."""
    for broke in range(25):
        for fixed in range(25 - broke):
            low, high = stats.flip_interval(broke, fixed, 60)
            chi2 = (broke - fixed) ** 2 / max(broke + fixed, 1)
            assert (low > 0 or high < 0) == (chi2 > 3.8414588)


@pytest.mark.parametrize("flips", [(-1, 0, 5), (3, 3, 5), (0, 0, 0)])
def test_flip_interval_refuses_the_impossible(flips: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="flips must be within"):
        stats.flip_interval(*flips)


def test_mean_difference_equals_scipys_paired_t() -> None:
    """p value and, for many cases, the interval."""
    rng = random.Random(1)
    before = [rng.random() for _ in range(150)]
    after = [b + rng.gauss(-0.05, 0.2) for b in before]
    expected = scipy.stats.ttest_rel(after, before)
    found = stats.mean_difference([a - b for b, a in zip(before, after, strict=True)])
    interval = expected.confidence_interval()
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.method == "paired t"


def test_mean_difference_with_clusters_equals_statsmodels() -> None:
    """The intercept of a regression on nothing, with clustered standard errors and t."""
    rng = random.Random(2)
    clusters = [number // 5 for number in range(150)]
    shift = [rng.gauss(0, 0.3) for _ in range(30)]
    differences = [shift[c] + rng.gauss(-0.1, 0.1) for c in clusters]
    fitted = statsmodels.api.OLS(differences, [1.0] * 150).fit(
        cov_type="cluster", cov_kwds={"groups": clusters}, use_t=True
    )
    found = stats.mean_difference(differences, clusters)
    assert found.p_value == pytest.approx(fitted.pvalues[0], rel=1e-9)
    assert (found.low, found.high) == pytest.approx(fitted.conf_int()[0], rel=1e-9)


def test_few_cases_get_the_wider_ends_of_t_and_bootstrap() -> None:
    """A skewed sample: BCa reaches further on the side of the tail."""
    rng = random.Random(3)
    differences = [-rng.expovariate(1) for _ in range(30)]
    found = stats.mean_difference(differences, seed=4)
    t = scipy.stats.ttest_1samp(differences, 0).confidence_interval()
    means = stats.bootstrap_means(differences, seed=4)
    bca = stats.bca_interval(differences, means)
    assert (found.low, found.high) == (
        pytest.approx(min(t.low, bca[0])),
        pytest.approx(max(t.high, bca[1])),
    )
    assert bca[0] < t.low


def test_hardly_moved_cases_do_not_pretend_to_be_sure() -> None:
    """Nothing moved among 20: the interval is that of 20 cases without a flip, not a point."""
    found = stats.mean_difference([0.0] * 20)
    assert (found.low, found.high) == pytest.approx(stats.flip_interval(0, 0, 20))
    assert (found.p_value, found.p_direction) == (1.0, 1.0)
    few = stats.mean_difference([-1.0] * 4 + [0.0] * 46)
    assert few.p_value is not None
    assert few.p_value < 0.05 < 0.0625 == few.p_direction


def test_one_case_says_nothing_of_the_spread() -> None:
    found = stats.mean_difference([-1.0])
    assert (found.value, found.low, found.p_value) == (-1.0, None, None)


def test_bca_equals_scipy_on_the_same_resamples() -> None:
    """Bias, skew and ends."""
    rng = random.Random(5)
    values = [rng.expovariate(1) for _ in range(40)]
    expected = scipy.stats.bootstrap(
        (values,), lambda x, axis: x.mean(axis), n_resamples=3000, method="BCa", rng=6
    )
    means = sorted(float(m) for m in expected.bootstrap_distribution)
    found = stats.bca_interval(values, means)
    interval = expected.confidence_interval
    assert found == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_bootstrap_of_few_values_is_the_bootstrap_of_all() -> None:
    """Counted draws spread as value-by-value draws do: by the standard error."""
    values = [-1.0] * 900 + [0.0] * 8200 + [1.0] * 900
    means = stats.bootstrap_means(values, seed=7)
    error = (0.18 / 10_000) ** 0.5
    assert stats.deviation(means) == pytest.approx(error, rel=0.05)
    low, high = stats.percentile_interval(means)
    assert (low, high) == pytest.approx((-1.96 * error, 1.96 * error), rel=0.1)


def test_bootstrap_is_the_same_for_the_same_seed() -> None:
    """And another for another."""
    values = [0.1, 0.2, 0.7, 0.4]
    assert stats.bootstrap_means(values, seed=1) == stats.bootstrap_means(values, seed=1)
    assert stats.bootstrap_means(values, seed=1) != stats.bootstrap_means(values, seed=2)


def test_holm_equals_statsmodels() -> None:
    p_values = [0.01, 0.04, 0.03, 0.005, 0.5, 0.011]
    expected = statsmodels.stats.multitest.multipletests(p_values, method="holm")[1]
    assert stats.holm(p_values) == pytest.approx(list(expected))
    assert stats.holm([]) == []


def test_fisher_exact_equals_scipy() -> None:
    """All tables of up to seven repeats; the design's figures among them."""
    for n in range(1, 8):
        for m in range(1, 8):
            for a in range(n + 1):
                for b in range(m + 1):
                    expected = scipy.stats.fisher_exact([[a, n - a], [b, m - b]]).pvalue
                    assert stats.fisher_exact(a, n, b, m) == pytest.approx(expected)
    assert stats.fisher_exact(0, 3, 3, 3) / 2 == pytest.approx(0.05)
    assert stats.fisher_exact(7, 10, 10, 10) / 2 == pytest.approx(0.105, abs=1e-3)


def test_pass_at_k_equals_the_published_values() -> None:
    for row in published("pass_at_k"):
        assert stats.pass_at_k(row["c"], row["n"], row["k"]) == pytest.approx(row["value"])


def test_pass_hat_k_is_the_share_of_draws_that_are_all_good() -> None:
    """By counting all draws of 3 from 10 repeats with 7 passes."""
    import itertools

    draws = list(itertools.combinations([True] * 7 + [False] * 3, 3))
    assert stats.pass_hat_k(7, 10, 3) == pytest.approx(sum(map(all, draws)) / len(draws))
    assert stats.pass_at_k(7, 10, 3) == pytest.approx(sum(map(any, draws)) / len(draws))
    with pytest.raises(ValueError, match="k must be within"):
        stats.pass_hat_k(1, 2, 3)


def test_kappa_equals_statsmodels() -> None:
    """A judge and a person on a hundred answers."""
    from statsmodels.stats.inter_rater import cohens_kappa, to_table

    rng = random.Random(8)
    person = [rng.random() < 0.6 for _ in range(100)]
    judge = [p if rng.random() < 0.8 else not p for p in person]
    table = to_table([[int(a), int(b)] for a, b in zip(judge, person, strict=True)], bins=2)[0]
    found = stats.judge_agreement(list(zip(judge, person, strict=True)))
    theirs = cohens_kappa(table)
    assert found.kappa == pytest.approx(theirs.kappa)
    assert found.kappa_low == pytest.approx(theirs.kappa_low)
    assert found.kappa_high == pytest.approx(theirs.kappa_upp)
    assert found.true_positive_rate is not None
    assert found.true_negative_rate is not None
    good = sum(j for j, p in zip(judge, person, strict=True) if p)
    assert found.true_positive_rate.rate == good / sum(person)
    bounds = (found.true_positive_rate.low, found.true_positive_rate.high)
    assert bounds == stats.wilson_interval(good, sum(person))


@pytest.mark.parametrize(
    ("one", "other", "kappa"),
    [("aaa", "aaa", None), ("ab", "ba", -1.0), ("abc", "abc", 1.0)],
)
def test_kappa_at_its_ends(one: str, other: str, kappa: float | None) -> None:
    assert stats.cohen_kappa(one, other) == kappa


def test_kappa_of_three_categories_equals_statsmodels() -> None:
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = [[10, 2, 1], [3, 8, 4], [0, 5, 9]]
    pairs = [(r, c) for r in range(3) for c in range(3) for _ in range(counts[r][c])]
    rows, columns = [r for r, _ in pairs], [c for _, c in pairs]
    theirs = cohens_kappa(counts)
    assert stats.cohen_kappa(rows, columns) == pytest.approx(theirs.kappa, abs=1e-12)
    bounds = (theirs.kappa_low, theirs.kappa_upp)
    assert stats.kappa_interval(rows, columns) == pytest.approx(bounds, abs=1e-12)


def test_kappa_is_unknown_where_there_was_nothing_to_agree_on() -> None:
    assert stats.cohen_kappa([True, True], [True, True]) is None
    assert stats.kappa_interval([True, True], [True, True]) == (None, None)
    assert stats.kappa_interval([True, False], [True, False]) == (None, None)
    assert stats.judge_agreement([(True, True)]).true_negative_rate is None
    with pytest.raises(ValueError, match="equally long"):
        stats.cohen_kappa([True], [])


def test_scores_that_are_all_alike_prove_little() -> None:
    """Ten times 1.0: Wilson's interval, not a point; scores that spread get the t interval."""
    assert stats.score_interval([1.0] * 10).low == pytest.approx(0.7225, abs=1e-4)
    spread = [0.2, 0.9, 0.4, 0.4, 1.0, 0.7]
    assert stats.score_interval(spread) == stats.mean_interval(spread)
    wide = stats.score_interval([0.0, 1.0])
    assert (wide.low, wide.high) == (0.0, 1.0)
    assert stats.score_interval([3.0] * 10).low == 3.0
    assert stats.score_interval([1.0] * 10, [n % 2 for n in range(10)]).low == pytest.approx(
        stats.wilson_interval(2, 2)[0]
    )


def test_mean_interval_equals_scipy() -> None:
    values = [0.2, 0.9, 0.4, 0.4, 1.0, 0.7]
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval(0.9)
    found = stats.mean_interval(values, confidence=0.9)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-10)


@pytest.mark.parametrize("df", [1, 2, 5, 30, 400, 100_000])
def test_t_quantile_equals_scipy(df: int) -> None:
    from p2re_eval.stats.distributions import t_quantile

    for share in (0.5, 0.6, 0.9, 0.975, 0.9995):
        assert t_quantile(share, df) == pytest.approx(scipy.stats.t.ppf(share, df), rel=1e-9)


def test_cases_needed_is_what_the_detectable_drop_asks_back() -> None:
    """Planning and claim agree: so many cases find that drop."""
    needed = stats.cases_needed(0.2, 0.05)
    assert needed is not None
    drop = stats.detectable_drop(stats.Design(needed, 0.2))
    assert drop == pytest.approx(0.05, rel=0.01)
    assert stats.cases_needed(0.2, 0.0) is None


def test_too_few_cases_show_no_drop_at_all() -> None:
    assert stats.detectable_drop(stats.Design(4, 0.3, 1, 0.9)) is None
    assert stats.repeats_needed(stats.Design(10, 0.3, 3), 0.3, 0.02) is None
    assert stats.repeats_needed(stats.Design(400, 0.1, 3), 0.1, 0.05) == 3
    assert stats.repeats_needed(stats.Design(400, 0.3, 2), 0.15, 0.05) is None
    assert stats.repeats_needed(stats.Design(400, 0.25, 2), 0.2, 0.05) == 6
