"""Whether comparisons keep their word: how often 5 % tests find a difference where there is none, and how often 95 %
intervals hold the true difference.

Every number comes from ``colonnade.compare`` itself: a simulated pair of runs is a metric of one wide table, so that
thousands of pairs are one call. No correction for their number is looked at here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rich.table import Table

import colonnade
from bench.findings import Finding, Run, at_most
from colonnade.queries.comparing.options import IntervalMethod

Kind = Literal["continuous", "skewed", "pass rate"]

RESAMPLES: Final = 1_999
"""Enough for coverage over thousands of pairs: what the bootstrap's own chance adds averages out."""

MARGIN: Final = 0.015


@dataclass(frozen=True, slots=True)
class Scenario:
    """Runs that are simulated many times.

    ``continuous``: an item's level is normal, the trials of a side scatter around it by as much. ``skewed``: the same,
    of the logarithm. ``pass rate``: an item passes with a probability of its own, from a beta distribution; its trials
    on both sides share it, so they are clustered and paired. ``shift`` is the true difference, a share of what is left
    to gain for pass rates.
    """

    kind: Kind
    items: int
    trials: int
    shift: float = 0.0
    beta: tuple[float, float] = (1.0, 1.0)
    own: float = 0.0
    """How much the level of an item differs between the sides, whatever its trials do: clusters that do not cancel."""

    def __str__(self) -> str:
        what = f"{self.kind} {self.beta[0] / sum(self.beta):.0%}" if self.kind == "pass rate" else self.kind
        pairs = "A/B" if self.shift else "A/A"
        return f"{pairs} {what}, {self.items} items x {self.trials}"


@dataclass(frozen=True, slots=True)
class Calibration:
    """How often the 5 % test found a difference, and intervals held the true one, as shares of all pairs."""

    found: float
    covered: float
    bootstrap_covered: float
    mcnemar_found: float
    method: str
    width: float
    """Mean width of the interval."""


KINDS: Final[tuple[tuple[Kind, tuple[tuple[float, float], ...]], ...]] = (
    ("continuous", ((1.0, 1.0),)),
    ("skewed", ((1.0, 1.0),)),
    ("pass rate", ((1.0, 1.0), (2.0, 1.0), (9.0, 1.0))),
)
SCENARIOS: Final = tuple(
    Scenario(kind, items, trials, shift, beta)
    for shift in (0.0, 0.2)
    for kind, betas in KINDS
    for beta in betas
    for items in (10, 30, 100)
    for trials in (1, 4)
)
PROMISED: Final = tuple(each for each in SCENARIOS if each.items >= 100 and each.beta != (9.0, 1.0))
"""Where the target holds: 5 % +- 1.5 % and 95 % +- 1.5 %."""


def calibrated(
    scenario: Scenario, pairs: int, seed: int, interval: IntervalMethod = "auto", resamples: int = RESAMPLES
) -> Calibration:
    """Compare so many simulated pairs of runs."""
    frame, truth = simulated(scenario, pairs, np.random.default_rng(seed))
    names = [f"pair {n}" for n in range(pairs)]
    found = colonnade.compare(
        frame, "a", "b", side="side", item="item", trial="trial", metric=names, interval=interval, resamples=resamples
    )
    table = found.to_polars()

    def covered(low: str, high: str) -> float:
        # No interval says nothing wrong. Pass rates are fractions, so ends may meet the truth but for rounding.
        holds = (pl.col(low) <= truth + 1e-9) & (pl.col(high) >= truth - 1e-9)
        return float(table.select(holds.fill_null(True).mean()).item())

    def share(p: str) -> float:
        return float(table.select((pl.col(p) < 0.05).fill_null(False).mean()).item())

    return Calibration(
        found=share("p"),
        covered=covered("low", "high"),
        bootstrap_covered=covered("bootstrap_low", "bootstrap_high"),
        mcnemar_found=share("mcnemar_p"),
        method=str(table["method"].mode()[0]),
        width=float(table.select((pl.col("high") - pl.col("low")).mean()).item() or 0.0),
    )


def simulated(scenario: Scenario, pairs: int, random: np.random.Generator) -> tuple[pl.DataFrame, float]:
    """A table of two sides with a column for each pair, and the true difference."""
    items, trials, shape = scenario.items, scenario.trials, (scenario.items, scenario.trials, pairs)
    sides: list[NDArray[Any]]
    if scenario.kind == "pass rate":
        a, b = scenario.beta
        passes = random.beta(a, b, (items, 1, pairs))
        sides = [random.random(shape) < rate for rate in (passes, passes + scenario.shift * (1 - passes))]
        truth = scenario.shift * b / (a + b)
    else:
        level = random.normal(size=(items, 1, pairs))
        own = scenario.own * random.normal(size=(2, items, 1, pairs))
        sides = [level + own[side] + random.normal(size=shape) for side in range(2)]
        if scenario.kind == "skewed":
            sides = [np.exp(side / 2) for side in sides]
        truth = scenario.shift
        sides[1] = sides[1] + truth
    frames = []
    for name, values in zip("ab", sides, strict=True):
        columns = {f"pair {n}": values[:, :, n].ravel().astype(float) for n in range(pairs)}
        keys = {"item": np.repeat(np.arange(items), trials), "trial": np.tile(np.arange(trials), items)}
        frames.append(pl.DataFrame({**keys, **columns}).with_columns(side=pl.lit(name)))
    return pl.concat(frames), truth


def main(run: Run) -> None:
    """Every scenario; ten times as many pairs as a short question is asked."""
    pairs = 10 * run.times
    target = at_most(100 * MARGIN) if pairs >= 2_000 else None  # fewer pairs would miss it by chance
    shown = Table(title=f"{pairs:,} simulated pairs of runs each: a 5 % test, a 95 % interval", title_justify="left")
    for heading in ("runs", "found", "covered", "BCa covered", "exact McNemar found", "mean width", "method"):
        shown.add_column(heading, justify="left" if heading in ("runs", "method") else "right")
    for number, scenario in enumerate(SCENARIOS):
        with run.doing(f"comparing {scenario}"):
            each = calibrated(scenario, pairs, seed=number)
        percent = [f"{100 * share:.1f} %" for share in (each.found, each.covered, each.bootstrap_covered)]
        exact = f"{100 * each.mcnemar_found:.1f} %" if scenario.kind == "pass rate" else ""
        shown.add_row(str(scenario), *percent, exact, f"{each.width:.3f}", each.method)
        if scenario in PROMISED:
            off = abs(each.covered - 0.95)
            run.found(Finding("calibration", f"{scenario}: covered, off 95 %", 100 * off, "%", target=target))
            if not scenario.shift:
                off = abs(each.found - 0.05)
                run.found(Finding("calibration", f"{scenario}: found, off 5 %", 100 * off, "%", target=target))
    run.console.print(shown)
