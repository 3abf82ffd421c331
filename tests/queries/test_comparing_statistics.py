"""Each statistic against a published example or another implementation."""

from collections.abc import Callable
from itertools import combinations, product
from math import comb, sqrt
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.inter_rater import cohens_kappa
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from colonnade.errors import InvalidInput
from colonnade.queries.comparing.agreement import cohen_kappa, kappas, krippendorff_alpha
from colonnade.queries.comparing.corrections import benjamini_hochberg, holm, holm_levels
from colonnade.queries.comparing.intervals import (
    Bootstrap,
    PairedT,
    Score,
    exact_mcnemar,
    p_of,
    standard_error,
    wilcoxon,
)
from colonnade.queries.comparing.power import detectable, effect_size
from colonnade.queries.comparing.reliability import pass_k

# Student's sleep data (1908): hours of sleep that ten patients gained by two drugs; R: t.test(extra ~ group, paired).
DRUG_1 = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
DRUG_2 = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])


def test_the_paired_t_interval_of_students_sleep_data() -> None:
    found = PairedT(DRUG_2 - DRUG_1)
    assert found.interval(0.95) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)  # as R prints it, turned round
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert found.interval(1 - found.p)[0] == pytest.approx(0, abs=1e-9)  # type: ignore[index, operator]


def test_values_that_do_not_spread_are_as_certain_as_a_sign_test() -> None:
    assert PairedT(np.full(5, 0.1)).interval(0.95) is None
    assert PairedT(np.full(6, 0.1)).interval(0.95) == pytest.approx((0.1, 0.1))
    assert PairedT(np.full(6, 0.1)).p == 2 / 2**6
    assert PairedT(np.array([0.3 - 0.2, 0.1, 0.1, 0.1, 0.1, 0.1])).p == 2 / 2**6  # rounding is no spread
    assert PairedT(np.zeros(50)).p == 1


def test_tangos_interval_of_the_airway_data() -> None:
    """Hyper-responsiveness of airways before and after stem cell transplantation: 1, 1, 7 and 12 of 21 children.

    Fagerland, Lydersen, Laake: Recommended tests and confidence intervals for paired binomial proportions (Statistics
    in Medicine 33, 2014) print -0.517 to -0.026, and for the same data (BMC Med Res Methodol 13:91, 2013) asymptotic
    and exact p of McNemar: 0.034 and 0.070.
    """
    found = Score(gained=1, lost=7, n=21)
    assert found.interval(0.95) == pytest.approx((-0.517, -0.026), abs=5e-4)
    assert found.p == pytest.approx(0.034, abs=5e-4)
    assert exact_mcnemar(1, 7) == pytest.approx(0.0703, abs=5e-5)


@pytest.mark.parametrize(("gained", "lost", "n"), [(0, 0, 20), (3, 0, 12), (9, 10, 50), (2, 30, 100), (12, 0, 12)])
def test_tangos_interval_is_that_of_its_test(gained: int, lost: int, n: int) -> None:
    """The ends are the differences that a score test just rejects; its variance by maximising the likelihood."""
    low, high = Score(gained, lost, n).interval(0.95)  # type: ignore[misc]
    for end in (low, high):
        if abs(end) < 1:
            assert abs(_likelihood_z(gained, lost, n, end)) == pytest.approx(1.959964, abs=2e-3)
    mirrored = Score(lost, gained, n).interval(0.95)
    assert mirrored == pytest.approx((-high, -low), abs=1e-9)


def _likelihood_z(gained: int, lost: int, n: int, null: float) -> float:
    """The score statistic, its nuisance parameter found by trying all of them."""
    falling = np.linspace(max(0.0, -null), (1 - null) / 2, 400_001)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [(lost, falling), (gained, falling + null), (n - gained - lost, 1 - 2 * falling - null)]
        likely = sum(np.where(count == 0, 0.0, count * np.log(np.maximum(p, 1e-300))) for count, p in terms)
    best = falling[np.argmax(likely)]
    return float((gained - lost - n * null) / sqrt(n * (2 * best + null - null**2)))


@pytest.mark.parametrize(("gained", "lost"), [(1, 9), (0, 6), (3, 3), (0, 0), (5, 1), (40, 61)])
def test_mcnemar_against_statsmodels(gained: int, lost: int) -> None:
    table = [[20, lost], [gained, 30]]
    assert exact_mcnemar(gained, lost) == pytest.approx(
        float(mcnemar(table, exact=True).pvalue) if gained + lost else 1
    )
    if gained + lost:
        asymptotic = mcnemar(table, exact=False, correction=False)
        assert Score(gained, lost, 100).p == pytest.approx(float(asymptotic.pvalue))


