"""Many questions at once: adjusted p values, and verdicts of a family of intervals.

Twenty A/A questions at 5 % find a difference where there is none in two families of three. Holm's procedure keeps the
chance of any false finding in the family at 5 %; Benjamini and Hochberg's keeps the expected share of false findings
among all findings there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scipy import stats


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values; a question without a p value is none of the family."""
    asked = sorted((p, place) for place, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    largest = 0.0
    for rank, (p, place) in enumerate(asked):
        largest = max(largest, min(1.0, (len(asked) - rank) * p))
        adjusted[place] = largest
    return adjusted


def benjamini_hochberg(ps: Sequence[float | None]) -> list[float | None]:
    """Benjamini and Hochberg's adjusted p values, by SciPy; a question without a p value is none of the family."""
    asked = [(place, p) for place, p in enumerate(ps) if p is not None]
    adjusted: list[float | None] = [None] * len(ps)
    if asked:
        found = stats.false_discovery_control([p for _, p in asked], method="bh")
        for (place, _), p in zip(asked, found, strict=True):
            adjusted[place] = float(p)
    return adjusted


def holm_levels(decides: Sequence[Callable[[float], bool] | None], alpha: float) -> list[float | None]:
    """The level at which Holm's procedure asks each interval of a family: 0.95 for one alone, more for several.

    ``decides[i](level)`` says whether interval i at that level is a finding; ``None`` is none of the family. As long as
    one of the R that remain is a finding at 1 - alpha / R, all of them that are leave the family, and the others are
    asked again at the level of a smaller one. Read from intervals instead of p values, Holm's procedure holds for
    findings beyond any tolerance.
    """
    levels: list[float | None] = [None] * len(decides)
    left = {place: decide for place, decide in enumerate(decides) if decide is not None}
    while left:
        level = 1 - alpha / len(left)
        found = [place for place, decide in left.items() if decide(level)]
        for place in found or tuple(left):
            levels[place] = level
            del left[place]
    return levels
