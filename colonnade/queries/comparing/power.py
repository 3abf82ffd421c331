"""What a comparison could have found: the smallest true difference that it would have seen."""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
from scipy import optimize, special, stats

from colonnade.queries.comparing.intervals import Numbers, standard_error

POWER: Final = 0.8


def detectable(differences: Numbers, alpha: float = 0.05, power: float = POWER) -> float | None:
    """The true mean difference that a two-sided paired t test of as many items, which spread as these do, would find
    at ``alpha`` in ``power`` of all repetitions. ``None`` where the differences have no spread to go by.
    """
    error = standard_error(differences)
    return _errors(len(differences), alpha, power) * error if error else None


@cache
def _errors(n: int, alpha: float, power: float) -> float:
    """The same in standard errors."""
    critical = float(special.stdtrit(n - 1, 1 - alpha / 2))

    def found(away: float) -> float:
        # The distribution of t where the truth is not 0. Its other tail, a find in the wrong direction, is as good as
        # empty at this power.
        return float(stats.nct.sf(critical, n - 1, away))

    highest = critical + 4.0
    while found(highest) < power:
        highest *= 2
    return float(optimize.brentq(lambda away: found(away) - power, 1e-9, highest))


def effect_size(differences: Numbers) -> float | None:
    """Cohen's d of paired differences (d_z): their mean over their standard deviation; ``None`` without spread."""
    error = standard_error(differences)
    return float(differences.mean() / (error * np.sqrt(len(differences)))) if error else None