@pytest.mark.parametrize("draw", ["normal", "skewed", "few"])
def test_the_bca_bootstrap_against_scipy(draw: str) -> None:
    random = np.random.default_rng(3)
    values = {
        "normal": random.normal(0.2, 1, 60),
        "skewed": random.lognormal(size=60),
        "few": random.choice([-1.0, 0.0, 0.0, 0.0, 1.0], 60),
    }[draw]
    ours = Bootstrap(values, resamples=200_000).interval(0.95)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=50_000, method="BCa", rng=1, batch=5_000)
    spread = float(values.std()) / sqrt(60)
    assert ours == pytest.approx(tuple(theirs.confidence_interval), abs=0.035 * spread)


def test_the_bootstrap_has_a_seed_and_a_p_that_belongs_to_its_interval() -> None:
    values = np.random.default_rng(5).lognormal(size=40) - 1.2
    found = Bootstrap(values)
    assert found.interval(0.95) == Bootstrap(values).interval(0.95)
    assert found.interval(0.95) != Bootstrap(values, seed=1).interval(0.95)
    p = found.p
    assert p is not None
    low, high = found.interval(1 - p)  # type: ignore[misc]
    assert low >= 0 or high <= 0
    assert found.interval(1 - p + 1e-3)[0] <= 0 <= found.interval(1 - p + 1e-3)[1]  # type: ignore[index]


def test_p_by_inversion_is_the_p_of_the_test() -> None:
    found = PairedT(DRUG_2 - DRUG_1)
    assert p_of(found.interval, least=1e-9) == pytest.approx(found.p, abs=2e-6)


def test_wilcoxon_of_darwins_maize() -> None:
    """Darwin's 15 pairs of cross- and self-fertilised plants, eighths of an inch (Fisher 1935): W = 24, p = 0.041."""
    pairs = np.array([49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48])
    assert wilcoxon(pairs) == pytest.approx(0.04126, abs=5e-6)
    signs = np.array(list(product((-1, 1), repeat=15)))
    ranks = stats.rankdata(np.abs(pairs))
    least = min((ranks[pairs > 0]).sum(), (ranks[pairs < 0]).sum())
    assert wilcoxon(pairs) == pytest.approx(2 * float((((signs > 0) * ranks).sum(axis=1) <= least).mean()))
    assert wilcoxon(np.zeros(5)) == 1


def test_the_standard_error_clustered_by_item_is_that_of_a_regression_with_clusters() -> None:
    """Trials of an item are alike; statsmodels' cluster-robust error of the mean of paired differences of trials."""
    random = np.random.default_rng(11)
    items, trials = 40, 4
    of_item = random.normal(size=(items, 1))
    differences = of_item + random.normal(size=(items, trials))
    fit = sm.OLS(differences.ravel(), np.ones(items * trials)).fit(
        cov_type="cluster",
        cov_kwds={"groups": np.repeat(np.arange(items), trials), "use_correction": False},
    )
    small = sqrt(items / (items - 1))  # what statsmodels leaves out with use_correction=False
    assert standard_error(differences.mean(axis=1)) == pytest.approx(float(fit.bse[0]) * small)
    naive = float(differences.std(ddof=1)) / sqrt(items * trials)
    assert standard_error(differences.mean(axis=1)) > 1.4 * naive  # type: ignore[operator]


@pytest.mark.parametrize("n", [4, 8, 20, 50, 400])
def test_the_detectable_difference_against_statsmodels(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    theirs = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8)
    assert detectable(values) == pytest.approx(theirs * values.std(ddof=1), rel=1e-4)


@pytest.mark.parametrize(("n", "alpha", "power"), [(30, 0.05, 0.8), (4, 0.01, 0.9)])  # statsmodels errs on the latter
def test_the_detectable_difference_is_found_as_often_as_it_says(n: int, alpha: float, power: float) -> None:
    random = np.random.default_rng(2)
    values = np.tile([-1.0, 1.0], n // 2)
    true = detectable(values, alpha, power)
    assert true is not None
    drawn = random.normal(true, values.std(ddof=1), (40_000, n))
    t = drawn.mean(axis=1) / drawn.std(axis=1, ddof=1) * sqrt(n)
    assert float((t > stats.t.ppf(1 - alpha / 2, n - 1)).mean()) == pytest.approx(power, abs=0.008)


def test_effect_size_of_the_sleep_data() -> None:
    assert effect_size(DRUG_2 - DRUG_1) == pytest.approx(1.2845, abs=1e-4)  # t / sqrt(n) = 4.0621 / sqrt(10)
    assert effect_size(np.full(9, 0.5)) is None


PS = st.lists(st.floats(0, 1), min_size=1, max_size=12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_bonferroni(ps: list[float]) -> None:
    """A question is found where every family that it is in is: what Holm's procedure is short for."""
    families = [places for size in range(1, len(ps) + 1) for places in combinations(range(len(ps)), size)]
    closed = [
        max(min(1.0, len(family) * min(ps[each] for each in family)) for family in families if place in family)
        for place in range(len(ps))
    ]
    assert holm(ps) == pytest.approx(closed)


@pytest.mark.parametrize("n", [1, 3, 20])
def test_corrections_against_statsmodels(n: int) -> None:
    ps = list(np.random.default_rng(n).random(n) ** 3)
    assert holm(ps) == pytest.approx(list(multipletests(ps, method="holm")[1]))
    assert benjamini_hochberg(ps) == pytest.approx(list(multipletests(ps, method="fdr_bh")[1]))


def test_corrections_as_r_documents_them() -> None:
    ps = [0.01, 0.02, 0.03, 0.04, 0.05]
    assert holm(ps) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09])  # p.adjust(ps, "holm")
    assert benjamini_hochberg(ps) == pytest.approx([0.05] * 5)  # p.adjust(ps, "BH")
    assert holm([None, 0.04, None, 0.01]) == [None, 0.04, None, 0.02]
    assert benjamini_hochberg([None]) == [None]


