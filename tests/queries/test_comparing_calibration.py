"""Comparisons keep their word, on simulated runs with a fixed seed.

These are the methods alone, on the differences of 2,000 pairs of runs; that ``compare`` uses them so is tested
on a few. ``python -m bench calibration`` is the long run, through ``compare`` from end to end.
"""

import numpy as np
import polars as pl
import pytest

from bench.calibration import Scenario, calibrated, simulated
from colonnade.queries.comparing.intervals import Bootstrap, Method, Numbers, PairedT, Score, exact_mcnemar

PAIRS = 2_000
MARGIN = 0.015


def differences(scenario: Scenario) -> tuple[Numbers, float]:
    """Differences of item means, a row for each pair of runs, and the true one."""
    frame, truth = simulated(scenario, PAIRS, np.random.default_rng(1))
    sides = [frame.filter(pl.col("side") == side).drop("item", "trial", "side").to_numpy() for side in "ab"]
    by_item = (sides[1] - sides[0]).reshape(scenario.items, scenario.trials, PAIRS).mean(axis=1)
    return by_item.T, truth


def method(scenario: Scenario, values: Numbers) -> Method:
    if scenario.kind == "pass rate" and scenario.trials == 1:
        return Score(int((values > 0).sum()), int((values < 0).sum()), len(values))
    return PairedT(values)


@pytest.mark.parametrize("shift", [0.0, 0.2], ids=["A/A", "A/B"])
@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("continuous", 10, 1),
        Scenario("continuous", 50, 1),
        Scenario("continuous", 30, 4, own=1.0),
        Scenario("skewed", 50, 1),
        Scenario("pass rate", 50, 1),
        Scenario("pass rate", 100, 1),
        Scenario("pass rate", 30, 4),
    ],
    ids=lambda each: str(each)[4:],
)
def test_a_5_percent_test_finds_5_percent_and_95_percent_intervals_cover_95(scenario: Scenario, shift: float) -> None:
    values, truth = differences(Scenario(scenario.kind, scenario.items, scenario.trials, shift, own=scenario.own))
    methods = [method(scenario, row) for row in values]
    intervals = [each.interval(0.95) for each in methods]
    covered = np.mean([each is None or each[0] <= truth <= each[1] for each in intervals])
    assert covered == pytest.approx(0.95, abs=MARGIN)
    if not shift:
        assert np.mean([each.p is not None and each.p < 0.05 for each in methods]) == pytest.approx(0.05, abs=MARGIN)


def test_exact_mcnemar_finds_no_more_than_it_says() -> None:
    values, _ = differences(Scenario("pass rate", 50, 1))
    found = np.mean([exact_mcnemar(int((row > 0).sum()), int((row < 0).sum())) < 0.05 for row in values])
    assert 0.01 < found < 0.05  # so it is no match for an interval, and not the default


def test_the_bootstrap_covers_too_little_for_few_items() -> None:
    """Why the paired t interval is the default (ADR 018)."""
    few, _ = differences(Scenario("continuous", 10, 1))
    covered = [Bootstrap(row, resamples=999).interval(0.95) for row in few]
    assert np.mean([each is None or each[0] <= 0 <= each[1] for each in covered]) < 0.93
    many, _ = differences(Scenario("continuous", 100, 1))
    covered = [Bootstrap(row, resamples=999).interval(0.95) for row in many[:1000]]
    assert np.mean([each is None or each[0] <= 0 <= each[1] for each in covered]) == pytest.approx(0.945, abs=0.02)


def test_trials_that_are_taken_for_items_would_be_found_out() -> None:
    """The same numbers without their items: what a comparison that forgets the clusters would say."""
    frame, _ = simulated(Scenario("continuous", 30, 4, own=1.0), PAIRS, np.random.default_rng(1))
    sides = [frame.filter(pl.col("side") == side).drop("item", "trial", "side").to_numpy() for side in "ab"]
    naive = [PairedT(column).p for column in (sides[1] - sides[0]).T]
    assert np.mean([p is not None and p < 0.05 for p in naive]) > 0.15


@pytest.mark.parametrize("scenario", [Scenario("pass rate", 30, 1), Scenario("pass rate", 30, 4)], ids=str)
def test_compare_uses_these_methods(scenario: Scenario) -> None:
    values, _ = differences(scenario)
    found = calibrated(scenario, PAIRS // 40, seed=1, resamples=999)
    assert found.method == method(scenario, values[0]).name
