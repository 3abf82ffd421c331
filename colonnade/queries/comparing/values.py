"""What a comparison is made of: differences, items with their trials, and what one side lacks."""

from __future__ import annotations

from dataclasses import dataclass
from math import isclose
from typing import Literal

Verdict = Literal["better", "worse", "undecided"]
Scale = Literal["difference", "ratio"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One trial of an item: what it got, and where it can be looked at."""

    value: float
    trace: str | None = None
    """Its ``traceId``."""
    run: str | None = None
    """Its ``runId``."""
    number: str | None = None
    """Which repetition of the item it was."""


@dataclass(frozen=True, slots=True)
class ItemPair:
    """An item that both sides ran: the mean of a metric over its trials on each."""

    item: str
    baseline: float
    candidate: float
    baseline_trials: tuple[Trial, ...]
    """In the order of their numbers. A trial of the candidate with the same number is at the same place."""
    candidate_trials: tuple[Trial, ...]
    metric: str = ""
    version: str = ""
    """The candidate that it is a pair of."""
    lower_is_better: bool = False

    @property
    def difference(self) -> float:
        """Candidate less baseline; exactly 0 where only the rounding of their means differs."""
        same = isclose(self.candidate, self.baseline, rel_tol=1e-12, abs_tol=1e-12)
        return 0.0 if same else self.candidate - self.baseline

    @property
    def gain(self) -> float:
        """How much better the candidate is: the difference, or its opposite where less is better."""
        return -self.difference if self.lower_is_better and self.difference else self.difference

    @property
    def trials(self) -> tuple[int, int]:
        """How many trials the baseline and the candidate have of it."""
        return len(self.baseline_trials), len(self.candidate_trials)

    @property
    def traces(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The trace ids of the baseline's and of the candidate's trials."""
        before = tuple(each.trace for each in self.baseline_trials if each.trace is not None)
        return before, tuple(each.trace for each in self.candidate_trials if each.trace is not None)

    @property
    def telling(self) -> str | None:
        """The trace of the candidate to look at first: its worst trial where the item got worse, else its best."""
        traced = [each for each in self.candidate_trials if each.trace is not None]
        sign = -1 if self.lower_is_better else 1
        ranked = sorted(traced, key=lambda each: sign * each.value, reverse=self.gain >= 0)
        return ranked[0].trace if ranked else None


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a difference, over the items that both sides ran. Every item weighs the same."""

    name: str
    mean: float
    """Mean over items of the mean over their trials."""
    standard_error: float | None
    """Of the mean, clustered by item; ``None`` for one item."""
    trials: int
    pass_hat: tuple[float, ...] = ()
    """pass^1, pass^2 ... where trials pass or fail: the chance that k trials of an item all pass, mean over items."""
    pass_at: tuple[float, ...] = ()
    """pass@1, pass@2 ...: the chance that at least one of k trials of an item passes, mean over items."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric on two sides, over the items that both ran, and what can be said of the difference.

    ``delta``, intervals and ``detectable`` are in units of the metric where ``scale`` is ``difference``: candidate less
    baseline. Where it is ``ratio`` they are shares of the baseline: 0.12 is 12 % more, by the geometric mean of the
    items' ratios.
    """

    metric: str
    candidate: Side
    baseline: Side
    part: str | None
    """The slice of the items that it is about; ``None`` for all of them."""
    items: int
    better: int
    worse: int
    same: int
    scale: Scale
    lower_is_better: bool
    delta: float
    interval: tuple[float, float] | None
    """The confidence interval of ``delta``, by ``method``. ``None`` where the items are too few for one."""
    method: str
    standard_error: float | None
    """Of the delta, clustered by item; of the logarithm of the ratio where that is the scale."""
    p: float | None
    """Two-sided p value of no difference, of the test that belongs to the interval."""
    p_holm: float | None
    """The same, corrected by Holm's procedure for all questions of the comparison."""
    p_bh: float | None
    """The same, corrected by Benjamini and Hochberg's procedure."""
    family_interval: tuple[float, float] | None
    """The interval at the level at which Holm's procedure asked this question. The verdict is read from it."""
    family_level: float | None
    verdict: Verdict
    """``better`` or ``worse`` where the whole family interval lies beyond the tolerance, on that side of 0."""
    bootstrap: tuple[float, float] | None
    """The BCa bootstrap interval of ``delta``, over items."""
    mcnemar_p: float | None
    """Pass and fail only: McNemar's exact two-sided p, of items that got worse against items that got better. An item
    of several trials counts once, by the sign of its difference, for its trials are not independent of each other."""
    wilcoxon_p: float | None
    """Wilcoxon's signed-rank p, where it was asked for."""
    effect_size: float | None
    """Cohen's d of the paired differences (d_z); of the logarithms where the scale is a ratio."""
    detectable: float | None
    """The smallest true difference that this many items would have shown in 80 % of all repetitions, at 5 %."""

    def no_worse_than(self, margin: float) -> bool:
        """Whether the interval rules out that the candidate is worse by ``margin`` or more (non-inferiority)."""
        if self.interval is None:
            return False
        low, high = self.interval
        return high < margin if self.lower_is_better else low > -margin


@dataclass(frozen=True, slots=True)
class Absent:
    """An item that one side did not run, for a metric: it is in no mean."""

    metric: str
    item: str
    side: str
    """The side that lacks it."""
    version: str
    """The candidate that was compared with the baseline there."""
