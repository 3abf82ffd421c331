"""Confidence intervals of a mean difference between pairs, and the tests that they belong to.

Each method gives an interval at any level and the p value that belongs to it: the interval at level 1 - p just touches
0. So a verdict read from an interval and one read from a p value are the same verdict. ADR 018 says which method is
used when, and how often each of them covered the truth.

- ``PairedT``: the mean of differences over its standard error, as Student's t with n - 1 degrees of freedom.
- ``Score``: pass and fail, one trial an item. Tango's score interval for paired proportions (Statistics in Medicine 17,
  1998, 891), whose test is McNemar's without a continuity correction.
- ``Bootstrap``: bias-corrected and accelerated (Efron 1987), resampling items.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

Numbers = NDArray[np.float64]
Interval = tuple[float, float]

RESAMPLES: Final = 9_999
"""Resamples of a bootstrap, unless another number is asked for."""

SEED: Final = 20_240_601
"""What the bootstrap's random numbers start from, so that a comparison gives the same numbers each time."""

_AT_ONCE: Final = 4_000_000  # indices drawn at once: 32 MB


class Method(Protocol):
    """A way to tell from paired differences where their true mean lies."""

    @property
    def name(self) -> str:
        """What it is called."""

    def interval(self, level: float) -> Interval | None:
        """The two-sided interval at a level such as 0.95; ``None`` where the data is too little for one."""

    @property
    def p(self) -> float | None:
        """The two-sided p value of no difference that belongs to the interval."""


def standard_error(values: Numbers) -> float | None:
    """The standard error of a mean over items; ``None`` of fewer than two.

    Over the items' means this is the standard error clustered by item, whatever makes trials of an item alike.
    """
    if len(values) < 2:
        return None
    return _deviation(values) / float(np.sqrt(len(values)))


def _deviation(values: Numbers) -> float:
    """The standard deviation (n - 1); exactly 0 where values differ by the rounding of their means alone."""
    spread = float(np.ptp(values))
    return 0.0 if spread <= 1e-12 * max(1.0, float(np.abs(values).max())) else float(values.std(ddof=1))


@dataclass(frozen=True)
class PairedT:
    """The paired t interval."""

    differences: Numbers
    name: str = "paired t"

    def interval(self, level: float) -> Interval | None:
        n, mean, error = len(self.differences), float(self.differences.mean()), standard_error(self.differences)
        if error is None:
            return None
        if error == 0:  # t would be certain of anything; so many items that agree are as telling as a sign test is
            return (mean, mean) if 2.0 ** (1 - n) <= 1 - level else None
        reach = float(special.stdtrit(n - 1, (1 + level) / 2)) * error
        return mean - reach, mean + reach

    @property
    def p(self) -> float | None:
        n, mean, error = len(self.differences), float(self.differences.mean()), standard_error(self.differences)
        if error is None:
            return None
        if error == 0:
            return 1.0 if mean == 0 else 2.0 ** (1 - n)
        return float(2 * special.stdtr(n - 1, -abs(mean) / error))


