"""Items of two sides put beside each other, by item and by trial."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from colonnade.queries.comparing.intervals import Numbers
from colonnade.queries.comparing.values import ItemPair, Trial

_ALIKE: Final = 1e-12


@dataclass(frozen=True)
class Aligned:
    """The items that two sides both ran, for one metric: a row each, in the order of their names.

    Columns: ``item``, and for ``_b`` (baseline) and ``_c`` (candidate) the ``mean`` over trials, ``count`` of trials,
    ``passed`` (their sum) and ``trials`` (values in order, a list).
    """

    frame: pl.DataFrame
    only_baseline: tuple[str, ...] = ()
    only_candidate: tuple[str, ...] = ()

    def numbers(self, column: str) -> Numbers:
        """A column as numbers."""
        return self.frame[column].cast(pl.Float64).to_numpy()

    @property
    def differences(self) -> Numbers:
        """Candidate less baseline, item by item; exactly 0 where only the rounding of their means differs."""
        return exact(self.numbers("mean_b"), self.numbers("mean_c"))

    @property
    def log_ratios(self) -> Numbers | None:
        """The logarithm of candidate over baseline, item by item, each the mean over trials of the logarithm; ``None``
        where some value is not above 0.
        """
        if min(_least(self.frame["least_b"]), _least(self.frame["least_c"])) <= 0:
            return None
        return exact(self.numbers("log_b"), self.numbers("log_c"))

    @property
    def is_pass_fail(self) -> bool:
        """Whether every value is 0 or 1."""
        return bool(self.frame["binary_b"].all() and self.frame["binary_c"].all())

    @property
    def is_single(self) -> bool:
        """Whether every item has one trial on either side."""
        return bool((self.frame["count_b"] == 1).all() and (self.frame["count_c"] == 1).all())


def _least(values: pl.Series) -> float:
    least: Any = values.min()
    return float(least)


def exact(before: Numbers, after: Numbers) -> Numbers:
    """Differences, exactly 0 where two numbers are equal but for rounding."""
    found: Numbers = after - before
    size = np.maximum(np.maximum(np.abs(before), np.abs(after)), 1.0)
    found[np.abs(found) <= _ALIKE * size] = 0.0
    return found


def aligned(trials: pl.DataFrame, baseline: str, candidate: str) -> Aligned:
    """The items of two sides, from the trials of one metric."""
    left, right = _items(trials, baseline), _items(trials, candidate)
    both = left.join(right.drop("item"), on="key", how="inner", suffix="_c")
    renamed = both.rename({name: f"{name}_b" for name in left.columns if name not in ("key", "item")})
    return Aligned(
        frame=renamed.sort("item", "key"),
        only_baseline=tuple(left.join(right, on="key", how="anti").sort("item", "key")["item"]),
        only_candidate=tuple(right.join(left, on="key", how="anti").sort("item", "key")["item"]),
    )


def _items(trials: pl.DataFrame, side: str) -> pl.DataFrame:
    value = pl.col("value")
    return (
        trials.filter(pl.col("side") == side)
        .group_by("key", maintain_order=True)
        .agg(
            pl.col("item").first(),
            value.mean().alias("mean"),
            value.len().alias("count"),
            value.sum().alias("passed"),
            value.min().alias("least"),
            value.is_in([0.0, 1.0]).all().alias("binary"),
            pl.when(value > 0).then(value.log()).mean().alias("log"),
            pl.struct("value", "trace", "run", "trial").alias("trials"),
        )
    )


def item_pairs(found: Aligned, metric: str, version: str, lower_is_better: bool) -> tuple[list[ItemPair], int]:
    """The items as values, and how many trials have a number that the other side lacks of their item."""
    pairs, unpaired = [], 0
    columns = ("item", "mean_b", "mean_c", "trials_b", "trials_c")
    for item, before, after, old, new in found.frame.select(columns).iter_rows():
        left, right, alone = _beside([_trial(each) for each in old], [_trial(each) for each in new])
        unpaired += alone
        pairs.append(ItemPair(item, before, after, left, right, metric, version, lower_is_better))
    return pairs, unpaired


def _trial(said: dict[str, Any]) -> Trial:
    return Trial(said["value"], said["trace"], said["run"], said["trial"])


def _beside(old: list[Trial], new: list[Trial]) -> tuple[tuple[Trial, ...], tuple[Trial, ...], int]:
    """Trials with the same number at the same place, the others after them; and how many others there are.

    Trials without numbers are repetitions in any order: none of them is another's partner, and none lacks one.
    """
    if not any(each.number for each in (*old, *new)):
        return tuple(old), tuple(new), 0
    left, right = _numbered(old), _numbered(new)
    both = sorted(left.keys() & right.keys(), key=_place)
    first, second = [left.pop(each) for each in both], [right.pop(each) for each in both]
    rest = [left[each] for each in sorted(left, key=_place)], [right[each] for each in sorted(right, key=_place)]
    return (*first, *rest[0]), (*second, *rest[1]), len(rest[0]) + len(rest[1])


def _numbered(trials: list[Trial]) -> dict[tuple[str, int], Trial]:
    """Trials by number, and by which of that number they are where runs share one."""
    found: dict[tuple[str, int], Trial] = {}
    for each in trials:
        again = 0
        while (each.number or "", again) in found:
            again += 1
        found[each.number or "", again] = each
    return found


def _place(number: tuple[str, int]) -> tuple[int, float, str, int]:
    text, again = number
    return (0, float(text), "", again) if text.isdecimal() else (1, 0.0, text, again)
