"""How reliable an agent is: pass^k and pass@k over the items of a data set and their trials."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final, NamedTuple

from colonnade.engine.plan import Filter, Is, Scan, Steps, asc, is_equal, rows
from colonnade.errors import InvalidInput
from colonnade.queries.comparing.reliability import pass_k
from colonnade.queries.shown import Shown
from colonnade.schemas import SCORES

_COLUMNS: Final = ("datasetId", "datasetItemId", "batchId", "runId", "trial", "score", "createdAt", "id")
_SHOWN: Final = 10


class Item(NamedTuple):
    """An item of a data set. Items of two data sets differ, even where they are called the same."""

    dataset: str | None
    item: str


@dataclass(frozen=True, slots=True)
class Trials:
    """The scores that one scorer gave, by item."""

    by_item: dict[Item, list[float]]
    batches: tuple[str, ...]
    without_item: int
    rescored: int


@dataclass(frozen=True, slots=True)
class PassK(Shown):
    """How reliable the runs of a set of items are."""

    scorer: str
    threshold: float
    items: int
    """Items with at least one score."""
    trials: int
    """The smallest number of trials of an item: k goes up to it, for no item can be judged by more than it has."""
    scores: int
    """Trials of all items together."""
    pass_hat: tuple[float, ...]
    """pass^1, pass^2 ...: the chance that k trials of an item all succeed, mean over items."""
    pass_at: tuple[float, ...]
    """pass@1, pass@2 ...: the chance that at least one of k trials of an item succeeds, mean over items."""
    uneven: tuple[tuple[str, int], ...]
    """Items with fewer trials than others, and how many they have; empty where all have the same."""
    batches: tuple[str, ...]
    """The batches that the scores come from."""
    without_item: int
    """Scores that say no item: they belong to no mean and were left out."""
    rescored: int
    """Scores that a later score of the same trial replaced."""


def pass_hat_k(
    *, scorer: str = "reward", batch: str | None = None, k: int | None = None, threshold: float = 1.0
) -> Steps[PassK]:
    """pass^k and pass@k for k from 1 to ``k``, by default to the number of trials that every item has.

    A score is a trial of its item (``datasetId`` and ``datasetItemId``), and a success where it is at least
    ``threshold``. Where a run's trial was scored again, the later score counts. Without ``batch``, the scores of all
    batches are trials. ``InvalidInput`` where ``k`` is more than some item has trials: it names such items.
    """
    if isinstance(threshold, bool) or not isfinite(threshold):
        raise InvalidInput(f"threshold must be a finite number, not {threshold}")
    if k is not None and (isinstance(k, bool) or not isinstance(k, int) or k < 1):
        raise InvalidInput(f"k must be a whole number >= 1, not {k!r:.80}")
    found = yield from trials_of(scorer, is_equal(batchId=batch))
    tries = {at: len(scores) for at, scores in found.by_item.items()}
    counts = [(len(scores), sum(score >= threshold for score in scores)) for scores in found.by_item.values()]
    least, most = min(tries.values(), default=0), max(tries.values(), default=0)
    if k is not None and k > least:
        raise InvalidInput(_too_few(k, tries))
    every, some = pass_k(counts, range(1, (least if k is None else k) + 1))
    return PassK(
        scorer=scorer,
        threshold=threshold,
        items=len(tries),
        trials=least,
        scores=sum(tries.values()),
        pass_hat=every,
        pass_at=some,
        uneven=tuple(sorted((at.item, n) for at, n in tries.items() if n < most)),
        batches=found.batches,
        without_item=found.without_item,
        rescored=found.rescored,
    )


def _too_few(k: int, tries: dict[Item, int]) -> str:
    few = sorted(f"{at.item} ({n})" for at, n in tries.items() if n < k)
    shown = ", ".join(few[:_SHOWN]) + (f" and {len(few) - _SHOWN} more" if len(few) > _SHOWN else "")
    return f"pass^{k} needs {k} trials of every item; " + (f"too few: {shown}" if few else "there are no scores")


def trials_of(scorer: str, where: Filter) -> Steps[Trials]:
    """The scores that a scorer gave where a filter holds, by item, in the order they were given.

    Scores of the same run, batch, item and trial are one trial, judged more than once: the latest counts. A score that
    says no trial is one of its own.
    """
    plan = Scan(SCORES, Is("scorerId", "=", scorer) & where, order=(asc("createdAt"),), columns=_COLUMNS)
    found = yield from rows(plan)
    columns = {name: found.column(name).to_pylist() for name in _COLUMNS}
    latest: dict[object, tuple[Item, float]] = {}
    given = 0
    for dataset, item, batch, run, trial, score, _, id in zip(*columns.values(), strict=True):
        if item is not None:
            given += 1
            key = id if trial is None else (dataset, item, batch, run, trial)
            latest[key] = (Item(dataset, item), score)
    by_item: dict[Item, list[float]] = {}
    for at, score in latest.values():
        by_item.setdefault(at, []).append(score)
    return Trials(
        by_item=by_item,
        batches=tuple(sorted({batch for batch in columns["batchId"] if batch is not None})),
        without_item=found.num_rows - given,
        rescored=given - len(latest),
    )