@given(PS, st.sampled_from([0.01, 0.05, 0.2]))
def test_holm_by_intervals_finds_what_holm_by_p_values_finds(ps: list[float], alpha: float) -> None:
    def decides(p: float) -> Callable[[float], bool]:
        return lambda level: p <= 1 - level  # the interval at a level leaves out 0

    levels = holm_levels([decides(p) for p in ps], alpha)
    found = [level is not None and decides(p)(level) for p, level in zip(ps, levels, strict=True)]
    for p, adjusted, is_found in zip(ps, holm(ps), found, strict=True):
        assert adjusted is not None
        if abs(adjusted - alpha) > 1e-9:  # where they are equal, rounding decides
            assert is_found == (adjusted < alpha), p


def test_pass_k_counts_all_subsets() -> None:
    every, some = pass_k([(4, 2), (4, 4)], [1, 2, 4])
    assert every == pytest.approx((0.75, (comb(2, 2) / comb(4, 2) + 1) / 2, 0.5))
    assert some == pytest.approx((0.75, (1 - comb(2, 2) / comb(4, 2) + 1) / 2, 1.0))


# --- agreement ---


def ratings(*raters: str) -> dict[str, list[float | None]]:
    return {
        f"rater {n}": [None if each == "*" else float(each) for each in given.split()] for n, given in enumerate(raters)
    }


FOUR = ratings(
    "1 2 3 3 2 1 4 1 2 * * *", "1 2 3 3 2 2 4 1 2 5 * 3", "* 3 3 3 2 3 4 2 2 5 1 *", "1 2 3 3 2 4 4 1 2 5 1 *"
)
THREE = ratings("* * * * * 3 4 1 2 1 1 3 3 * 3", "1 * 2 1 3 3 4 3 * * * * * * *", "* * 2 1 3 4 4 * 2 1 1 3 3 * 4")


@pytest.mark.parametrize(
    ("data", "measurement", "alpha"),
    [
        (THREE, "nominal", 0.691),  # Hayes and Krippendorff's example, as Wikipedia works it out
        (THREE, "interval", 0.811),
        (FOUR, "nominal", 0.743),  # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), data C and D
        (FOUR, "ordinal", 0.815),
        (FOUR, "interval", 0.849),
        (FOUR, "ratio", 0.797),
    ],
)
def test_krippendorffs_alpha_of_published_data(data: Any, measurement: Any, alpha: float) -> None:
    assert krippendorff_alpha(data, measurement) == pytest.approx(alpha, abs=5e-4)


def test_cohens_kappa_of_a_textbook_table_and_against_statsmodels() -> None:
    first, second = [1.0] * 25 + [0.0] * 25, [1.0] * 20 + [0.0] * 5 + [1.0] * 10 + [0.0] * 15
    assert cohen_kappa(first, second) == pytest.approx(0.4)  # 20, 5, 10 and 15 of 50 proposals
    random = np.random.default_rng(1)
    one = random.integers(0, 4, 80).astype(float)
    other = np.where(random.random(80) < 0.6, one, random.integers(0, 4, 80)).astype(float)
    table = np.array([[int(((one == a) & (other == b)).sum()) for b in range(4)] for a in range(4)])
    assert cohen_kappa(list(one), list(other)) == pytest.approx(float(cohens_kappa(table).kappa))


def test_agreement_that_cannot_be_told() -> None:
    assert cohen_kappa([1, 1], [1, 1]) is None
    assert krippendorff_alpha({"a": [1, 1], "b": [1, 1]}) is None
    assert krippendorff_alpha({"a": [1, None], "b": [None, 2]}) is None
    assert kappas({"a": [1, 0, None], "b": [1, 0, 1], "c": [0, 1, None]}) == {
        ("a", "b"): 1.0,
        ("a", "c"): -1.0,
        ("b", "c"): -1.0,
    }
    with pytest.raises(InvalidInput, match="at least two raters"):
        krippendorff_alpha({"a": [1, 2]})
    with pytest.raises(InvalidInput, match="nominal, ordinal"):
        krippendorff_alpha(FOUR, "cardinal")  # type: ignore[arg-type]
    with pytest.raises(InvalidInput, match="below 0"):
        krippendorff_alpha({"a": [-1, 2], "b": [1, 2]}, "ratio")
    with pytest.raises(InvalidInput, match="two lists"):
        cohen_kappa([1], [1, 2])