@dataclass(frozen=True)
class Score:
    """Tango's score interval: of ``n`` items, ``gained`` turned from fail to pass and ``lost`` from pass to fail."""

    gained: int
    lost: int
    n: int
    name: str = "Tango score"

    def interval(self, level: float) -> Interval | None:
        z = float(special.ndtri((1 + level) / 2))
        point = (self.gained - self.lost) / self.n
        # The statistic falls in the difference that it tests: from above z at -1 to below -z at 1.
        low = -1.0 if self._z(-1.0) <= z else optimize.brentq(lambda at: self._z(at) - z, -1.0, point)
        high = 1.0 if self._z(1.0) >= -z else optimize.brentq(lambda at: self._z(at) + z, point, 1.0)
        return float(low), float(high)

    def _z(self, null: float) -> float:
        """The score statistic of a difference of ``null``."""
        n, gained, lost = self.n, self.gained, self.lost
        a, b, c = 2 * n, -gained - lost + (2 * n - gained + lost) * null, -lost * null * (1 - null)
        both = (np.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
        variance = n * (2 * both + null * (1 - null))
        distance = gained - lost - n * null
        if variance <= 1e-12:
            return 0.0 if abs(distance) <= 1e-12 else float(np.copysign(np.inf, distance))
        return float(distance / np.sqrt(variance))

    @property
    def p(self) -> float | None:
        changed = self.gained + self.lost
        return float(2 * special.ndtr(-abs(self.gained - self.lost) / np.sqrt(changed))) if changed else 1.0


@dataclass(frozen=True)
class Bootstrap:
    """The BCa bootstrap of the mean difference, resampling items."""

    differences: Numbers
    resamples: int = RESAMPLES
    seed: int = SEED
    name: str = "BCa bootstrap"

    @cached_property
    def means(self) -> Numbers:
        """Means of the resamples, sorted."""
        values, random = self.differences, np.random.default_rng(self.seed)
        n = len(values)
        distinct, counts = np.unique(values, return_counts=True)
        if len(distinct) <= n // 4:  # pass rates: draw how often each value comes, not which items
            drawn = random.multinomial(n, counts / n, size=self.resamples)
            return np.sort(drawn @ distinct / n)
        found: list[Numbers] = []
        batch = max(1, _AT_ONCE // n)
        for start in range(0, self.resamples, batch):
            rows = min(batch, self.resamples - start)
            found.append(values[random.integers(0, n, (rows, n), dtype=np.int32)].mean(axis=1))
        return np.sort(np.concatenate(found))

    @cached_property
    def _corrections(self) -> tuple[float, float]:
        """Bias and acceleration. A mean needs no jackknife: leaving out an item moves it by what the item is."""
        n, mean = len(self.differences), float(self.differences.mean())
        # Half of the ties, as SciPy does: a resample that equals the mean lies on neither side of it.
        tolerance = 1e-12 * max(1.0, abs(mean))
        below = np.searchsorted(self.means, mean - tolerance, "left")
        upto = np.searchsorted(self.means, mean + tolerance, "right")
        bias = float(special.ndtri((below + upto) / (2 * len(self.means))))
        away = self.differences - mean
        squares = float((away**2).sum())
        return bias, float((away**3).sum()) / (6 * squares**1.5) if squares and n > 1 else 0.0

    def interval(self, level: float) -> Interval | None:
        if len(self.differences) < 2 or standard_error(self.differences) == 0:
            return PairedT(self.differences).interval(level)
        bias, acceleration = self._corrections
        ends = special.ndtri(np.array([(1 - level) / 2, (1 + level) / 2])) + bias
        at = special.ndtr(bias + ends / (1 - acceleration * ends))
        low, high = np.quantile(self.means, np.clip(at, 0.0, 1.0))
        return float(low), float(high)

    @property
    def p(self) -> float | None:
        if len(self.differences) < 2 or standard_error(self.differences) == 0:
            return PairedT(self.differences).p
        return p_of(self.interval, least=1 / self.resamples)


def p_of(interval: Callable[[float], Interval | None], least: float) -> float:
    """The smallest alpha at which an interval leaves out 0, not below ``least``: p by inversion."""

    def leaves_out(alpha: float) -> bool:
        found = interval(1 - alpha)
        return found is not None and (found[0] > 0 or found[1] < 0)

    low, high = least, 1.0
    if leaves_out(low):
        return low
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (low, middle) if leaves_out(middle) else (middle, high)
    return high


def exact_mcnemar(gained: int, lost: int) -> float:
    """McNemar's exact two-sided p: the chance of a split at least as uneven, where both ways are as likely."""
    changed = gained + lost
    return min(1.0, 2 * float(special.bdtr(min(gained, lost), changed, 0.5))) if changed else 1.0


def wilcoxon(differences: Numbers) -> float | None:
    """Wilcoxon's signed-rank p, two-sided; 1 where no item changed. Exact where it can be."""
    changed = differences[differences != 0]
    if not len(changed):
        return 1.0
    found: Any = stats.wilcoxon(changed, method="auto")
    return float(found.pvalue)
