"""How far scorers agree beyond chance: Cohen's kappa of two, Krippendorff's alpha of any number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import InvalidInput

Measurement = Literal["nominal", "ordinal", "interval", "ratio"]
Ratings = Mapping[str, Sequence[float | None]]


def cohen_kappa(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Cohen's kappa (1960) of two raters over the same things: 1 is agreement, 0 is what chance gives.

    ``None`` where both gave one and the same rating to everything: chance would agree just as well.
    """
    one, other = np.asarray(first, float), np.asarray(second, float)
    if len(one) != len(other) or not len(one):
        raise InvalidInput("kappa needs two lists of ratings of the same things")
    categories = np.unique(np.concatenate([one, other]))
    expected = sum(float((one == each).mean() * (other == each).mean()) for each in categories)
    agreed = float((one == other).mean())
    return None if expected >= 1 else float((agreed - expected) / (1 - expected))


def krippendorff_alpha(ratings: Ratings, measurement: Measurement = "nominal") -> float | None:
    """Krippendorff's alpha of any number of raters; ``None`` stands where one gave no rating.

    1 - observed over expected disagreement, by coincidences (Krippendorff, Computing Krippendorff's Alpha-Reliability,
    2011). Things that fewer than two raters rated say nothing. ``None`` where all ratings are the same, or none is
    paired.
    """
    if measurement not in get_args(Measurement):
        raise InvalidInput(f"no measurement {measurement!r:.80}; there are {', '.join(get_args(Measurement))}")
    table = np.array([[np.nan if each is None else each for each in given] for given in ratings.values()], float)
    if table.ndim != 2 or table.shape[0] < 2:
        raise InvalidInput("alpha needs at least two raters, each with a rating or None for every thing")
    table = table[:, (~np.isnan(table)).sum(axis=0) >= 2]
    values = np.unique(table[~np.isnan(table)])
    if len(values) < 2:
        return None
    # How often each value was given to each thing, and what coincides within things, each counted alike.
    counts = np.stack([(table == each).sum(axis=0) for each in values]).astype(float)
    weights = 1 / (counts.sum(axis=0) - 1)
    coincidences = (counts * weights) @ counts.T - np.diag((counts * weights).sum(axis=1))
    totals = coincidences.sum(axis=1)
    distances = _distances(values, totals, measurement)
    observed = float((coincidences * distances).sum())
    expected = float((np.outer(totals, totals) * distances).sum()) / float(totals.sum() - 1)
    return 1 - observed / expected if expected else None


def _distances(
    values: NDArray[np.float64], totals: NDArray[np.float64], measurement: Measurement
) -> NDArray[np.float64]:
    """The squared distance between any two values, as the measurement sees it."""
    across, down = np.meshgrid(values, values)
    match measurement:
        case "nominal":
            return np.asarray(across != down, float)
        case "interval":
            return np.asarray((across - down) ** 2)
        case "ratio":
            if values.min() < 0:
                raise InvalidInput("ratio measurement has no values below 0: use interval")
            both = across + down
            return np.asarray(np.divide(across - down, both, out=np.zeros_like(both), where=both > 0) ** 2)
    upto = np.cumsum(totals) - totals / 2  # the rank in the middle of each value
    first, second = np.meshgrid(upto, upto)
    return np.asarray((first - second) ** 2)


def kappas(ratings: Ratings) -> dict[tuple[str, str], float | None]:
    """Cohen's kappa of each two raters, over the things that both rated."""
    found: dict[tuple[str, str], float | None] = {}
    for one, other in combinations(ratings, 2):
        both = [(a, b) for a, b in zip(ratings[one], ratings[other], strict=True) if a is not None and b is not None]
        found[one, other] = cohen_kappa(*map(list, zip(*both, strict=True))) if both else None
    return found
